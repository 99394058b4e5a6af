#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "orrery/base/text.h"
#include "orrery/trace/readers/token_collector.h"

namespace orrery::trace {
namespace {

// Lines of tab-separated cells; a cell knows its column for errors.
class Rows {
 public:
  Rows(std::string_view text, const std::string& file) : rest_(text), file_(file) {}
  bool next() {
    while (!rest_.empty()) {
      ++line_;
      const size_t end = rest_.find('\n');
      std::string_view row = rest_.substr(0, end);
      rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
      if (row.ends_with('\r')) row.remove_suffix(1);
      if (row.empty() || row.starts_with('#')) continue;
      cells_.clear();
      for (size_t from = 0;;) {
        const size_t tab = row.find('\t', from);
        cells_.push_back(row.substr(from, tab == std::string_view::npos ? tab : tab - from));
        if (tab == std::string_view::npos) break;
        from = tab + 1;
      }
      row_ = row;
      return true;
    }
    return false;
  }
  const std::vector<std::string_view>& cells() const { return cells_; }
  int line() const { return line_; }
  [[noreturn]] void fail(size_t cell, const std::string& message) const {
    int column = 0;
    if (cell < cells_.size()) column = static_cast<int>(cells_[cell].data() - row_.data()) + 1;
    throw InputError(Place{file_, line_, column}, message);
  }
  int64_t integer(size_t cell) const {
    int64_t value = 0;
    const std::string_view text = cells_[cell];
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || value < 0)
      fail(cell, "'" + printable(text, 40) + "' is not a whole number; expected 0 or more");
    return value;
  }

 private:
  std::string_view rest_, row_;
  const std::string& file_;
  int line_ = 0;
  std::vector<std::string_view> cells_;
};

RoutingProfile read_tokens(Rows& rows, const std::string& path, const RoutingOptions& options) {
  const size_t columns = rows.cells().size();
  size_t k = 0;
  while (3 + k < columns && rows.cells()[3 + k] == fmt::format("expert_{}", k + 1)) ++k;
  if (k == 0) rows.fail(3, "expected expert_1 behind problem, token, layer");
  const auto column = [&](std::string_view title) {
    const auto& header = rows.cells();
    return static_cast<size_t>(std::find(header.begin(), header.end(), title) - header.begin());
  };
  const size_t step = column("step"), phase = column("phase");
  TokenCollector tokens(path, options.experts);
  std::vector<int64_t> experts(k);
  while (rows.next()) {
    if (rows.cells().size() != columns)
      rows.fail(columns, fmt::format("{} cells; expected {} as in the header", rows.cells().size(), columns));
    for (size_t r = 0; r < k; ++r) experts[r] = rows.integer(3 + r);
    TokenMark mark;
    if (step < columns) mark.step = static_cast<uint64_t>(rows.integer(step));
    if (phase < columns) {
      mark.phase = phase_of(rows.cells()[phase]);
      if (mark.phase == Phase::Unknown)
        rows.fail(phase,
                  "'" + printable(rows.cells()[phase], 40) + "' is no phase; expected prefill or decode");
    }
    tokens.add(static_cast<uint64_t>(rows.integer(0)), static_cast<uint64_t>(rows.integer(1)),
               rows.integer(2), experts, rows.line(), mark);
  }
  return tokens.finish(options);
}

struct CountRow {
  int64_t layer_from, layer_to;  // layer_to −1: a load row
  int64_t from, to;
  double count;
  int line;
};

std::vector<CountRow> count_rows(Rows& rows, bool top1, int experts) {
  std::vector<CountRow> result;
  while (rows.next()) {
    if (rows.cells().size() != 6) rows.fail(6, fmt::format("{} cells; expected 6", rows.cells().size()));
    const std::string_view kind = rows.cells()[0];
    if (kind != "topk" && kind != "top1")
      rows.fail(0, "'" + printable(kind, 40) + "' is no kind; expected topk or top1");
    const bool load = rows.cells()[2] == "-";
    CountRow row{rows.integer(1),
                 load ? -1 : rows.integer(2),
                 rows.integer(3),
                 load ? -1 : rows.integer(4),
                 static_cast<double>(rows.integer(5)),
                 rows.line()};
    const int limit = experts > 0 ? experts : kMostExpertsUnasked;
    if (row.from >= limit || row.to >= limit)
      rows.fail(row.from >= limit ? 3 : 4,
                fmt::format("expert {} is outside 0..{}; give the model's number of "
                            "experts with --experts or --model if it has more",
                            std::max(row.from, row.to), limit - 1));
    if (!load && row.layer_to <= row.layer_from) rows.fail(2, "a transition leads to a later layer");
    if ((kind == "top1") == top1) result.push_back(row);
  }
  return result;
}

RoutingProfile read_counts(Rows& rows, const std::string& path, const RoutingOptions& options) {
  const bool top1 = options.rule == WeightRule::Top1;
  const std::vector<CountRow> counts = count_rows(rows, top1, options.experts);
  RoutingProfile profile;
  profile.name = options.name.empty() ? profile_name(path) : options.name;
  profile.rule = top1 ? WeightRule::Top1 : WeightRule::RankPaired;
  int64_t largest = -1;
  std::map<int64_t, size_t> index;
  bool transitions = false;
  for (const CountRow& row : counts) {
    largest = std::max({largest, row.from, row.to});
    index.try_emplace(row.layer_from, 0);
    if (row.layer_to >= 0) {
      index.try_emplace(row.layer_to, 0);
      transitions = true;
    }
  }
  if (counts.empty())
    throw InputError(Place{path, 0, 0}, fmt::format("holds no rows of kind {}", top1 ? "top1" : "topk"));
  for (auto& [id, at] : index) {
    at = profile.layer_ids.size();
    profile.layer_ids.push_back(static_cast<int>(id));
  }
  profile.experts = options.experts > 0 ? options.experts : static_cast<int>(largest + 1);
  const auto experts = static_cast<size_t>(profile.experts);
  check_profile_size(path, transitions ? index.size() : 0, profile.experts);
  profile.load.assign(index.size(), std::vector<double>(experts, 0));
  if (transitions) profile.transition.assign(index.size() - 1, std::vector<float>(experts * experts, 0.F));
  for (const CountRow& row : counts) {
    const size_t l = index.at(row.layer_from);
    const auto from = static_cast<size_t>(row.from);
    if (row.layer_to < 0) {
      profile.load[l][from] += row.count;
    } else if (index.at(row.layer_to) != l + 1) {
      throw InputError(Place{path, row.line, 0},
                       "a transition leads past a layer that lies between; expected "
                       "transitions from each layer to the next one recorded");
    } else {
      profile.transition[l][from * experts + static_cast<size_t>(row.to)] += static_cast<float>(row.count);
    }
  }
  for (size_t l = 0; l < profile.transition.size(); ++l) {
    for (size_t i = 0; i < experts; ++i) {
      double sum = 0;
      for (size_t j = 0; j < experts; ++j) sum += static_cast<double>(profile.transition[l][i * experts + j]);
      if (std::abs(sum - profile.load[l][i]) > 1e-3 * (profile.load[l][i] + 1))
        throw InputError(
            Place{path, 0, 0},
            fmt::format("transitions of layer {} from expert {} sum to {:.0f}, its load is {:.0f}; expected "
                        "equal: weigh all k² pairs by 1/k, or pair choices by rank",
                        profile.layer_ids[l], i, sum, profile.load[l][i]));
    }
  }
  // Rank-paired counts hold no k; the tokens of a layer are those of the first choices, unknown here.
  profile.top_k = 1;
  return profile;
}

}  // namespace

RoutingProfile read_routing_tsv(const std::string& text, const std::string& path,
                                const RoutingOptions& options) {
  Rows rows(text, path);
  if (!rows.next()) throw InputError(Place{path, 1, 0}, "is empty; expected a header row");
  const std::vector<std::string_view>& header = rows.cells();
  if (header.size() >= 4 && header[0] == "problem" && header[1] == "token" && header[2] == "layer")
    return read_tokens(rows, path, options);
  if (header.size() == 6 && header[0] == "kind" && header[1] == "layer_from" && header[5] == "count")
    return read_counts(rows, path, options);
  rows.fail(0,
            "no routing file; expected the header 'problem token layer expert_1 ...' or 'kind layer_from "
            "layer_to expert_from expert_to count', tab-separated");
}

}  // namespace orrery::trace
