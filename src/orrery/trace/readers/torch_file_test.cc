#include "orrery/trace/readers/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/trace/readers/test_support.h"

namespace orrery::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::literals;

const std::string kData = std::string(ORRERY_SOURCE_DIR) + "/src/orrery/trace/readers/testdata/";

// A pickled tensor of storage "0": type, elements claimed, offset, shape and strides as BININT1 lists.
std::string tensor(const std::string& type, int elements, int offset, const std::vector<int>& shape,
                   const std::vector<int>& strides) {
  auto number = [](int n) { return "I" + std::to_string(n) + "\n"; };
  auto tuple = [&](const std::vector<int>& values) {
    std::string text = "(";
    for (int v : values) text += number(v);
    return text + "t";
  };
  return "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\n" + type + "\nV0\nVcuda:0\n" +
         number(elements) + "tQ" + number(offset) + tuple(shape) + tuple(strides) + "\x89" +
         "ccollections\nOrderedDict\n)RtR.";
}

std::string bytes_of(std::initializer_list<int32_t> values) {
  std::string bytes;
  for (int32_t v : values) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(static_cast<uint32_t>(v) >> (8 * i));
  }
  return bytes;
}

IntegerTensor read(const std::string& pickle, std::string storage = bytes_of({10, 11, 12, 13, 14, -15})) {
  TorchFile file(torch_file_of(pickle, std::move(storage)), "x.pt");
  return file.integers(file.root(), "count");
}
std::string refusal(const std::string& pickle) {
  return error_of([&] { read(pickle); });
}

TEST(TorchFile, a_tensor_is_read_in_row_major_order_whatever_its_strides) {
  EXPECT_THAT(read(tensor("IntStorage", 6, 0, {2, 3}, {3, 1})).values, ElementsAre(10, 11, 12, 13, 14, -15));
  EXPECT_THAT(read(tensor("IntStorage", 6, 0, {3, 2}, {1, 3})).values,
              ElementsAre(10, 13, 11, 14, 12, -15));                                    // transposed
  EXPECT_THAT(read(tensor("IntStorage", 6, 1, {2}, {3})).values, ElementsAre(11, 14));  // a slice
  EXPECT_THAT(read(tensor("IntStorage", 6, 5, {}, {})).values, ElementsAre(-15));       // a scalar
  EXPECT_TRUE(read(tensor("IntStorage", 6, 0, {0, 3}, {3, 1})).values.empty());
  EXPECT_THAT(read(tensor("ShortStorage", 2, 0, {2}, {1})).values, ElementsAre(10, 0));
  EXPECT_THAT(read(tensor("ByteStorage", 24, 20, {4}, {1})).values, ElementsAre(241, 255, 255, 255));
  EXPECT_THAT(read(tensor("CharStorage", 24, 20, {1}, {1})).values, ElementsAre(-15));
  EXPECT_THAT(read(tensor("FloatStorage", 1, 0, {1}, {1}), "\x00\x00\x60\x41"s).values, ElementsAre(14));
}

TEST(TorchFile, a_tensor_never_reaches_past_its_storage) {
  EXPECT_THAT(refusal(tensor("IntStorage", 7, 0, {1}, {1})),
              HasSubstr("claims 7 elements, the file holds 6"));
  EXPECT_THAT(refusal(tensor("IntStorage", -1, 0, {1}, {1})), HasSubstr("claims -1"));
  EXPECT_THAT(refusal(tensor("LongStorage", 6, 0, {1}, {1})), HasSubstr("the file holds 3"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 1, {6}, {1})), HasSubstr("past the end"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, -1, {1}, {1})), HasSubstr("past the end"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 0, {2, 2}, {5, 1})), HasSubstr("past the end"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 0, {2}, {-1})), HasSubstr("past the end"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 0, {2147483647, 2147483647}, {0, 0})),
              HasSubstr("more elements"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 0, {2, 3}, {3})), HasSubstr("do not fit"));
  EXPECT_THAT(refusal(tensor("IntStorage", 6, 0, {-2}, {1})), HasSubstr("no size"));
  EXPECT_THAT(error_of([] { read(tensor("FloatStorage", 1, 0, {1}, {1}), "\x00\x00\x00\x3f"s); }),
              HasSubstr("a fraction"));
  EXPECT_THAT(error_of([] { read(tensor("FloatStorage", 1, 0, {1}, {1}), "\x00\x00\xc0\x7f"s); }),
              HasSubstr("a fraction"));
}

TEST(TorchFile, types_that_hold_no_counts_are_refused_by_name) {
  EXPECT_THAT(refusal(tensor("ComplexFloatStorage", 1, 0, {1}, {1})),
              HasSubstr("'torch.ComplexFloatStorage'"));
  EXPECT_THAT(refusal("cnumpy.core.multiarray\n_reconstruct\n."),
              HasSubstr("'numpy.core.multiarray._reconstruct'"));
  EXPECT_THAT(refusal("ctorch\nload\n."), HasSubstr("'torch.load'"));
  EXPECT_THAT(refusal("N."), HasSubstr("expected a tensor, found None"));
}

TEST(TorchFile, what_is_no_torch_archive_says_so) {
  auto refused = [](const std::string& bytes) { return error_of([&] { TorchFile(bytes, "x.pt"); }); };
  EXPECT_THAT(refused(""), HasSubstr("x.pt: not a zip archive"));
  EXPECT_THAT(refused("\x80\x02\x8a\nl\xfc\x9c"s), HasSubstr("PyTorch 1.6 or newer"));
  EXPECT_THAT(refused(stored_zip({{"a/b", "c"}})), HasSubstr("without data.pkl"));
  EXPECT_THAT(refused(stored_zip({{"a/data.pkl", "N."}, {"a/byteorder", "big"}})), HasSubstr("big-endian"));
  EXPECT_THAT(refused(stored_zip({{"a/data.pkl", "N."}, {"a/data.pkl", "N."}})), HasSubstr("stands twice"));
  EXPECT_THAT(error_of([] {
                TorchFile(stored_zip({{"a/data.pkl", tensor("IntStorage", 1, 0, {1}, {1})}}), "x.pt")
                    .integers(PickleValue(), "n");
              }),
              HasSubstr("expected a tensor"));
}

TEST(ZipArchive, an_archive_cut_anywhere_is_an_error_or_the_same_content) {
  std::string whole = read_file(kData + "per-token-rank0.pt");
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string cut = whole.substr(0, size);
    EXPECT_NE(error_of([&] { TorchFile(cut, "x.pt"); }), "") << size;
  }
}

TEST(ZipArchive, a_flipped_byte_of_an_entry_is_found_by_its_checksum) {
  std::string whole = read_file(kData + "stat.pt");
  ZipArchive archive(whole, "x.pt");
  for (const std::string& name : archive.names()) {
    std::string_view content = archive.entry(name);
    std::string damaged = whole;
    damaged[static_cast<size_t>(content.data() - whole.data())] ^= 1;
    ZipArchive other(damaged, "x.pt");
    EXPECT_THAT(error_of([&] { other.entry(name); }), HasSubstr("checksum")) << name;
  }
}

TEST(ZipArchive, a_compressed_entry_is_refused_before_anything_unpacks) {
  std::string zip = stored_zip({{"a/data.pkl", "N."}});
  zip[8] = 8;                            // the local header: deflate
  zip[zip.find("PK\x01\x02") + 10] = 8;  // and the directory
  EXPECT_THAT(error_of([&] { TorchFile(zip, "x.pt"); }), HasSubstr("is compressed"));
}

TEST(ZipArchive, a_directory_that_claims_too_much_is_refused) {
  std::string zip = stored_zip({{"a/data.pkl", "N."}});
  size_t end = zip.find("PK\x05\x06");
  std::string many = zip, far = zip, large = zip;
  many[end + 10] = many[end + 11] = '\xff';
  far[end + 18] = '\x7f';
  large[end + 14] = '\x7f';
  EXPECT_THAT(error_of([&] { ZipArchive(many, "x.pt"); }), HasSubstr("claims 65535 entries"));
  EXPECT_THAT(error_of([&] { ZipArchive(far, "x.pt"); }), HasSubstr("outside of the file"));
  EXPECT_THAT(error_of([&] { ZipArchive(large, "x.pt"); }), HasSubstr("outside of the file"));
}

}  // namespace
}  // namespace orrery::trace
