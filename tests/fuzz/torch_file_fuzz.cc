// rooms: trace
// Any bytes as a torch file: a recording or an InputError, nothing else. A mutated archive seldom keeps its
// checksums, so the same bytes are also read as the pickle of a sound archive whose one storage is small.
#include <string>

#include "orrery/base/error.h"
#include "orrery/trace/readers/sglang_recording.h"
#include "orrery/trace/readers/test_support.h"

namespace {

void read(std::string bytes) {
  using namespace orrery::trace;
  try {
    read_sglang_recording(std::vector<RecordingFile>{{std::move(bytes), "fuzz.pt"}});
  } catch (const orrery::InputError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  read(orrery::trace::torch_file_of(bytes, std::string(64, '\1')));
  read(std::move(bytes));
  return 0;
}
