#include "orrery/graph/readers/scalesim_topology.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <vector>

#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

constexpr int64_t kMostSize = int64_t{1} << 31;
constexpr size_t kMostLayers = 1'000'000;

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin + 1);
}

struct Cell {
  std::string_view text;
  int column = 1;
};

// The cells of a line, without the empty one behind its last comma.
std::vector<Cell> cells_of(std::string_view line) {
  std::vector<Cell> cells;
  size_t begin = 0;
  while (begin <= line.size()) {
    size_t comma = std::min(line.find(',', begin), line.size());
    std::string_view text = trimmed(line.substr(begin, comma - begin));
    if (comma < line.size() || !text.empty()) cells.push_back({text, static_cast<int>(begin) + 1});
    begin = comma + 1;
  }
  return cells;
}

bool is_product_header(const std::vector<Cell>& header) {
  return header.size() > 1 && lower_case(header[1].text) == "m";
}

class Line {
 public:
  Line(std::string_view line, const std::string& path, int number, std::vector<std::string_view> names)
      : line_(line), path_(path), number_(number), names_(std::move(names)), cells_(cells_of(line)) {
    if (cells_.size() < names_.size())
      fail(cells_.empty() ? 1 : cells_.back().column,
           fmt::format("{} values; expected {}: {}", cells_.size(), names_.size(), joined()));
    if (cells_.size() > names_.size() + 1)
      fail(cells_[names_.size() + 1].column, fmt::format("more values than {}", joined()));
    if (cells_.size() == names_.size() + 1 && cells_.back().text != "1:1" && !cells_.back().text.empty())
      fail(cells_.back().column,
           fmt::format("sparsity '{}'; expected 1:1, dense: sparse layers are not priced",
                       printable(cells_.back().text, 40)));
  }

  std::string_view name() const { return cells_[0].text; }

  int64_t size(size_t i) const {
    const Cell& cell = cells_[i];
    int64_t value = 0;
    auto [end, failure] = std::from_chars(cell.text.data(), cell.text.data() + cell.text.size(), value);
    if (failure != std::errc() || end != cell.text.data() + cell.text.size() || value < 1 ||
        value > kMostSize)
      fail(cell.column, fmt::format("{} is '{}'; expected a whole number from 1 to 2^31", names_[i],
                                    printable(cell.text, 40)));
    return value;
  }

  [[noreturn]] void fail_at(size_t i, const std::string& what) const { fail(cells_[i].column, what); }

 private:
  std::string joined() const {
    std::vector<std::string> words(names_.begin(), names_.end());
    return join(words, ", ");
  }
  [[noreturn]] void fail(int column, const std::string& what) const {
    throw InputError(Place{path_, number_, column}, what, line_);
  }
  std::string_view line_;
  const std::string& path_;
  int number_;
  std::vector<std::string_view> names_;
  std::vector<Cell> cells_;
};

OperatorShape product(const Line& line, DataType type) {
  return make(GemmSize{1, line.size(1), line.size(2), line.size(3)}, type, type);
}

// The side of the image that gives the output which SCALE-Sim counts.
int64_t side(int64_t image, int64_t window, int64_t stride) {
  int64_t output = (image - window + 2 * stride - 1) / stride;
  return window + (output - 1) * stride;
}

OperatorShape convolution(const Line& line, DataType type) {
  const int64_t height = line.size(1), width = line.size(2), stride = line.size(7);
  ConvolutionSize c;
  c.kernel_h = line.size(3);
  c.kernel_w = line.size(4);
  if (c.kernel_h > height) line.fail_at(3, "the filter is higher than its image");
  if (c.kernel_w > width) line.fail_at(4, "the filter is wider than its image");
  c.in_channels = line.size(5);
  c.out_channels = line.size(6);
  c.stride_h = c.stride_w = stride;
  c.height = side(height, c.kernel_h, stride);
  c.width = side(width, c.kernel_w, stride);
  if (line.name().find("DP") != std::string_view::npos) {
    c.groups = c.in_channels;
    c.out_channels *= c.in_channels;
  }
  return make(c, type);
}

}  // namespace

bool is_scalesim_topology(std::string_view text) {
  std::vector<Cell> header = cells_of(text.substr(0, text.find('\n')));
  if (header.empty()) return false;
  std::string first = lower_case(header[0].text);
  return first == "layer" || first == "layer name";
}

Graph parse_scalesim_topology(std::string_view text, const std::string& path, DataType type) {
  GraphBuilder builder;
  TensorId before = builder.input(Bytes(0), TensorKind::Input);
  bool products = false;
  int number = 0;
  size_t layers = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view row = text.substr(begin, end - begin);
    begin = end + 1;
    if (++number == 1) {
      products = is_product_header(cells_of(row));
      continue;
    }
    if (trimmed(row).empty()) continue;
    if (++layers > kMostLayers)
      throw InputError(Place{path, number, 1}, fmt::format("more than {} layers", kMostLayers));
    OperatorShape shape = products ? product(Line(row, path, number, {"name", "M", "N", "K"}), type)
                                   : convolution(Line(row, path, number,
                                                      {"name", "IFMAP height", "IFMAP width", "filter height",
                                                       "filter width", "channels", "filters", "stride"}),
                                                 type);
    Traffic moved = traffic(shape);
    const std::array<TensorId, 2> inputs = {before, builder.input(moved.weights, TensorKind::Weight)};
    before = builder.add(printable(cells_of(row)[0].text, 60), static_cast<int>(layers) - 1, shape, inputs,
                         moved.written);
  }
  if (layers == 0) throw InputError(Place{path, 1, 1}, "no layers; expected rows below the header");
  return builder.take(static_cast<int>(layers));
}

}  // namespace orrery::graph
