#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orrery/base/error.h"
#include "orrery/keyindex/oracle.h"
#include "orrery/keyindex/snapshot_format.h"
#include "orrery/keyindex/string_index.h"

namespace orrery::keyindex {
namespace {

using testing_support::Oracle;

class Snapshot : public ::testing::TestWithParam<bool> {
 protected:
  Snapshot() : folder_(std::filesystem::temp_directory_path() / ("orrery-keys-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Snapshot() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name = "index") const { return (folder_ / name).string(); }
  StringIndex filled(size_t count) const {
    StringIndex index({.point_table = GetParam()});
    for (size_t i = 0; i < count; ++i) index.put("folder/key-" + std::to_string(i * 7919 % 100003), i);
    index.put(std::string(5000, 'x'), 17);
    return index;
  }
  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  static std::string refusal(const std::function<void()>& act) {
    try {
      act();
    } catch (const InputError& error) {
      return error.what();
    }
    return {};
  }
  std::filesystem::path folder_;
};
INSTANTIATE_TEST_SUITE_P(point_table, Snapshot, ::testing::Bool());

TEST_P(Snapshot, holds_what_was_saved_and_can_be_changed_after) {
  StringIndex index = filled(5000);
  index.save(path());
  StringIndex loaded = StringIndex::load(path());
  EXPECT_EQ(loaded.size(), index.size());
  EXPECT_EQ(loaded.has_point_table(), GetParam());
  EXPECT_EQ(loaded.get("folder/key-7919"), 1u);
  EXPECT_EQ(loaded.get(std::string(5000, 'x')), 17u);
  loaded.verify();
  Cursor a = index.scan(), b = loaded.scan();
  while (a.next()) {
    ASSERT_TRUE(b.next());
    ASSERT_EQ(a.key(), b.key());
    ASSERT_EQ(a.value(), b.value());
  }
  StringIndex changed = StringIndex::load(path());
  for (int i = 0; i < 5000; ++i) changed.put("other/" + std::to_string(i), 1);
  for (int i = 0; i < 3000; ++i) changed.remove("folder/key-" + std::to_string(i));
  changed.verify();
  EXPECT_EQ(StringIndex::load(path()).size(), index.size());  // the file is as it was
}

TEST_P(Snapshot, agrees_with_a_map_over_many_reopenings) {
  Oracle oracle({.point_table = GetParam()}, 3, path());
  oracle.run(
      20000,
      [](Random& random) {
        return "k" + std::to_string(random.index(3000)) + std::string(random.index(2) * 20, 'z');
      },
      5000);
}

TEST_P(Snapshot, every_flipped_byte_is_refused_and_named) {
  filled(3000).save(path());
  std::string whole = bytes_of(path());
  SnapshotHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  size_t image_end = 4096 + size_t{header.units} * 64;
  Random random(Seed{5});
  for (int round = 0; round < 300; ++round) {
    std::string bytes = whole;
    size_t at = round < 80 ? static_cast<size_t>(round) : random.index(bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.index(8)));
    write(path("flipped"), bytes);
    std::string says = refusal([&] { StringIndex::load(path("flipped")).verify(); });
    bool padding = (at >= sizeof(SnapshotHeader) && at < 4096) ||
                   (at >= image_end && at < (image_end + 4095) / 4096 * 4096);
    if (!padding) {  // that nobody reads
      ASSERT_THAT(says, ::testing::HasSubstr("flipped")) << "byte " << at;
    }
  }
}

TEST_P(Snapshot, a_damaged_page_is_found_when_it_is_touched) {
  filled(20000).save(path());
  std::string bytes = bytes_of(path());
  for (size_t page = 40; page < 200; ++page)
    bytes[page * 4096 + 100] = static_cast<char>(bytes[page * 4096 + 100] ^ 1);
  write(path("flipped"), bytes);
  std::string says = refusal([&] {
    StringIndex index = StringIndex::load(path("flipped"));
    for (int i = 0; i < 20000; ++i) static_cast<void>(index.get("folder/key-" + std::to_string(i)));
  });
  EXPECT_THAT(says, ::testing::AllOf(::testing::HasSubstr("flipped: page "), ::testing::HasSubstr("bytes ")));
}

TEST_P(Snapshot, a_writer_that_meets_a_damaged_page_gives_its_locks_back) {
  filled(3000).save(path());
  std::string bytes = bytes_of(path());
  size_t at = bytes.find(std::string(4096, 'x'));  // inside of the one long key
  ASSERT_NE(at, std::string::npos);
  bytes[at + 2048] = 'y';
  write(path("flipped"), bytes);
  StringIndex index = StringIndex::load(path("flipped"));
  for (int round = 0; round < 2; ++round) {  // a lock that was kept would let the second wait for ever
    EXPECT_THAT(refusal([&] { index.put(std::string(5000, 'x'), 1); }),
                ::testing::HasSubstr("flipped: page "));
    EXPECT_THAT(refusal([&] { index.remove(std::string(5000, 'x')); }),
                ::testing::HasSubstr("flipped: page "));
  }
  EXPECT_EQ(index.size(), 3001u);
}

TEST_P(Snapshot, cut_files_and_other_files_are_refused) {
  filled(3000).save(path());
  std::string whole = bytes_of(path());
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{71}, size_t{72}, size_t{4096}, whole.size() / 2, whole.size() - 1}) {
    write(path("cut"), whole.substr(0, size));
    EXPECT_THAT(refusal([&] { StringIndex::load(path("cut")); }), ::testing::HasSubstr("cut: ")) << size;
  }
  write(path("longer"), whole + "x");
  EXPECT_THAT(refusal([&] { StringIndex::load(path("longer")); }), ::testing::HasSubstr("longer: has "));
  EXPECT_THAT(refusal([&] { StringIndex::load(path("none")); }), ::testing::HasSubstr("cannot be read"));
  EXPECT_THAT(refusal([&] { StringIndex::load(folder_.string()); }), ::testing::HasSubstr("is no file"));
}

TEST_P(Snapshot, a_killed_save_leaves_the_old_file_whole) {
  filled(100).save(path());
  std::string before = bytes_of(path());
  for (int round = 0; round < 5; ++round) {
    pid_t child = fork();
    if (child == 0) {
      StringIndex index = filled(200);
      for (int i = 0; i < 60000; ++i) index.put("more/" + std::to_string(i), 1);
      std::ofstream(path("ready")) << 1;
      while (true) index.save(path("second"));
    }
    while (!std::filesystem::exists(path("ready"))) usleep(1000);
    usleep(static_cast<useconds_t>(1000 + 3000 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (std::filesystem::exists(path("second"))) {
      StringIndex::load(path("second")).verify();
    }
    std::filesystem::remove(path("ready"));
  }
  EXPECT_EQ(bytes_of(path()), before);
}

}  // namespace
}  // namespace orrery::keyindex
