#include "orrery/learn/matrix_product.h"

#include <gtest/gtest.h>

#include <vector>

#include "orrery/learn/test_values.h"

namespace orrery::learn {
namespace {

TEST(MatrixProduct, is_the_sum_in_the_order_of_the_contraction_to_the_bit) {
  for (size_t m : {1, 3, 8, 13}) {
    for (size_t n : {1, 31, 32, 70}) {
      for (size_t k : {1, 7, 64}) {
        const std::vector<float> a = random_values(m * k, Seed{1}), b = random_values(k * n, Seed{2});
        std::vector<float> c(m * n);
        multiply(m, n, k, a.data(), b.data(), c.data());
        for (size_t i = 0; i < m; ++i) {
          for (size_t j = 0; j < n; ++j) {
            float sum = 0;
            for (size_t t = 0; t < k; ++t) sum += a[i * k + t] * b[t * n + j];
            ASSERT_EQ(c[i * n + j], sum) << m << " " << n << " " << k;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace orrery::learn
