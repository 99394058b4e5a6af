#include "orrery/cost/accelerator/array_cycles.h"

#include <algorithm>
#include <array>
#include <utility>

namespace orrery::cost {
namespace {

using graph::GemmSize;

constexpr std::array<std::string_view, 2> kModes = {"pipelined", "scalesim"};
constexpr std::array<std::string_view, 4> kDataflows = {"ws", "os", "is", "best"};

double passes(int64_t size, int tile) {
  return static_cast<double>((size + tile - 1) / tile);
}

// What a dataflow keeps on rows and columns, and what moves past.
struct Mapping {
  int64_t on_rows, on_columns, moving;
};

Mapping mapping(const GemmSize& s, Dataflow dataflow) {
  if (dataflow == Dataflow::OutputStationary) return {s.m, s.n, s.k};
  if (dataflow == Dataflow::InputStationary) return {s.k, s.m, s.n};
  return {s.k, s.n, s.m};
}

double cycles(double folds, double moving, Array array, ArrayMode mode, Dataflow dataflow) {
  const double rows = array.rows, edges = 2.0 * array.rows + array.columns - 2;
  const bool output = dataflow == Dataflow::OutputStationary;
  if (mode == ArrayMode::ScaleSim) return folds * (output ? edges - rows + moving : edges + moving);
  if (output) return folds * std::max(moving, rows) + edges;
  return edges + (folds - 1) * std::max(moving, rows) + moving;
}

ArrayRun run(const GemmSize& s, Array array, ArrayMode mode, Dataflow dataflow) {
  const Mapping map = mapping(s, dataflow);
  const double row_passes = passes(map.on_rows, array.rows),
               column_passes = passes(map.on_columns, array.columns);
  const double batch = static_cast<double>(s.batch);
  const double lhs = batch * static_cast<double>(s.m) * static_cast<double>(s.k),
               rhs = batch * static_cast<double>(s.k) * static_cast<double>(s.n),
               out = batch * static_cast<double>(s.m) * static_cast<double>(s.n);
  ArrayRun result;
  result.folds = batch * row_passes * column_passes;
  result.cycles = cycles(result.folds, static_cast<double>(map.moving), array, mode, dataflow);
  result.dataflow = dataflow;
  switch (dataflow) {
    case Dataflow::OutputStationary:
      result.lhs_reads = lhs * column_passes;
      result.rhs_reads = rhs * row_passes;
      result.out_writes = out;
      break;
    case Dataflow::InputStationary:
      result.lhs_reads = lhs;
      result.rhs_reads = rhs * column_passes;
      result.out_writes = out * row_passes;
      break;
    default:
      result.lhs_reads = lhs * column_passes;
      result.rhs_reads = rhs;
      result.out_writes = out * row_passes;
  }
  return result;
}

double words(const ArrayRun& run) {  // partial sums leave and come back
  return run.lhs_reads + run.rhs_reads + 2 * run.out_writes;
}

}  // namespace

std::string_view name(ArrayMode mode) {
  return kModes[static_cast<size_t>(mode)];
}

std::string_view name(Dataflow dataflow) {
  return kDataflows[static_cast<size_t>(dataflow)];
}

std::optional<ArrayMode> parse_array_mode(std::string_view text) {
  for (size_t i = 0; i < kModes.size(); ++i) {
    if (kModes[i] == text) return static_cast<ArrayMode>(i);
  }
  return std::nullopt;
}

std::optional<Dataflow> parse_dataflow(std::string_view text) {
  for (size_t i = 0; i < kDataflows.size(); ++i) {
    if (kDataflows[i] == text) return static_cast<Dataflow>(i);
  }
  return std::nullopt;
}

ArrayRun run_on_array(const GemmSize& size, Array array, ArrayMode mode, Dataflow dataflow) {
  if (dataflow != Dataflow::Best) return run(size, array, mode, dataflow);
  ArrayRun best = run(size, array, mode, Dataflow::WeightStationary);
  for (Dataflow other : {Dataflow::OutputStationary, Dataflow::InputStationary}) {
    ArrayRun candidate = run(size, array, mode, other);
    bool fewer = candidate.cycles == best.cycles && words(candidate) < words(best);
    if (candidate.cycles < best.cycles || fewer) best = candidate;
  }
  return best;
}

ArrayRun run_either_way(const GemmSize& size, Array array, ArrayMode mode, Dataflow dataflow) {
  ArrayRun given = run_on_array(size, array, mode, dataflow);
  ArrayRun exchanged = run_on_array({size.batch, size.n, size.m, size.k}, array, mode, dataflow);
  if (exchanged.cycles >= given.cycles) return given;
  exchanged.transposed = true;
  std::swap(exchanged.lhs_reads, exchanged.rhs_reads);
  return exchanged;
}

GemmSize packed(const GemmSize& groups, Array array) {
  int64_t pack = std::min({array.rows / groups.k, array.columns / groups.n, groups.batch});
  if (pack < 2) return groups;
  return {(groups.batch + pack - 1) / pack, groups.m, groups.n * pack, groups.k * pack};
}

}  // namespace orrery::cost
