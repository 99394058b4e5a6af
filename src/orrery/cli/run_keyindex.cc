#include "orrery/cli/run_keyindex.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/cli/options.h"
#include "orrery/keyindex/key_file.h"
#include "orrery/keyindex/string_index.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"

namespace orrery::cli {
namespace {

using keyindex::Cursor;
using keyindex::StringIndex;

char separator(const KeyIndexOptions& options) {
  return options.null_separated ? '\0' : '\n';
}

int build(const KeyIndexOptions& options, const Common& common) {
  StringIndex index = keyindex::index_key_file(options.keys, options.null_separated, options.sorted,
                                               {.point_table = !options.no_table});
  index.save(options.index);
  if (common.json) {
    nlohmann::ordered_json answer = {
        {"schema", "orrery.keyindex.build/1"}, {"index", options.index}, {"keys", index.size()}};
    *common.out << answer.dump(2) << "\n";
  } else {
    *common.out << options.index << ": " << index.size() << " keys\n";
  }
  return 0;
}

// Each key of a file with its value, or with "-" where it is absent.
int get(const KeyIndexOptions& options, const Common& common) {
  StringIndex index = StringIndex::load(options.index);
  keyindex::KeyFile file = keyindex::read_key_file(options.keys, options.null_separated);
  std::vector<uint64_t> values(file.keys.size());
  std::vector<uint8_t> found(file.keys.size());
  index.get_batch(file.keys, values, found);
  bool all = true;
  std::string text;
  for (size_t i = 0; i < file.keys.size(); ++i) {
    text.append(file.keys[i]).append("\t").append(found[i] ? std::to_string(values[i]) : "-");
    text += separator(options);
    all = all && found[i];
    if (text.size() > 1 << 20 || i + 1 == file.keys.size()) {
      common.out->write(text.data(), static_cast<std::streamsize>(text.size()));
      text.clear();
    }
  }
  return all ? 0 : 1;
}

int scan(const KeyIndexOptions& options, const Common& common) {
  StringIndex index = StringIndex::load(options.index);
  if (options.reverse && !options.prefix.empty())
    throw InputError("--prefix goes upwards only; leave out --reverse");
  if (options.has_from && !options.prefix.empty())
    throw InputError("--from and --prefix both say where to begin; give one");
  Cursor cursor = !options.prefix.empty() ? index.scan_prefix(options.prefix)
                  : !options.reverse      ? index.scan(options.from)
                  : options.has_from      ? index.scan_back(options.from)
                                          : index.scan_back();
  for (uint64_t shown = 0; shown < options.count && cursor.next(); ++shown) {
    std::string_view key = cursor.key();
    common.out->write(key.data(), static_cast<std::streamsize>(key.size()));
    if (options.values) *common.out << '\t' << cursor.value();
    *common.out << separator(options);
  }
  return 0;
}

int stats(const KeyIndexOptions& options, const Common& common) {
  StringIndex index = StringIndex::load(options.index);
  keyindex::IndexStats stats = index.stats();
  report::Table table;
  table.title = "Index " + options.index;
  table.columns = {{"what", ""}, {"figure", ""}};
  auto row = [&](const char* what, double value, int decimals = 0) {
    table.rows.push_back({std::string(what), report::number(value, decimals)});
  };
  auto count = [](uint64_t value) { return static_cast<double>(value); };
  row("keys", count(stats.keys));
  row("bytes of the keys", count(stats.key_bytes));
  row("bytes a key beyond its own, value included", stats.bytes_per_key(), 1);
  row("leaves", count(stats.leaves));
  row("inner nodes", count(stats.inner_nodes));
  row("levels of inner nodes", count(stats.levels));
  row("bytes of leaves", count(stats.leaf_bytes));
  row("bytes of inner nodes", count(stats.inner_bytes));
  row("bytes of the point table", count(stats.table_bytes));
  row("bytes of long keys and free blocks", count(stats.long_key_bytes));
  *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
  return 0;
}

int verify(const KeyIndexOptions& options, const Common& common) {
  StringIndex index = StringIndex::load(options.index);
  try {
    index.verify();
  } catch (const InputError& damage) {
    if (!damage.place().file.empty()) throw;
    throw InputError(Place{options.index, 0, 0}, damage.what());
  }
  *common.out << options.index << ": whole, " << index.size() << " keys\n";
  return 0;
}

}  // namespace

Action declare_run_keyindex(CLI::App& app, Common& common) {
  auto options = std::make_shared<KeyIndexOptions>();
  app.require_subcommand(0, 1);
  struct Verb {
    CLI::App* app;
    int (*act)(const KeyIndexOptions&, const Common&);
  };
  auto verbs = std::make_shared<std::vector<Verb>>();
  auto add = [&](const char* name, const char* help, int (*act)(const KeyIndexOptions&, const Common&)) {
    CLI::App* verb = app.add_subcommand(name, help);
    verbs->push_back({verb, act});
    return verb;
  };
  auto null_flag = [&](CLI::App* verb) {
    verb->add_flag("--null", options->null_separated,
                   "Keys end with a NUL byte, not with a line; so they may hold any other");
  };
  auto index_option = [&](CLI::App* verb) {
    verb->add_option("--index", options->index, "The index file")->required();
  };

  CLI::App* verb =
      add("build", "An index file from a file of keys; the value of a key is the number of its line", build);
  verb->add_option("--keys", options->keys, "The file of keys, one a line, all different")->required();
  index_option(verb);
  null_flag(verb);
  verb->add_flag("--sorted", options->sorted,
                 "The keys are in ascending byte order (LC_ALL=C sort); saves sorting them");
  verb->add_flag("--no-point-table", options->no_table,
                 "Leave the table of single keys out: smaller, gets slower");
  add_json(*verb, common);

  verb = add("get", "The value of each key of a file, or - where it is absent (exit status 1 then)", get);
  index_option(verb);
  verb->add_option("--keys", options->keys, "The file of keys to look up")->required();
  null_flag(verb);

  verb = add("scan", "Keys in byte order", scan);
  index_option(verb);
  verb->add_option_function<std::string>(
      "--from",
      [options](const std::string& from) {
        options->from = from;
        options->has_from = true;
      },
      "Where to begin (default: the first key, with --reverse the last)");
  verb->add_option("--prefix", options->prefix, "All keys that begin with this");
  verb->add_option("--count", options->count, "At most so many")->capture_default_str();
  verb->add_flag("--reverse", options->reverse, "Downwards");
  verb->add_flag("--values", options->values, "The value behind each key, after a tab");
  null_flag(verb);

  verb = add("stats", "Size, shape and memory of an index", stats);
  index_option(verb);
  add_json(*verb, common);

  verb = add("verify", "Checks every page, every key, and every way to find it", verify);
  index_option(verb);

  verb = add("bench", "How fast gets, inserts and scans are with the keys of a file", bench_key_index);
  verb->add_option("--keys", options->keys, "The file of keys")->required();
  verb->add_option("--operations", options->operations, "Gets to time; a tenth as many scans")
      ->capture_default_str();
  verb->add_flag("--no-point-table", options->no_table, "Without the table of single keys");
  null_flag(verb);
  add_seed(*verb, common);
  add_json(*verb, common);

  return [&common, options, verbs, &app] {
    for (const Verb& verb : *verbs)
      if (verb.app->parsed()) return verb.act(*options, common);
    *common.out << app.help("orrery run");
    return 2;
  };
}

}  // namespace orrery::cli
