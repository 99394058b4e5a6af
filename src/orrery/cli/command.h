// A command is one file and one row in commands.cc: it declares its options on a parser and returns what to
// do once they are read. Help, shell completion and docs/commands.md are made from these declarations.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>

#include "orrery/base/run_context.h"
#include "orrery/report/terminal_table.h"

namespace CLI {
class App;
}

namespace orrery::cli {

// What every command takes.
struct Common {
  bool json = false;
  std::string output;  // a folder or a file, as the command says
  uint64_t seed = 1;
  int threads = 0;  // 0: all
  std::string command_line;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  RunContext context() const;
  report::TerminalStyle style() const;  // plain unless `out` is the terminal
};

using Action = std::function<int()>;  // returns the exit status

struct Command {
  const char* verb;
  const char* noun;     // "" for commands of one word
  const char* summary;  // one line
  const char* example;  // runs as it is; several separated by newlines
  Action (*declare)(CLI::App& app, Common& common);
};

std::span<const Command> commands();

Action declare_predict_latency(CLI::App&, Common&);
Action declare_predict_memory(CLI::App&, Common&);
Action declare_run_keyindex(CLI::App&, Common&);
Action declare_fit_latency(CLI::App&, Common&);
Action declare_plan_accelerator(CLI::App&, Common&);
Action declare_plan_experts(CLI::App&, Common&);
Action declare_show_gpus(CLI::App&, Common&);
Action declare_show_accelerators(CLI::App&, Common&);
Action declare_show_models(CLI::App&, Common&);
Action declare_validate_latency(CLI::App&, Common&);
Action declare_validate_keyindex(CLI::App&, Common&);
Action declare_validate_moetuner(CLI::App&, Common&);
Action declare_validate_neusight(CLI::App&, Common&);
Action declare_validate_wham(CLI::App&, Common&);
Action declare_check(CLI::App&, Common&);
Action declare_completion(CLI::App&, Common&);
Action declare_help(CLI::App&, Common&);

}  // namespace orrery::cli
