// Products of small dense matrices in single precision: what the layers of a perceptron need.
//
// Every element of the result is one sum taken in the order of the contraction, without fused multiply-adds,
// whatever the vector width of the processor: the same bits come out on every machine, for any split of the
// rows over threads.
#pragma once

#include <cstddef>

namespace orrery::learn {

// c[m, n] = a[m, k] · b[k, n], all row-major and dense, none overlapping another. Reentrant.
void multiply(size_t m, size_t n, size_t k, const float* a, const float* b, float* c);

// b[columns, rows] = a[rows, columns] transposed.
void transpose(size_t rows, size_t columns, const float* a, float* b);

}  // namespace orrery::learn
