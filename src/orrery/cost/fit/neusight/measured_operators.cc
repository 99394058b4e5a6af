#include "orrery/cost/fit/neusight/measured_operators.h"

#include <unordered_map>

#include "orrery/base/csv.h"
#include "orrery/base/text.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

constexpr int64_t kMostSize = int64_t{1} << 40;

struct Columns {
  explicit Columns(const CsvTable& t)
      : gpu(t.at("gpu")),
        op(t.at("op")),
        b(t.at("b")),
        m(t.at("m")),
        n(t.at("n")),
        k(t.at("k")),
        h(t.at("h")),
        latency(t.at("latency_ms")),
        tile_a(t.at("tile_a")),
        tile_b(t.at("tile_b")) {}
  int gpu, op, b, m, n, k, h, latency, tile_a, tile_b;
};

MeasuredOperator read_row(const CsvTable& table, const Columns& c, size_t row) {
  auto size = [&](int column) { return static_cast<double>(table.integer(row, column, 1, kMostSize)); };
  const std::optional<NeuSightKind> kind = parse_neusight_kind(table.cell(row, c.op));
  if (!kind)
    table.fail(row, c.op, "'" + printable(table.cell(row, c.op), 40) + "' is no operator known here");
  MeasuredOperator measured;
  measured.op = is_product(*kind) ? neusight_product(*kind, size(c.b), size(c.m), size(c.k), size(c.n))
                                  : neusight_vector(*kind, size(c.b), size(c.h));
  measured.seconds = table.number(row, c.latency) / 1e3;
  if (!(measured.seconds > 0)) table.fail(row, c.latency, "expected a latency above zero");
  const auto tile_a = static_cast<double>(table.integer_or(row, c.tile_a, 0, 0, kMostSize));
  const auto tile_b = static_cast<double>(table.integer_or(row, c.tile_b, 0, 0, kMostSize));
  if (!is_product(*kind)) {
    measured.tile = {1, tile_a};
  } else if (tile_a > 0 && tile_b > 0) {
    measured.tile = {tile_b, tile_a};
  }
  return measured;
}

}  // namespace

MeasuredOperators read_measured_operators(const std::vector<std::string>& files,
                                          const NeuSightOptions& options) {
  MeasuredOperators measured;
  std::unordered_map<std::string, uint32_t> index;
  for (const std::string& file : files) {
    const CsvTable table = read_csv(file);
    const Columns columns(table);
    for (size_t row = 0; row < table.rows(); ++row) {
      std::string gpu(table.cell(row, columns.gpu));
      auto [at, fresh] = index.emplace(gpu, static_cast<uint32_t>(measured.devices.size()));
      if (fresh) {
        try {
          measured.devices.push_back(neusight_device(hardware::Catalogue::shipped().device(gpu), options));
        } catch (const InputError& e) {
          table.fail(row, columns.gpu, e.what());
        }
      }
      measured.rows.push_back(read_row(table, columns, row));
      measured.rows.back().device = at->second;
    }
  }
  return measured;
}

}  // namespace orrery::cost
