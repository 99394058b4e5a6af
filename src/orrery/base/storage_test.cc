#include "orrery/base/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>

#include "orrery/base/random.h"
#include "orrery/base/test_support.h"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Storage : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.file(name); }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  TemporaryFolder folder_{"storage"};
};

std::string noise(size_t size) {
  Random random(Seed{3});
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('a' + random.index(16));
  return text;
}

std::string gzip(const std::string& text) {
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

std::string zstd(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

TEST_F(Storage, what_is_written_reads_back_packed_or_not) {
  std::string text = noise(3'000'000);
  write_file(path("plain"), text);
  write_file(path("a.gz"), gzip(text));
  write_file(path("a.zst"), zstd(text));
  write_file(path("two.gz"), gzip(text.substr(0, 1000)) + gzip(text.substr(1000)));
  write_file(path("two.zst"), zstd(text.substr(0, 1000)) + zstd(text.substr(1000)));
  for (const char* name : {"plain", "a.gz", "a.zst", "two.gz", "two.zst"})
    EXPECT_EQ(read_file(path(name)), text) << name;
}

TEST_F(Storage, a_cut_or_damaged_archive_is_an_error_at_every_length) {
  std::string text = noise(2000);
  for (const std::string& packed : {gzip(text), zstd(text)}) {
    for (size_t length = 4; length < packed.size(); length += 61) {
      write_file(path("cut"), packed.substr(0, length));
      EXPECT_THAT(error_of([&] { read_file(path("cut")); }),
                  testing::AnyOf(HasSubstr("damaged"), HasSubstr("cut")))
          << length;
    }
  }
  std::string flipped = gzip(text);
  flipped[flipped.size() / 2] ^= 0x55;
  write_file(path("flipped.gz"), flipped);
  EXPECT_THAT(error_of([&] { read_file(path("flipped.gz")); }), HasSubstr("damaged"));
}

TEST_F(Storage, an_unpacking_bomb_stops_at_the_limit) {
  std::string zeros(30'000'000, '\0');
  write_file(path("bomb.gz"), gzip(zeros));
  write_file(path("bomb.zst"), zstd(zeros));
  EXPECT_THAT(error_of([&] { read_file(path("bomb.gz"), 5'000'000); }),
              HasSubstr("unpacks to more than 5000000 bytes"));
  EXPECT_THAT(error_of([&] { read_file(path("bomb.zst"), 5'000'000); }),
              HasSubstr("unpacks to more than 5000000 bytes"));
  EXPECT_THAT(error_of([&] { read_file("/dev/zero", 1'000'000); }),
              HasSubstr("is larger than 1000000 bytes"));
}

TEST_F(Storage, what_cannot_be_read_is_named) {
  EXPECT_THAT(error_of([&] { read_file(path("none")); }), HasSubstr("none: cannot be read: No such file"));
  EXPECT_THAT(error_of([&] { read_file(folder_.path()); }), HasSubstr("is a folder; expected a file"));
}

TEST_F(Storage, a_failed_write_leaves_the_old_file_and_nothing_beside_it) {
  write_file(path("kept"), "old");
  write_file(path("kept"), "new");
  EXPECT_EQ(read_file(path("kept")), "new");
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(error_of([&] { write_file(path("no/such/folder/file"), "x"); }),
              HasSubstr("cannot be written"));
  fs::create_directory(path("folder"));
  EXPECT_THAT(error_of([&] { write_file(path("folder"), "x"); }), HasSubstr("is a folder"));
  EXPECT_EQ(files(), 2u);
}

TEST_F(Storage, a_device_is_written_not_replaced) {
  write_file("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
}

TEST_F(Storage, a_link_stays_a_link) {
  write_file(path("target"), "old");
  fs::create_symlink("target", path("link"));
  write_file(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_file(path("target")), "new");
}

TEST(Hash, is_stable_and_depends_on_every_byte_and_the_seed) {
  EXPECT_EQ(hash_bytes("orrery"), hash_bytes("orrery"));
  EXPECT_NE(hash_bytes("orrery"), hash_bytes("orrerz"));
  EXPECT_NE(hash_bytes("orrery", 1), hash_bytes("orrery", 2));
  EXPECT_NE(hash_bytes(std::string_view("\0", 1)), hash_bytes(""));
}

}  // namespace
}  // namespace orrery
