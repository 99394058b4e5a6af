// `orrery validate keyindex`: the training of the string index's models against fresh fits and plain
// searches.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orrery/cli/options.h"
#include "orrery/report/terminal_table.h"
#include "orrery/validate/keyindex.h"

namespace orrery::cli {

Action declare_validate_keyindex(CLI::App& app, Common& common) {
  auto request = std::make_shared<validate::KeyIndexValidationRequest>();
  app.add_option(
      "--keys", request->folder,
      "A folder of key files, one key a line [$ORRERY_KEYS; else the words of this machine, and made ones]");
  app.add_option("--groups", request->groups, "Groups tried a set of keys [200]")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--most-keys", request->most_keys, "Keys taken of a file [1000000]")
      ->check(CLI::Range(10'000, 100'000'000));
  add_json(app, common);
  return [&common, request] {
    const char* folder = std::getenv("ORRERY_KEYS");
    if (request->folder.empty() && folder) request->folder = folder;
    Progress progress("validate keyindex", 6);
    RunContext context = common.context();
    context.progress = &progress;
    const validate::KeyIndexValidationResult result = validate::validate_keyindex(*request, context);
    if (common.json) {
      using json = nlohmann::ordered_json;
      json tables = json::array();
      for (const report::Table& table : result.tables) tables.push_back(json::parse(report::to_json(table)));
      const json document = {
          {"schema", "orrery.keyindex-validation/1"}, {"all_met", result.all_met}, {"tables", tables}};
      *common.out << document.dump(2) << "\n";
    } else {
      for (const report::Table& table : result.tables)
        *common.out << report::to_terminal(table, common.style()) << "\n";
      *common.out << (result.all_met ? "all targets met\n" : "a target was missed\n");
    }
    return result.all_met ? 0 : 1;
  };
}

}  // namespace orrery::cli
