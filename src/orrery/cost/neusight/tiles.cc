#include "orrery/cost/neusight/tiles.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "orrery/base/base64.h"

namespace orrery::cost {
namespace {

using Shape = std::array<float, 4>;  // batch, m, n, k

constexpr std::string_view kCodes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr char kNoCode = '.';

bool has_table(NeuSightKind kind) {
  return class_of(kind) != NeuSightClass::Softmax && class_of(kind) != NeuSightClass::LayerNorm;
}

Shape shape_of(const NeuSightOperator& op) {
  return {static_cast<float>(op.batch), static_cast<float>(op.m), static_cast<float>(op.n),
          static_cast<float>(op.k)};
}

double square(double x) {
  return x * x;
}

double shape_distance(const Shape& a, const Shape& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += square(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  return sum;
}
double log_shape_distance(const Shape& a, const Shape& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += square(std::log2(static_cast<double>(a[i]) / static_cast<double>(b[i])));
  return sum;
}
double device_distance(const NeuSightDevice& a, const NeuSightDevice& b, bool product) {
  const double rate = product ? a.matrix_gflops - b.matrix_gflops : a.vector_gflops - b.vector_gflops;
  return square(a.multiprocessors - b.multiprocessors) + square(rate) + square(a.memory_gb - b.memory_gb) +
         square(a.bandwidth_gb_s - b.bandwidth_gb_s) + square(a.l2_mb - b.l2_mb);
}

// Sizes as variable-length numbers of seven bits a byte, batch (or rows) as its difference to the shape
// before.
void put(std::vector<uint8_t>& bytes, uint64_t value) {
  for (; value >= 128; value >>= 7) bytes.push_back(static_cast<uint8_t>(value | 128));
  bytes.push_back(static_cast<uint8_t>(value));
}
uint64_t take(std::span<const uint8_t>& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 42; shift += 7) {
    if (bytes.empty()) break;
    const uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) return value;
  }
  throw std::invalid_argument("a size is damaged");
}

std::string pack(const std::vector<Shape>& shapes) {
  std::vector<uint8_t> bytes;
  uint64_t before = 0;
  for (const Shape& shape : shapes) {
    const auto first = static_cast<uint64_t>(shape[0]);
    put(bytes, first - before);
    before = first;
    for (size_t i = 1; i < shape.size(); ++i) put(bytes, static_cast<uint64_t>(shape[i]));
  }
  return encode_base64(bytes);
}
std::vector<Shape> unpack(const std::string& text) {
  const std::vector<uint8_t> decoded = decode_base64(text);
  std::span<const uint8_t> bytes(decoded);
  std::vector<Shape> shapes;
  uint64_t before = 0;
  while (!bytes.empty()) {
    Shape shape;
    before += take(bytes);
    shape[0] = static_cast<float>(before);
    for (size_t i = 1; i < shape.size(); ++i) shape[i] = static_cast<float>(take(bytes));
    shapes.push_back(shape);
  }
  return shapes;
}

}  // namespace

NeuSightTiles::NeuSightTiles(std::vector<NeuSightDevice> devices, const std::vector<Row>& rows)
    : devices_(std::move(devices)) {
  std::array<std::map<Shape, std::map<uint32_t, NeuSightTile>>, kNeuSightKinds> recorded;
  for (const Row& row : rows) {
    if (!has_table(row.op.kind) || row.tile.columns <= 0) continue;
    recorded[static_cast<size_t>(row.op.kind)][shape_of(row.op)].emplace(row.device, row.tile);
  }
  for (size_t kind = 0; kind < kNeuSightKinds; ++kind) {
    Table& table = tables_[kind];
    table.tile_of.resize(devices_.size());
    std::map<std::pair<double, double>, uint8_t> code;
    for (const auto& [shape, of_device] : recorded[kind]) {
      table.shapes.push_back(shape);
      for (auto& codes : table.tile_of) codes.push_back(kNoTile);
      for (const auto& [device, tile] : of_device) {
        auto [at, fresh] =
            code.emplace(std::pair(tile.rows, tile.columns), static_cast<uint8_t>(table.tiles.size()));
        if (fresh) table.tiles.push_back(tile);
        table.tile_of[device].back() = at->second;
      }
    }
    if (table.tiles.size() > kCodes.size()) throw Error("more than 62 distinct tiles of one operator");
  }
}

NeuSightTile NeuSightTiles::find(const NeuSightOperator& op, const NeuSightDevice& device,
                                 NeuSightOptions::TileSearch search) const {
  const bool product = is_product(op.kind);
  if (!has_table(op.kind)) return {1, op.n};
  const Table& table = tables_[static_cast<size_t>(op.kind)];
  const bool scaled = search == NeuSightOptions::TileSearch::Scaled;
  // What a device of the table adds to every distance; the scaled search looks at the nearest architecture
  // only.
  std::vector<double> apart(devices_.size());
  for (size_t d = 0; d < devices_.size(); ++d) {
    apart[d] = scaled ? std::abs(static_cast<double>(devices_[d].architecture) -
                                 static_cast<double>(device.architecture))
                      : device_distance(device, devices_[d], product);
  }
  double least = std::numeric_limits<double>::infinity();
  if (scaled && !apart.empty()) {
    const double kin = *std::min_element(apart.begin(), apart.end());
    for (double& a : apart) a = a > kin ? least : 0;
  }
  NeuSightTile tile = product ? NeuSightTile{128, 128} : NeuSightTile{1, 512};  // what libraries use most
  const Shape shape = shape_of(op);
  for (size_t s = 0; s < table.shapes.size(); ++s) {
    const double sizes =
        scaled ? log_shape_distance(shape, table.shapes[s]) : shape_distance(shape, table.shapes[s]);
    if (sizes >= least) continue;
    for (size_t d = 0; d < devices_.size(); ++d) {
      const uint8_t code = table.tile_of[d][s];
      if (code == kNoTile || sizes + apart[d] >= least) continue;
      least = sizes + apart[d];
      tile = table.tiles[code];
    }
  }
  return tile;
}

std::string NeuSightTiles::to_json() const {
  nlohmann::ordered_json json;
  json["devices"] = nlohmann::ordered_json::array();
  for (const NeuSightDevice& d : devices_) {
    json["devices"].push_back({{"name", d.name},
                               {"architecture", hardware::name(d.architecture)},
                               {"memory_gb", d.memory_gb},
                               {"bandwidth_gb_s", d.bandwidth_gb_s},
                               {"multiprocessors", d.multiprocessors},
                               {"matrix_gflops", d.matrix_gflops},
                               {"vector_gflops", d.vector_gflops},
                               {"l2_mb", d.l2_mb}});
  }
  json["kinds"] = nlohmann::ordered_json::object();
  for (size_t kind = 0; kind < kNeuSightKinds; ++kind) {
    const Table& table = tables_[kind];
    if (table.shapes.empty()) continue;
    nlohmann::ordered_json& of_kind = json["kinds"][std::string(name(static_cast<NeuSightKind>(kind)))];
    of_kind["tiles"] = nlohmann::ordered_json::array();
    for (const NeuSightTile& tile : table.tiles) of_kind["tiles"].push_back({tile.rows, tile.columns});
    of_kind["shapes"] = pack(table.shapes);
    of_kind["tile_of"] = nlohmann::ordered_json::array();
    for (const std::vector<uint8_t>& codes : table.tile_of) {
      std::string text;
      for (uint8_t code : codes) text += code == kNoTile ? kNoCode : kCodes[code];
      of_kind["tile_of"].push_back(text);
    }
  }
  return json.dump();
}

NeuSightTiles NeuSightTiles::from_json(const Node& node) {
  NeuSightTiles tiles;
  for (const Node& item : node.at("devices").items()) {
    NeuSightDevice d;
    d.name = item.at("name").as_string();
    auto architecture = hardware::parse_architecture(item.at("architecture").as_string());
    if (!architecture) item.at("architecture").fail("is no architecture that is known here");
    d.architecture = *architecture;
    d.memory_gb = item.at("memory_gb").as_number(0, 1e6);
    d.bandwidth_gb_s = item.at("bandwidth_gb_s").as_number(0, 1e6);
    d.multiprocessors = item.at("multiprocessors").as_number(1, 1e6);
    d.matrix_gflops = item.at("matrix_gflops").as_number(0, 1e9);
    d.vector_gflops = item.at("vector_gflops").as_number(0, 1e9);
    d.l2_mb = item.at("l2_mb").as_number(0, 1e6);
    tiles.devices_.push_back(d);
  }
  for (Table& table : tiles.tables_) table.tile_of.resize(tiles.devices_.size());
  for (const auto& [key, of_kind] : node.at("kinds").entries()) {
    const std::optional<NeuSightKind> kind = parse_neusight_kind(key);
    if (!kind) of_kind.fail("'" + key + "' is no operator of this predictor");
    Table& table = tiles.tables_[static_cast<size_t>(*kind)];
    for (const Node& tile : of_kind.at("tiles").items()) {
      if (tile.items().size() != 2) tile.fail("expected rows and columns of a tile");
      table.tiles.push_back({tile.items()[0].as_number(0, 1e12), tile.items()[1].as_number(1, 1e12)});
    }
    try {
      table.shapes = unpack(of_kind.at("shapes").as_string());
    } catch (const std::invalid_argument& e) {
      of_kind.at("shapes").fail(e.what());
    }
    const Node& rows = of_kind.at("tile_of");
    if (rows.items().size() != tiles.devices_.size()) rows.fail("expected one row a device");
    for (size_t d = 0; d < tiles.devices_.size(); ++d) {
      const std::string& text = rows.items()[d].as_string();
      if (text.size() != table.shapes.size()) rows.items()[d].fail("expected one letter a shape");
      for (char c : text) {
        const size_t code = kCodes.find(c);
        if (c != kNoCode && code >= table.tiles.size()) rows.items()[d].fail("a letter names no tile");
        table.tile_of[d].push_back(c == kNoCode ? kNoTile : static_cast<uint8_t>(code));
      }
    }
  }
  return tiles;
}

}  // namespace orrery::cost
