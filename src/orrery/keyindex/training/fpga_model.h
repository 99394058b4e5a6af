// SIA's accelerator in software: what it computes and how long it would take. It makes R in single precision,
// by Householder reflectors whose square roots come from a table of 256 entries and one multiplication; the
// processor does the rest of a training. Cycles by the latencies of the authors' generator (spec in
// docs/keyindex.md):
//   outer(L) = 5L + 19 + max(7 + L, 36)         L = ⌈rows / 8⌉ vectors of 8
//   inner(L) = 6L + 30
//   unit(L)  = Σ_{k<K} [outer + ⌈(K - k) / P⌉ · inner]
//   merge    = U·K²/8 + unit(U·K/8),  read-out K²/8 a unit,  transfer n·⌈rows/8⌉ handshakes
// One core does a group faster than one unit; what the accelerator buys is that the core need not.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/keyindex/training/block_sums.h"
#include "orrery/keyindex/training/qr_factor.h"

namespace orrery::keyindex {

struct FpgaShape {
  int columns = 32;        // K: as many as fit
  int inner_elements = 3;  // P, inner processing elements a unit
  int units = 8;           // U
  int rows_a_unit = 512;
  Hertz clock{200e6};
  Seconds handshake{0.5e-6};  // of the host, for each 8 numbers
};

uint64_t unit_cycles(const FpgaShape& shape, uint64_t rows);
uint64_t merge_cycles(const FpgaShape& shape, uint64_t units);

struct FpgaTime {
  uint64_t cycles = 0;  // units in parallel, then read-out and merge where there are several
  Seconds compute, transfer;
  uint64_t bytes = 0;  // moved to the accelerator and back
};
FpgaTime fpga_time(const FpgaShape& shape, uint64_t rows, uint64_t columns);

// The square root as the table gives it: relative error up to about 2^-9.
float table_square_root(float x);

// R of `before` (may be empty) with `rows` added, as the accelerator rounds.
QrFactor<float> fpga_factor(const QrFactor<float>& before, const RowMatrix& rows);

}  // namespace orrery::keyindex
