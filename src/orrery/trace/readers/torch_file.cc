#include "orrery/trace/readers/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::trace {

// How the elements of a storage lie in it.
struct ElementType {
  std::string_view name;
  size_t size;
  bool is_signed, is_floating;
};

namespace {

constexpr uint64_t kLargestFile = uint64_t{4} << 30, kLargestPickle = uint64_t{512} << 20;
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kPickleName = "data.pkl", kByteOrderName = "byteorder";

constexpr ElementType kElementTypes[] = {
    {"torch.LongStorage", 8, true, false},  {"torch.IntStorage", 4, true, false},
    {"torch.ShortStorage", 2, true, false}, {"torch.CharStorage", 1, true, false},
    {"torch.ByteStorage", 1, false, false}, {"torch.BoolStorage", 1, false, false},
    {"torch.FloatStorage", 4, true, true},  {"torch.DoubleStorage", 8, true, true}};

// All that the pickle may ask for.
constexpr std::string_view kAllowed[] = {
    kRebuildTensor,       "collections.OrderedDict", "torch.LongStorage", "torch.IntStorage",
    "torch.ShortStorage", "torch.CharStorage",       "torch.ByteStorage", "torch.BoolStorage",
    "torch.FloatStorage", "torch.DoubleStorage"};

// The folder of the one data.pkl: torch names it after the file.
std::string folder_of(const ZipArchive& archive, const std::string& file) {
  for (const std::string& name : archive.names()) {
    size_t slash = name.find('/');
    if (slash != std::string::npos && std::string_view(name).substr(slash + 1) == kPickleName)
      return name.substr(0, slash + 1);
  }
  throw InputError(Place{file}, "a zip archive without data.pkl: not a file that torch.save wrote");
}

std::string_view pickle_of(const ZipArchive& archive, const std::string& folder, const std::string& file) {
  std::string_view bytes = archive.entry(folder + std::string(kPickleName));
  if (bytes.size() > kLargestPickle)
    throw InputError(Place{file},
                     fmt::format("data.pkl holds {} MB; at most {} MB are read: dump the recorder more often",
                                 bytes.size() >> 20, kLargestPickle >> 20));
  return bytes;
}

int64_t whole_number(std::string_view bytes, const ElementType& type, bool& whole) {
  if (type.is_floating) {
    double value = 0;
    if (type.size == 4) {
      float narrow = 0;
      std::memcpy(&narrow, bytes.data(), 4);
      value = narrow;
    } else {
      std::memcpy(&value, bytes.data(), 8);
    }
    whole = std::abs(value) <= 9007199254740992. && value == std::floor(value);  // 2^53; false for NaN
    return whole ? static_cast<int64_t>(value) : 0;
  }
  uint64_t value = 0;
  for (size_t i = type.size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  int unused = 64 - static_cast<int>(type.size) * 8;
  if (type.is_signed) return static_cast<int64_t>(value << unused) >> unused;
  return static_cast<int64_t>(value);
}

}  // namespace

TorchFile::TorchFile(std::string bytes, std::string file)
    : bytes_(std::move(bytes)),
      file_(std::move(file)),
      archive_(bytes_, file_),
      folder_(folder_of(archive_, file_)),
      pickle_(pickle_of(archive_, folder_, file_), file_ + ": data.pkl", kAllowed) {
  std::string order = folder_ + std::string(kByteOrderName);
  if (archive_.has(order) && archive_.entry(order) != "little")
    fail("its tensors are big-endian; save it again on a little-endian machine");
}

void TorchFile::fail(const std::string& message) const {
  throw InputError(Place{file_}, message);
}

bool TorchFile::is_tensor(const PickleValue& value) const {
  return value.kind == PickleValue::Kind::Call && pickle_.text(pickle_.items(value)[0]) == kRebuildTensor;
}

// ('storage', torch.IntStorage, '3', 'cuda:0', 72): type, key, the device that it lay on, elements.
TorchFile::Storage TorchFile::storage(const PickleValue& persistent, const std::string& what) const {
  using Kind = PickleValue::Kind;
  if (persistent.kind == Kind::Persistent) {
    const PickleValue& id = pickle_.items(persistent)[0];
    const std::vector<PickleValue>& parts = pickle_.items(id);
    if (id.kind == Kind::Tuple && parts.size() == 5 && pickle_.text(parts[0]) == "storage" &&
        parts[1].kind == Kind::Name && parts[2].kind == Kind::Text && parts[4].kind == Kind::Integer) {
      for (const ElementType& type : kElementTypes) {
        if (type.name != pickle_.text(parts[1])) continue;
        std::string_view bytes = archive_.entry(folder_ + "data/" + pickle_.text(parts[2]));
        if (parts[4].integer < 0 || static_cast<uint64_t>(parts[4].integer) > bytes.size() / type.size)
          fail(fmt::format("the storage of {} claims {} elements, the file holds {}", what, parts[4].integer,
                           bytes.size() / type.size));
        return {bytes.substr(0, static_cast<size_t>(parts[4].integer) * type.size), &type};
      }
    }
  }
  fail(fmt::format("the storage of {} cannot be read: {}", what, pickle_.describe(persistent)));
}

IntegerTensor TorchFile::integers(const PickleValue& value, const std::string& what) const {
  using Kind = PickleValue::Kind;
  if (!is_tensor(value)) fail(fmt::format("{}: expected a tensor, found {}", what, pickle_.describe(value)));
  const std::vector<PickleValue>& call = pickle_.items(pickle_.items(value)[1]);
  if (call.size() < 4 || call[1].kind != Kind::Integer || call[2].kind != Kind::Tuple ||
      call[3].kind != Kind::Tuple)
    fail(fmt::format("{}: a tensor without storage, offset, shape and strides", what));
  Storage source = storage(call[0], what);
  uint64_t elements = source.bytes.size() / source.type->size;

  const std::vector<PickleValue>&shape = pickle_.items(call[2]), &strides = pickle_.items(call[3]);
  if (shape.size() != strides.size() || shape.size() > 8)
    fail(fmt::format("{}: shape and strides do not fit", what));
  IntegerTensor tensor;
  uint64_t count = 1;
  for (const PickleValue& extent : shape) {
    if (extent.kind != Kind::Integer || extent.integer < 0)
      fail(fmt::format("{}: an extent of its shape is no size", what));
    if (extent.integer > 0 && count > elements / static_cast<uint64_t>(extent.integer))
      fail(fmt::format("{}: its shape asks for more elements than the {} that its storage holds", what,
                       elements));
    count *= static_cast<uint64_t>(extent.integer);
    tensor.shape.push_back(extent.integer);
  }
  if (count == 0) return tensor;
  // The last element's place bounds all: strides are not negative in PyTorch.
  uint64_t last = 0;
  bool fits = call[1].integer >= 0 && static_cast<uint64_t>(call[1].integer) < elements;
  for (size_t d = 0; fits && d < shape.size(); ++d) {
    uint64_t steps = static_cast<uint64_t>(shape[d].integer) - 1;
    if (strides[d].kind != Kind::Integer || strides[d].integer < 0) fits = false;
    if (fits && steps > 0) {
      uint64_t stride = static_cast<uint64_t>(strides[d].integer);
      fits = stride <= elements && steps * stride <= elements;
      last += steps * stride;
    }
  }
  if (!fits || static_cast<uint64_t>(call[1].integer) + last >= elements)
    fail(fmt::format("{}: the tensor reaches past the end of its storage", what));

  tensor.values.reserve(count);
  std::vector<int64_t> at(shape.size(), 0);
  uint64_t position = static_cast<uint64_t>(call[1].integer);
  bool whole = true;
  for (uint64_t i = 0; i < count; ++i) {
    tensor.values.push_back(
        whole_number(source.bytes.substr(position * source.type->size), *source.type, whole));
    if (!whole) fail(fmt::format("{}: expected whole numbers, found a fraction at element {}", what, i));
    for (size_t d = shape.size(); d-- > 0;) {
      uint64_t stride = static_cast<uint64_t>(strides[d].integer);
      if (++at[d] < tensor.shape[d]) {
        position += stride;
        break;
      }
      position -= stride * static_cast<uint64_t>(tensor.shape[d] - 1);
      at[d] = 0;
    }
  }
  return tensor;
}

TorchFile read_torch_file(const std::string& path) {
  return TorchFile(read_file(path, kLargestFile), path);
}

}  // namespace orrery::trace
