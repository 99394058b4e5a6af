#include "orrery/base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace orrery {
namespace {

TEST(ParallelFor, every_index_is_visited_once_for_any_number_of_threads) {
  for (int threads : {-1, 1, 2, 7}) {
    for (size_t n : {0u, 1u, 99u, 100u, 101u, 5000u}) {
      std::vector<int> visits(n, 0);
      parallel_for(n, 100, threads, [&](size_t begin, size_t end, size_t chunk) {
        EXPECT_EQ(begin, chunk * 100);
        for (size_t i = begin; i < end; ++i) ++visits[i];
      });
      for (int count : visits) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ParallelFor, sums_per_chunk_do_not_depend_on_the_threads) {
  auto sum = [](int threads) {
    std::vector<double> partial(100, 0);
    parallel_for(10'000, 100, threads, [&](size_t begin, size_t end, size_t chunk) {
      for (size_t i = begin; i < end; ++i) partial[chunk] += 1.0 / static_cast<double>(i + 1);
    });
    double total = 0;
    for (double p : partial) total += p;
    return total;
  };
  EXPECT_EQ(sum(1), sum(2));
  EXPECT_EQ(sum(1), sum(5));
}

TEST(ParallelFor, the_exception_of_the_lowest_chunk_is_rethrown_after_all_have_run) {
  for (int threads : {1, 3}) {
    std::atomic<int> ran{0};
    try {
      parallel_for(20, 1, threads, [&](size_t, size_t, size_t chunk) {
        ++ran;
        if (chunk == 4 || chunk == 11) throw std::runtime_error(std::to_string(chunk));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& failure) {
      EXPECT_STREQ(failure.what(), "4");
    }
    EXPECT_EQ(ran, 20);
  }
}

TEST(ParallelFor, a_chunk_size_of_zero_means_one) {
  std::atomic<int> chunks{0};
  parallel_for(3, 0, 2, [&](size_t begin, size_t end, size_t) {
    EXPECT_EQ(end, begin + 1);
    ++chunks;
  });
  EXPECT_EQ(chunks, 3);
}

}  // namespace
}  // namespace orrery
