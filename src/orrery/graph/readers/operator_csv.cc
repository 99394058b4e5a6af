#include "orrery/graph/readers/operator_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

constexpr int64_t kMostSize = int64_t{1} << 40, kMostOperators = 1'000'000;

// What a size is when its cell is empty; a size that is not listed must be given. `same_as`: another size's
// value.
struct Default {
  std::string_view dim;
  int64_t value;
  std::string_view same_as = {};
};
constexpr Default kDefaults[] = {
    {"batch", 1},
    {"inputs", 1},
    {"broadcast", 0},
    {"outputs", 1},
    {"heaviest", 0},
    {"cached", 0},
    {"causal", 1},
    {"window", 0},
    {"shared", 0},
    {"stride_h", 1},
    {"stride_w", 1},
    {"pad_h", 0},
    {"pad_w", 0},
    {"groups", 1},
    {"kv_heads", 0, "heads"},
    {"value_dim", 0, "head_dim"},
};
constexpr std::string_view kOthers[] = {"op", "count", "dtype", "weights_dtype", "name", "layer", "pass"};
constexpr std::string_view kPasses[] = {"forward",    "input_gradient", "weight_gradient",
                                        "accumulate", "recompute",      "optimizer"};

std::vector<std::string_view> all_columns() {
  std::vector<std::string_view> names(std::begin(kOthers), std::end(kOthers));
  for (size_t kind = 0; kind < kOperatorKinds; ++kind) {
    for (std::string_view dim : traits(static_cast<OperatorKind>(kind)).dims) {
      if (!dim.empty() && std::ranges::find(names, dim) == names.end()) names.push_back(dim);
    }
  }
  return names;
}

std::vector<std::string_view> kind_names() {
  std::vector<std::string_view> names;
  for (size_t kind = 0; kind < kOperatorKinds; ++kind)
    names.push_back(traits(static_cast<OperatorKind>(kind)).name);
  return names;
}

class Rows {
 public:
  explicit Rows(const CsvTable& table) : table_(table) {
    std::vector<std::string_view> known = all_columns();
    for (const std::string& column : table.columns()) {
      if (std::ranges::find(known, column) == known.end()) {
        throw InputError(fmt::format("{}:1: no operator has a size '{}'{}", table.file(), printable(column),
                                     did_you_mean(column, known)));
      }
    }
    op_ = table.at("op");
  }

  OperatorShape shape(size_t row) const {
    std::string_view word = table_.cell(row, op_);
    std::optional<OperatorKind> kind = parse_operator_kind(word);
    if (!kind) {
      std::vector<std::string_view> known = kind_names();
      table_.fail(row, op_,
                  fmt::format("unknown operator '{}'{}", printable(word), did_you_mean(word, known)));
    }
    OperatorShape shape;
    shape.kind = *kind;
    shape.type = type(row, "dtype", DataType::BF16);
    shape.stored = type(row, "weights_dtype", shape.type);
    if (int column = table_.find("pass"); !table_.cell(row, column).empty()) {
      auto found = std::ranges::find(kPasses, table_.cell(row, column));
      if (found == std::end(kPasses))
        table_.fail(row, column, fmt::format("unknown pass; expected {}", fmt::join(kPasses, ", ")));
      shape.pass = static_cast<Pass>(found - std::begin(kPasses));
    }
    const auto& dims = traits(*kind).dims;
    for (size_t i = 0; i < dims.size() && !dims[i].empty(); ++i) shape.dims[i] = size(row, dims, i);
    check(row, shape);
    return shape;
  }

  int64_t count(size_t row) const {
    return table_.integer_or(row, table_.find("count"), 1, 0, kMostOperators);
  }
  int64_t layer(size_t row) const { return table_.integer_or(row, table_.find("layer"), 0, 0, 100'000); }
  std::string name(size_t row, const OperatorShape& shape) const {
    std::string_view given = table_.cell(row, table_.find("name"));
    return given.empty() ? std::string(traits(shape.kind).name) : printable(given);
  }

 private:
  DataType type(size_t row, std::string_view column, DataType absent) const {
    int at = table_.find(column);
    std::string_view word = table_.cell(row, at);
    if (word.empty()) return absent;
    std::optional<DataType> type = parse_data_type(word);
    if (!type)
      table_.fail(
          row, at,
          fmt::format("unknown type '{}'; expected bf16, fp16, fp32, fp8, int4, ...", printable(word)));
    return *type;
  }

  int64_t size(size_t row, std::span<const std::string_view> dims, size_t i) const {
    int column = table_.find(dims[i]);
    if (!table_.cell(row, column).empty())
      return table_.integer(row, column, dims[i] == "cached" ? -kMostSize : 0, kMostSize);
    auto rule = std::ranges::find(kDefaults, dims[i], &Default::dim);
    if (rule == std::end(kDefaults)) {
      table_.fail(row, column < 0 ? op_ : column,
                  fmt::format("'{}' needs {}; add it to the row", table_.cell(row, op_), dims[i]));
    }
    if (rule->same_as.empty()) return rule->value;
    return size(row, dims, static_cast<size_t>(std::ranges::find(dims, rule->same_as) - dims.begin()));
  }

  // Sizes that later arithmetic divides by, and windows that must fit.
  void check(size_t row, const OperatorShape& shape) const {
    if (shape.kind == OperatorKind::Convolution) {
      ConvolutionSize c = convolution_size(shape);
      bool fits = c.stride_h > 0 && c.stride_w > 0 && c.groups > 0 && c.height + 2 * c.pad_h >= c.kernel_h &&
                  c.width + 2 * c.pad_w >= c.kernel_w;
      if (!fits)
        table_.fail(row, op_,
                    "a convolution needs strides and groups above 0 and an image that holds its window");
    }
    if (shape.kind == OperatorKind::Attention) {
      AttentionSize a = attention_size(shape);
      bool fits = a.kv_heads > 0 && a.heads % a.kv_heads == 0 && a.cached + a.query >= 0;
      if (!fits) table_.fail(row, op_, "attention needs heads that divide over kv_heads, and keys");
    }
    if (shape.kind == OperatorKind::GroupedGemm && shape.dims[0] < 1)
      table_.fail(row, op_, "a grouped product needs experts");
  }

  const CsvTable& table_;
  int op_ = 0;
};

}  // namespace

Graph parse_operator_csv(std::string text, const std::string& path) {
  CsvTable table(std::move(text), path);
  Rows rows(table);
  GraphBuilder builder;
  TensorId before = builder.input(Bytes(0), TensorKind::Input);
  int64_t operators = 0, layers = 1;
  for (size_t row = 0; row < table.rows(); ++row) {
    OperatorShape shape = rows.shape(row);
    int64_t count = rows.count(row), layer = rows.layer(row);
    operators += count;
    if (operators > kMostOperators)
      table.fail(row, table.find("count"), fmt::format("more than {} operators in all", kMostOperators));
    layers = std::max(layers, layer + 1);
    Traffic moved = traffic(shape);
    std::string name = rows.name(row, shape);
    for (int64_t i = 0; i < count; ++i) {
      std::vector<TensorId> inputs = {before};
      if (moved.weights.value() > 0 && shape.kind != OperatorKind::Attention)
        inputs.push_back(builder.input(moved.weights, TensorKind::Weight));
      before = builder.add(name, static_cast<int>(layer), shape, inputs, moved.written);
    }
  }
  if (operators == 0) throw InputError(fmt::format("{}: no operators; expected rows below the header", path));
  return builder.take(static_cast<int>(layers));
}

Graph read_operator_csv(const std::string& path) {
  return parse_operator_csv(read_file(path), path);
}

}  // namespace orrery::graph
