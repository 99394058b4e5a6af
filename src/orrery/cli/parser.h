// The parser of all commands, built from their declarations; help, completion and the documentation walk it.
#pragma once

#include <memory>
#include <vector>

#include "orrery/cli/command.h"

namespace orrery::cli {

class Parser {
 public:
  Parser(Common& common);
  ~Parser();
  CLI::App& root() { return *root_; }
  CLI::App* find(std::string_view verb, std::string_view noun);  // null when there is none
  // The action of the command that was parsed; null when only a verb was given.
  const Action* chosen() const;

 private:
  struct Entry {
    const Command* command;
    CLI::App* app;
    Action action;
  };
  std::unique_ptr<CLI::App> root_;
  std::vector<Entry> entries_;
};

// docs/commands.md: every command with its help.
std::string commands_as_markdown();

}  // namespace orrery::cli
