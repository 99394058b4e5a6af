#include "orrery/cli/run.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "orrery/base/text.h"
#include "orrery/cli/parser.h"

namespace orrery::cli {
namespace {

enum ExitStatus { kDone = 0, kNotThere = 1, kBadInput = 2, kOurFault = 3, kInterrupted = 130 };

// The command line as a person would type it again.
std::string quoted_command(const std::vector<std::string>& arguments) {
  std::string line = "orrery";
  for (const std::string& argument : arguments) {
    bool plain =
        !argument.empty() &&
        argument.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=+%@") == std::string::npos;
    if (plain) {
      line += " " + argument;
      continue;
    }
    line += " '";
    for (char c : argument) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += "'";
  }
  return line;
}

// A mistyped verb or noun is answered with the nearest one, before the parser sees it.
std::string wrong_word(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with("-")) return {};
  std::vector<std::string_view> verbs, nouns;
  for (const Command& command : commands()) {
    if (std::find(verbs.begin(), verbs.end(), command.verb) == verbs.end()) verbs.push_back(command.verb);
    if (command.verb == arguments[0] && *command.noun) nouns.push_back(command.noun);
  }
  if (std::find(verbs.begin(), verbs.end(), arguments[0]) == verbs.end()) {
    return fmt::format("there is no command '{}'{}", printable(arguments[0]),
                       did_you_mean(arguments[0], verbs));
  }
  if (nouns.empty() || arguments.size() < 2 || arguments[1].starts_with("-")) return {};
  if (std::find(nouns.begin(), nouns.end(), arguments[1]) == nouns.end()) {
    return fmt::format("'{}' does not {}{}", printable(arguments[1]), "follow '" + arguments[0] + "'",
                       did_you_mean(arguments[1], nouns));
  }
  return {};
}

std::string help_hint(const std::vector<std::string>& arguments) {
  std::string command = "orrery";
  for (size_t i = 0; i < std::min<size_t>(2, arguments.size()) && !arguments[i].starts_with("-"); ++i)
    command += " " + arguments[i];
  return "see '" + command + " --help'";
}

int parse_and_run(const std::vector<std::string>& arguments, Common& common) {
  Parser parser(common);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    parser.root().parse(reversed);
  } catch (const CLI::CallForVersion& version) {
    *common.out << version.what() << "\n";
    return kDone;
  } catch (const CLI::CallForHelp&) {
    const CLI::App* app = &parser.root();
    std::string parents;
    while (!app->get_subcommands().empty()) {
      parents += (parents.empty() ? "" : " ") + app->get_name();  // CLI11 adds the name of the last itself
      app = app->get_subcommands().front();
    }
    *common.out << app->help(parents);
    return kDone;
  } catch (const CLI::ParseError& wrong) {
    *common.err << "orrery: " << printable(wrong.what(), 400) << "; " << help_hint(arguments) << "\n";
    return kBadInput;
  }
  const Action* action = parser.chosen();
  if (action) return (*action)();
  CLI::App* verb = arguments.empty() ? nullptr : parser.find(arguments[0], "");
  *common.out << (verb ? verb->help("orrery") : parser.root().help());
  return arguments.empty() ? kDone : kBadInput;
}

}  // namespace

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Common common;
  common.out = &out;
  common.err = &err;
  common.command_line = quoted_command(arguments);
  try {
    if (std::string wrong = wrong_word(arguments); !wrong.empty()) {
      err << "orrery: " << wrong << "; see 'orrery --help'\n";
      return kBadInput;
    }
    return parse_and_run(arguments, common);
  } catch (const InputError& wrong) {
    err << "orrery: " << wrong.what() << "\n";
    return kBadInput;
  } catch (const UnitError& wrong) {
    err << "orrery: " << wrong.what() << "\n";
    return kBadInput;
  } catch (const NotFound& absent) {
    err << "orrery: " << absent.what() << "\n";
    return kNotThere;
  } catch (const Interrupted&) {
    err << "orrery: interrupted\n";
    return kInterrupted;
  } catch (const std::exception& fault) {
    err << "orrery: internal error: " << fault.what()
        << "\nThis is a fault of Orrery; please report it with the command:\n  " << common.command_line
        << "\n";
    return kOurFault;
  }
}

}  // namespace orrery::cli
