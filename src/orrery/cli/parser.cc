#include "orrery/cli/parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::cli {
namespace {

constexpr size_t kOptionColumn = 34;

CLI::App* verb_of(CLI::App& root, std::string_view verb) {
  for (CLI::App* app : root.get_subcommands({})) {
    if (app->get_name() == verb) return app;
  }
  return nullptr;
}

std::string footer(const Command& command) {
  std::string text = "Example:\n";
  for (const std::string& line : split(command.example, '\n')) text += "  " + line + "\n";
  return text;
}

constexpr const char* kVerbHelp[][2] = {
    {"predict", "what will it take?"},     {"plan", "what should be built, and laid out how?"},
    {"run", "run the memory-bound parts"}, {"fit", "adapt a model to measurements"},
    {"show", "facts, with their sources"}, {"validate", "compare us with the world"},
};

const char* help_of(std::string_view verb) {
  for (const auto& row : kVerbHelp) {
    if (row[0] == verb) return row[1];
  }
  return "";
}

}  // namespace

Parser::Parser(Common& common)
    : root_(
          std::make_unique<CLI::App>("Orrery predicts, plans and runs machine-learning systems.", "orrery")) {
  root_->get_formatter()->column_width(kOptionColumn);
  root_->set_version_flag("--version", "orrery " + std::string(version()), "Print the version and stop");
  root_->set_help_flag("-h,--help", "Print this help and stop");
  root_->require_subcommand(0, 1);
  root_->footer(
      "Every command has --help with an example that runs as it is.\n"
      "Exit status: 0 done, 1 what was asked for does not exist, 2 bad input or usage, 3 a fault of ours, "
      "130 interrupted.");
  for (const Command& command : commands()) {
    CLI::App* parent = root_.get();
    std::string name = command.verb;
    if (*command.noun) {
      parent = verb_of(*root_, command.verb);
      if (!parent) {
        parent = root_->add_subcommand(command.verb, help_of(command.verb));
        parent->require_subcommand(0, 1);
      }
      name = command.noun;
    }
    CLI::App* app = parent->add_subcommand(name, command.summary);
    app->footer(footer(command));
    app->positionals_at_end(false);
    entries_.push_back({&command, app, command.declare(*app, common)});
  }
}

Parser::~Parser() = default;

CLI::App* Parser::find(std::string_view verb, std::string_view noun) {
  for (Entry& entry : entries_) {
    if (entry.command->verb == verb && entry.command->noun == noun) return entry.app;
  }
  return noun.empty() ? verb_of(*root_, verb) : nullptr;
}

const Action* Parser::chosen() const {
  for (const Entry& entry : entries_) {
    if (entry.app->parsed()) return &entry.action;
  }
  return nullptr;
}

std::string commands_as_markdown() {
  Common common;
  Parser parser(common);
  std::string text =
      "# Commands\n\nMade from the help of each command by `orrery help --markdown`; a test fails when this "
      "page is stale.\n";
  for (const Command& command : commands()) {
    std::string title =
        std::string("orrery ") + command.verb + (*command.noun ? " " + std::string(command.noun) : "");
    CLI::App* app = parser.find(command.verb, command.noun);
    std::string help = app->help(*command.noun ? std::string("orrery ") + command.verb : "orrery");
    size_t end = help.find_last_not_of('\n');
    text += fmt::format("\n## {}\n\n```\n{}\n```\n", title, help.substr(0, end + 1));
  }
  return text;
}

}  // namespace orrery::cli
