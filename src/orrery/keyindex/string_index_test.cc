#include "orrery/keyindex/string_index.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "orrery/base/error.h"
#include "orrery/base/random.h"
#include "orrery/base/test_support.h"
#include "orrery/keyindex/key_file.h"
#include "orrery/keyindex/oracle.h"

namespace orrery::keyindex {
namespace {

using testing_support::Oracle;

class StringIndexOn : public ::testing::TestWithParam<bool> {
 protected:
  IndexOptions options() const { return {.point_table = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(point_table, StringIndexOn, ::testing::Bool());

std::vector<std::string> sorted_keys(size_t count, const std::function<std::string(Random&)>& make,
                                     uint64_t seed = 1) {
  Random random(Seed{seed});
  std::map<std::string, int> keys;
  while (keys.size() < count) keys[make(random)];
  std::vector<std::string> result;
  for (auto& [key, unused] : keys) result.push_back(key);
  return result;
}

std::string random_name(Random& random) {
  std::string name;
  for (size_t size = 1 + random.index(16); size > 0; --size) name += static_cast<char>('a' + random.index(8));
  return name;
}

std::string random_path(Random& random) {
  static const char* kParts[] = {"usr", "share", "lib", "doc", "python3", "include", "x", "locale-gen"};
  std::string path;
  for (size_t depth = 1 + random.index(7); depth > 0; --depth)
    path += std::string("/") + kParts[random.index(8)] +
            (random.index(3) ? "" : std::to_string(random.index(50)));
  return path + "/" + random_name(random);
}

std::string hostile_key(Random& random) {  // NULs, shared prefixes, lengths from 0 to 64 KiB
  switch (random.index(8)) {
    case 0:
      return std::string(random.index(40), '\0');
    case 1:
      return std::string("a") + std::string(random.index(20), '\0') + (random.index(2) ? "b" : "");
    case 2:
      return std::string(random.index(12), '\xff') + std::string(random.index(3), '\0');
    case 3:
      return std::string(470 + random.index(20), 'k') + static_cast<char>(random.index(4));
    case 4:
      return std::string(random.index(50) == 0 ? 65530 + random.index(7) : 600, 'L') + random_name(random);
    case 5:
      return std::string(8 * random.index(5), 'p') + static_cast<char>(random.index(256));
    case 6: {
      std::string bytes;
      for (size_t size = random.index(12); size > 0; --size)
        bytes += static_cast<char>(random.index(3) ? random.index(2) : random.index(256));
      return bytes;
    }
    default:
      return random_name(random);
  }
}

std::string cut(std::string key) {
  if (key.size() > kLongestKey) key.resize(kLongestKey);
  return key;
}

TEST_P(StringIndexOn, finds_what_was_loaded_and_nothing_else) {
  for (auto make : {random_name, random_path}) {
    auto keys = sorted_keys(20000, make);
    std::vector<std::string_view> half;
    std::vector<uint64_t> values;
    for (size_t i = 0; i < keys.size(); i += 2) {
      half.push_back(keys[i]);
      values.push_back(i);
    }
    StringIndex index(options());
    index.bulk_load(half, values);
    index.verify();
    for (size_t i = 0; i < keys.size(); ++i) {
      auto value = index.get(keys[i]);
      ASSERT_EQ(value.has_value(), i % 2 == 0) << keys[i];
      if (value) {
        ASSERT_EQ(*value, i);
      }
    }
    std::vector<std::string_view> all(keys.begin(), keys.end());
    std::vector<uint64_t> batch(all.size());
    std::vector<uint8_t> found(all.size());
    index.get_batch(all, batch, found);
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(found[i], i % 2 == 0);
      if (found[i]) {
        ASSERT_EQ(batch[i], i);
      }
    }
  }
}

TEST_P(StringIndexOn, agrees_with_a_map_on_mixed_operations) {
  for (auto make : {random_name, random_path}) {
    Oracle oracle(options(), 7);
    oracle.run(60000, make);
  }
}

TEST_P(StringIndexOn, agrees_with_a_map_on_hostile_keys) {
  Oracle oracle(options(), 8);
  oracle.run(20000, [](Random& random) { return cut(hostile_key(random)); });
}

TEST_P(StringIndexOn, keys_in_ascending_and_descending_order_fill_leaves) {
  for (bool up : {true, false}) {
    StringIndex index(options());
    for (int i = 0; i < 30000; ++i) {
      std::string key = "key" + std::to_string(1000000 + (up ? i : 30000 - i));
      ASSERT_TRUE(index.insert(key, static_cast<uint64_t>(i)));
    }
    index.verify();
    EXPECT_EQ(index.size(), 30000u);
    if (up) {
      EXPECT_LT(index.stats().leaves, 30000u / 50);
    }
  }
}

TEST_P(StringIndexOn, removing_all_gives_the_leaves_back) {
  auto keys = sorted_keys(20000, random_path);
  StringIndex index(options());
  for (size_t i = 0; i < keys.size(); ++i) index.put(keys[i], i);
  uint64_t leaves = index.stats().leaves;
  for (auto& key : keys) ASSERT_TRUE(index.remove(key));
  index.verify();
  EXPECT_TRUE(index.empty());
  EXPECT_GT(leaves, 300u);
  EXPECT_LT(index.stats().leaves, 10u);
  EXPECT_FALSE(index.scan().next());
}

TEST_P(StringIndexOn, unsorted_or_repeated_keys_are_refused_with_their_place) {
  StringIndex index(options());
  std::vector<uint64_t> values(3);
  for (auto [keys, says] :
       {std::pair{std::vector<std::string_view>{"a", "c", "b"}, "key 3 ('b') is below"},
        std::pair{std::vector<std::string_view>{"a", "b", "b"}, "key 3 ('b') is there twice"}}) {
    try {
      index.bulk_load(keys, values);
      FAIL();
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
    EXPECT_TRUE(index.empty());
    EXPECT_FALSE(index.get("a"));
  }
  std::string long_key(kLongestKey + 1, 'x');
  EXPECT_THROW(index.put(long_key, 1), InputError);
  EXPECT_FALSE(index.get(long_key));
  EXPECT_TRUE(index.put(std::string_view(long_key).substr(1), 1));
}

// Minutes long: with ORRERY_KEYINDEX_KEYS=FILE (keys in lines) and, if other than ten million,
// ORRERY_KEYINDEX_OPERATIONS=N. Without a file the keys are adversarial ones: few letters, NULs, long ones.
TEST_P(StringIndexOn, many_mixed_operations_and_reopening_agree_with_a_map) {
  const char* file = std::getenv("ORRERY_KEYINDEX_KEYS");
  const char* count = std::getenv("ORRERY_KEYINDEX_OPERATIONS");
  if (!file && !count) GTEST_SKIP() << "ORRERY_KEYINDEX_KEYS is not set";
  KeyFile keys;
  if (file) keys = read_key_file(file, false);
  auto make = [&](Random& random) {
    if (file) return std::string(keys.keys[random.index(keys.keys.size())]);
    std::string key;
    for (size_t size = random.index(random.index(50) ? 24 : 700); size > 0; --size)
      key += std::string_view("\0a\xff", 3)[random.index(3)];
    return key;
  };
  size_t operations = count ? std::stoull(count) : 10'000'000;
  TemporaryFolder folder("many_mixed");
  Oracle oracle(options(), 11);
  for (size_t piece = 0; piece < 10; ++piece) {
    oracle.run(operations / 10, make, operations);
    oracle.index.save(folder.file("keys.index"));
    oracle.index = StringIndex::load(folder.file("keys.index"));
  }
  oracle.check_all();
}

}  // namespace
}  // namespace orrery::keyindex
