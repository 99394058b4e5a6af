// What the machine's instructions give is what the plain loops give.
#include "orrery/keyindex/training/simd.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "orrery/base/random.h"

namespace orrery::keyindex {
namespace {

// Keys that end before, within and past the window, each in memory of its own.
std::vector<std::string> keys_of_all_lengths(Random& random, size_t count) {
  std::vector<std::string> keys(count);
  for (std::string& key : keys) {
    key.resize(random.index(200));
    for (char& c : key) c = static_cast<char>(random.index(256));
  }
  return keys;
}

struct Choice {
  std::array<uint8_t, 32> offsets{};
  std::array<int16_t, 32> centres{};
  std::array<double, 32> weights{};
  size_t features = 0;
  WindowBytes bytes() const { return {offsets.data(), centres.data(), features}; }
};

Choice choice(Random& random, size_t features, size_t reach) {
  Choice out;
  out.features = features;
  std::vector<uint8_t> places;
  for (size_t k = 0; k < reach; ++k) places.push_back(static_cast<uint8_t>(k));
  while (places.size() > features)
    places.erase(places.begin() + static_cast<long>(random.index(places.size())));
  for (size_t j = 0; j < features; ++j) {
    out.offsets[j] = places[j];
    out.weights[j] = random.uniform() - .5;
    out.centres[j] = static_cast<int16_t>(random.index(256));
  }
  return out;
}

TEST(Simd, gathered_rows_and_their_sums_are_those_of_the_plain_loops) {
  Random random(Seed{3});
  for (size_t reach : {32, 64, 65, 128}) {
    for (size_t features : {1, 16, 17, 31, 32}) {
      const Choice chosen = choice(random, features, reach);
      const std::vector<std::string> owned = keys_of_all_lengths(random, 600);
      const std::vector<std::string_view> keys(owned.begin(), owned.end());
      const size_t first = random.index(40);
      std::array<int32_t, 33> sums{}, plain_sums{};
      sums[features] = plain_sums[features] = 77;  // the place past the end stays as it is
      add_gathered_bytes(keys, first, chosen.bytes(), sums.data());
      add_gathered_bytes_plainly(keys, first, chosen.bytes(), plain_sums.data());
      EXPECT_EQ(sums, plain_sums);
      for (std::string_view key : keys) {
        if (key.size() <= first) continue;
        const auto* window = reinterpret_cast<const unsigned char*>(key.data()) + first;
        const size_t have = std::min(kWindow, key.size() - first);
        std::array<int32_t, 33> row{}, plain{};
        gather_bytes(window, have, chosen.bytes(), row.data());
        gather_bytes_plainly(window, have, chosen.bytes(), plain.data());
        EXPECT_EQ(row, plain);
        EXPECT_NEAR(gathered_dot(window, have, chosen.bytes(), chosen.weights.data()),
                    gathered_dot_plainly(window, have, chosen.bytes(), chosen.weights.data()), 1e-9);
      }
    }
  }
}

TEST(Simd, differing_bytes_takes_a_short_key_as_ending_in_zeros) {
  Random random(Seed{4});
  const std::vector<std::string> keys = keys_of_all_lengths(random, 200);
  for (const std::string& key : keys) {
    std::string other = key.substr(0, random.index(key.size() + 1));
    if (random.index(2)) other.append(random.index(5), '\0');
    if (!other.empty()) other[random.index(other.size())] = 'x';
    for (size_t from : {0, 1, 64, 128, 500})
      EXPECT_EQ(differing_bytes(key, other, from), differing_bytes_plainly(key, other, from));
  }
  EXPECT_EQ(differing_bytes("ab", std::string_view("ab\0", 3), 0), 0u);
}

}  // namespace
}  // namespace orrery::keyindex
