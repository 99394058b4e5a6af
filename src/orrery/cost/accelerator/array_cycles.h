// Cycles of a matrix product on one systolic array, and the words that pass between the array and its
// buffers.
//
// Array of R rows and C columns, out[M, N] += lhs[M, K]·rhs[K, N] with K the contraction, `batch` times with
// operands of their own. A fold is one pass of the array:
//   weight-stationary  f = ⌈K/R⌉⌈N/C⌉, moving size D = M      output-stationary  f = ⌈M/R⌉⌈N/C⌉, moving size
//   K input-stationary   f = ⌈K/R⌉⌈M/C⌉, moving size D = N
// Modes:
//   ScaleSim   folds one after another: f·(2R + C + D − 2), os f·(R + C + K − 2). Equals SCALE-Sim 3's
//   compute
//              cycles (github.com/scalesim-project/SCALE-Sim; it reports the last cycle's index, one less).
//   Pipelined  the next fold's stationary operand shifts in while this one streams, so a fold costs at least
//   R
//              cycles: 2R + C − 2 + (f − 1)·max(D, R) + D, os f·max(K, R) + 2R + C − 2 with the drain.
// Never compare cycles of unlike modes. For ws and is, MACs/(R·C) ≤ Pipelined ≤ ScaleSim.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "orrery/base/units.h"
#include "orrery/graph/operator_shape.h"

namespace orrery::cost {

enum class ArrayMode : uint8_t { Pipelined, ScaleSim };
enum class Dataflow : uint8_t { WeightStationary, OutputStationary, InputStationary, Best };

std::string_view name(ArrayMode);  // "pipelined", "scalesim"
std::string_view name(Dataflow);   // "ws", "os", "is", "best"
std::optional<ArrayMode> parse_array_mode(std::string_view);
std::optional<Dataflow> parse_dataflow(std::string_view);

struct Array {
  int rows = 128, columns = 128;
};

struct ArrayRun {
  double cycles = 0, folds = 0;
  Dataflow dataflow = Dataflow::WeightStationary;  // the one that ran, never Best
  bool transposed = false;                         // M and N exchanged
  // Words over the edge of the array: of the operands as given, and of the result, each partial sum counted.
  double lhs_reads = 0, rhs_reads = 0, out_writes = 0;
};

// One dataflow; Best is the fastest of the three, among equals the one with the fewest words, then the first
// of ws, os, is.
ArrayRun run_on_array(const graph::GemmSize&, Array, ArrayMode, Dataflow);
// The better of the product as given and with M and N exchanged.
ArrayRun run_either_way(const graph::GemmSize&, Array, ArrayMode, Dataflow);

// Groups of a product with equal sizes laid block-diagonally on one array: as many as rows and columns both
// hold, min(⌊R/K⌋, ⌊C/N⌋), since each needs rows and columns of its own. The batch that is left, with the
// sizes of a pack.
graph::GemmSize packed(const graph::GemmSize& groups, Array);

}  // namespace orrery::cost
