// `orrery help` and `orrery completion`: both walk the parser.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/text.h"
#include "orrery/cli/parser.h"

namespace orrery::cli {
namespace {

std::vector<std::string> long_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Words that may follow "verb noun"; GPU and model names are asked of the program itself, so that they are
// never stale.
std::string bash_completion() {
  Common common;
  Parser parser(common);
  std::vector<std::string> verbs;
  std::string options;
  for (const Command& command : commands()) {
    std::string verb = command.verb, noun = command.noun;
    if (verbs.empty() || verbs.back() != verb) verbs.push_back(verb);
    options += fmt::format("    '{}') words='{}' ;;\n", noun.empty() ? verb : verb + " " + noun,
                           join(long_options(*parser.find(verb, noun)), " "));
  }
  std::string noun_cases;
  for (const std::string& verb : verbs) {
    std::vector<std::string> list;
    for (const Command& command : commands()) {
      if (verb == command.verb && *command.noun) list.emplace_back(command.noun);
    }
    if (!list.empty()) noun_cases += fmt::format("      {}) words='{}' ;;\n", verb, join(list, " "));
  }
  return fmt::format(R"bash(_orrery() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='{}'
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case ${{COMP_WORDS[1]}} in
{}    esac
  fi
  case "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" in
{}  esac
  [ "$COMP_CWORD" -le 2 ] && [[ $current != -* ]] && words=${{words%% --*}}
  if [ "$previous" = --device ] || [ "$previous" = --gpu ] || [ "${{COMP_WORDS[2]}}" = gpus ]; then
    words="$words $("${{COMP_WORDS[0]}}" show gpus --names 2>/dev/null)"
  elif [ "$COMP_CWORD" -eq 3 ] && [ "${{COMP_WORDS[1]}}" = predict ] || [ "${{COMP_WORDS[2]}}" = models ]; then
    words="$words $("${{COMP_WORDS[0]}}" show models --names 2>/dev/null)"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _orrery orrery
)bash",
                     join(verbs, " "), noun_cases, options);
}

std::string zsh_completion() {
  return "autoload -U +X bashcompinit && bashcompinit\n" + bash_completion();
}

std::string fish_completion() {
  Common common;
  Parser parser(common);
  std::string text;
  for (const Command& command : commands()) {
    std::string verb = command.verb, noun = command.noun;
    if (noun.empty()) {
      text +=
          fmt::format("complete -c orrery -n __fish_use_subcommand -a {} -d '{}'\n", verb, command.summary);
      continue;
    }
    text += fmt::format("complete -c orrery -n __fish_use_subcommand -a {}\n", verb);
    text += fmt::format("complete -c orrery -n '__fish_seen_subcommand_from {}' -a {} -d '{}'\n", verb, noun,
                        command.summary);
    for (const std::string& option : long_options(*parser.find(verb, noun))) {
      text += fmt::format("complete -c orrery -n '__fish_seen_subcommand_from {}' -l {}\n", noun,
                          option.substr(2));
    }
  }
  return text;
}

}  // namespace

Action declare_completion(CLI::App& app, Common& common) {
  auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return [&common, shell] {
    *common.out << (*shell == "bash"  ? bash_completion()
                    : *shell == "zsh" ? zsh_completion()
                                      : fish_completion());
    return 0;
  };
}

Action declare_help(CLI::App& app, Common& common) {
  struct Options {
    std::vector<std::string> words;
    bool markdown = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("command", options->words, "The command to explain")->expected(0, 2);
  app.add_flag("--markdown", options->markdown, "All commands as one Markdown page: docs/commands.md");
  return [&common, options] {
    if (options->markdown) {
      *common.out << commands_as_markdown();
      return 0;
    }
    Common unused;
    Parser parser(unused);
    std::string verb = options->words.empty() ? "" : options->words[0],
                noun = options->words.size() < 2 ? "" : options->words[1];
    CLI::App* found = verb.empty() ? &parser.root() : parser.find(verb, noun);
    if (!found)
      throw InputError("there is no command '" + printable(join(options->words, " ")) +
                       "'; see 'orrery help'");
    std::string parents = options->words.empty() ? "" : noun.empty() ? "orrery" : "orrery " + verb;
    *common.out << found->help(parents);
    return 0;
  };
}

}  // namespace orrery::cli
