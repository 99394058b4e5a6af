#include "orrery/trace/key_set.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/trace/twitter_cluster.h"

namespace orrery::trace {
namespace {

std::string written(const std::string& content) {
  const std::string path = testing::TempDir() + "keys-" + std::to_string(getpid());
  write_file(path, content);
  return path;
}

TEST(KeySet, a_file_is_read_sorted_and_without_repetitions) {
  const KeySet keys = read_keys(written("b\na\n\nb\n\xff"));
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_EQ(keys[0], "");
  EXPECT_EQ(keys[1], "a");
  EXPECT_EQ(keys[2], "b");
  EXPECT_EQ(keys[3], "\xff");  // bytes are unsigned
  EXPECT_FALSE(keys.synthetic());
  EXPECT_EQ(read_keys(written(std::string("a\nb\0c", 5)), true).size(), 2u);
  EXPECT_EQ(read_keys(written("b\na\nc\n"), false, 2).size(), 2u);
}

TEST(KeySet, bad_files_are_named) {
  EXPECT_THROW(read_keys("/no/such/file"), InputError);
  EXPECT_THROW(read_keys(written("")), InputError);
  const std::string path = written("a\n" + std::string(65537, 'x') + "\n");
  try {
    read_keys(path);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.place().line, 2);
  }
}

TEST(KeySet, made_keys_are_as_many_as_asked_and_the_same_again) {
  for (int kind = 0; kind < 4; ++kind) {
    const auto which = static_cast<SyntheticKeys>(kind);
    const KeySet keys = make_keys(which, 5000, Seed{1}), again = make_keys(which, 5000, Seed{1});
    ASSERT_EQ(keys.size(), 5000u);
    EXPECT_TRUE(keys.synthetic());
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(keys[i], again[i]);
      if (i) {
        ASSERT_LT(keys[i - 1], keys[i]);
      }
    }
  }
}

TEST(TwitterStream, statistics_are_the_published_ones) {
  constexpr uint64_t kRequests = 200'000;
  for (const TwitterCluster& cluster : twitter_clusters()) {
    TwitterStream stream(cluster, kRequests, Seed{9});
    std::vector<uint32_t> seen;
    double sets = 0;
    for (uint64_t i = 0; i < kRequests; ++i) {
      const Operation operation = stream.next();
      if (operation.key >= seen.size()) seen.resize(operation.key + 1);
      ++seen[operation.key];
      sets += operation.kind != OperationKind::Read;
    }
    double objects = 0, once = 0;
    for (uint32_t count : seen) objects += count > 0, once += count == 1;
    EXPECT_NEAR(sets / kRequests, cluster.set, .01) << cluster.cluster;
    // The pool's rarer objects come once or never by chance where requests a returning object are few.
    EXPECT_NEAR(once / objects, cluster.one_hit_objects, .12) << cluster.cluster;
    EXPECT_NEAR(objects / kRequests, cluster.first_requests, .08) << cluster.cluster;
  }
  EXPECT_THROW(find_twitter_cluster(5), InputError);
}

TEST(TwitterStream, keys_have_their_length_and_are_distinct) {
  const TwitterStream stream(find_twitter_cluster(15), 1000, Seed{9});
  std::set<std::string> keys;
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(stream.key(i).size(), 18u);
    keys.insert(stream.key(i));
  }
  EXPECT_EQ(keys.size(), 1000u);
}

}  // namespace
}  // namespace orrery::trace
