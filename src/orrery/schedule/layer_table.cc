#include "orrery/schedule/layer_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/base/text.h"

namespace orrery::schedule {
namespace {

constexpr std::string_view kEdgesLine = "# edges (from>to:bytes at each width):";
constexpr const char* kHeader =
    "width,layer,forward_s,backward_s,recompute_s,weights_bytes,activations_bytes,boundary_bytes,energy_j,"
    "tensor_split\n";
constexpr int64_t kMostLayers = 100000, kMostWidth = 1 << 20;

double parse_number(std::string_view text, const std::string& file) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(std::string(text), &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size() || text.empty() || !std::isfinite(value)) {
    throw InputError(Place{file, 1, 1}, "'" + printable(text, 40) + "' in the line of edges is not a number");
  }
  return value;
}

// "0>1:8;4 0>2:8;4"
void read_edges(std::string_view text, const std::string& file, LayerTable& table) {
  std::vector<std::vector<Bytes>> bytes;  // per edge, per width
  for (const std::string& word : split(text, ' ')) {
    if (word.empty()) continue;
    size_t arrow = word.find('>'), colon = word.find(':');
    if (arrow == std::string::npos || colon == std::string::npos || colon < arrow) {
      throw InputError(Place{file, 1, 1}, "'" + printable(word, 40) + "' is no edge; expected from>to:bytes");
    }
    double from = parse_number(std::string_view(word).substr(0, arrow), file);
    double to = parse_number(std::string_view(word).substr(arrow + 1, colon - arrow - 1), file);
    if (!(from >= 0 && to >= 0 && from < static_cast<double>(kMostLayers) &&
          to < static_cast<double>(kMostLayers))) {
      throw InputError(Place{file, 1, 1}, "'" + printable(word, 40) + "' joins layers that cannot be");
    }
    table.edges.push_back({static_cast<int32_t>(from), static_cast<int32_t>(to)});
    bytes.emplace_back();
    for (const std::string& value : split(std::string_view(word).substr(colon + 1), ';')) {
      bytes.back().push_back(Bytes(parse_number(value, file)));
    }
  }
  size_t widths = bytes.empty() ? 0 : bytes.front().size();
  for (size_t w = 0; w < widths; ++w) {
    for (const std::vector<Bytes>& edge : bytes) {
      if (edge.size() != widths)
        throw InputError(Place{file, 1, 1}, "the edges give bytes for different numbers of widths");
      table.edge_bytes.push_back(edge[w]);
    }
  }
}

}  // namespace

std::string write_layer_table(const LayerTable& table) {
  std::string text;
  if (!table.edges.empty()) {
    text += kEdgesLine;
    for (size_t e = 0; e < table.edges.size(); ++e) {
      text += fmt::format(" {}>{}:", table.edges[e][0], table.edges[e][1]);
      for (size_t w = 0; w < table.widths.size(); ++w) {
        text += fmt::format("{}{}", w ? ";" : "", table.edge_bytes[w * table.edges.size() + e].value());
      }
    }
    text += '\n';
  }
  text += kHeader;
  for (size_t w = 0; w < table.widths.size(); ++w) {
    for (int layer = 0; layer < table.layers; ++layer) {
      const LayerProfile& p = table.profile(w, layer);
      text += fmt::format("{},{},{},{},{},{},{},{},{},{}\n", table.widths[w], layer, p.forward.value(),
                          p.backward.value(), p.recompute.value(), p.weights.value(), p.activations.value(),
                          p.boundary.value(), p.energy.value(), p.tensor_split ? 1 : 0);
    }
  }
  return text;
}

LayerTable read_layer_table(std::string text, const std::string& file) {
  LayerTable table;
  if (std::string_view(text).starts_with(kEdgesLine)) {
    size_t end = std::min(text.find('\n'), text.size());
    read_edges(std::string_view(text).substr(kEdgesLine.size(), end - kEdgesLine.size()), file, table);
  }
  CsvTable csv(std::move(text), file);
  const int width = csv.at("width"), layer = csv.at("layer");
  const int columns[] = {csv.at("forward_s"),     csv.at("backward_s"),        csv.at("recompute_s"),
                         csv.at("weights_bytes"), csv.at("activations_bytes"), csv.at("boundary_bytes"),
                         csv.at("energy_j")};
  const int split_column = csv.at("tensor_split");
  for (size_t row = 0; row < csv.rows(); ++row) {
    table.widths.push_back(static_cast<int>(csv.integer(row, width, 1, kMostWidth)));
    table.layers = std::max(table.layers, 1 + static_cast<int>(csv.integer(row, layer, 0, kMostLayers)));
  }
  std::sort(table.widths.begin(), table.widths.end());
  table.widths.erase(std::unique(table.widths.begin(), table.widths.end()), table.widths.end());
  size_t cells = table.widths.size() * static_cast<size_t>(table.layers);
  if (cells != csv.rows()) {
    throw InputError(Place{file, 0, 0},
                     fmt::format("has {} rows; expected {}: one for each of {} widths and {} layers",
                                 csv.rows(), cells, table.widths.size(), table.layers));
  }
  table.at.resize(cells);
  std::vector<bool> filled(cells);
  for (size_t row = 0; row < csv.rows(); ++row) {
    auto w =
        std::lower_bound(table.widths.begin(), table.widths.end(), csv.integer(row, width, 1, kMostWidth)) -
        table.widths.begin();
    size_t cell = static_cast<size_t>(w) * static_cast<size_t>(table.layers) +
                  static_cast<size_t>(csv.integer(row, layer, 0, kMostLayers));
    if (filled[cell]) csv.fail(row, layer, "this width and layer stand twice");
    filled[cell] = true;
    double v[7];
    for (size_t i = 0; i < 7; ++i) {
      v[i] = csv.number(row, columns[i]);
      if (v[i] < 0) csv.fail(row, columns[i], "is negative");
    }
    table.at[cell] = {Seconds(v[0]), Seconds(v[1]), Seconds(v[2]), Bytes(v[3]),
                      Bytes(v[4]),   Bytes(v[5]),   Joules(v[6]),  csv.integer(row, split_column, 0, 1) == 1};
  }
  for (const auto& edge : table.edges) {
    if (edge[0] >= table.layers || edge[1] >= table.layers || edge[0] >= edge[1]) {
      throw InputError(Place{file, 1, 1}, fmt::format("edge {}>{} does not join two of {} layers forwards",
                                                      edge[0], edge[1], table.layers));
    }
  }
  if (!table.edges.empty() && table.edge_bytes.size() != table.edges.size() * table.widths.size()) {
    throw InputError(Place{file, 1, 1}, "the edges give bytes for another number of widths than the rows");
  }
  return table;
}

}  // namespace orrery::schedule
