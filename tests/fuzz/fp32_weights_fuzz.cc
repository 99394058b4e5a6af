// rooms: cost
// Any bytes as a file of FP32 weights: a model that prices with sound numbers, or an InputError.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "orrery/base/error.h"
#include "orrery/cost/fp32/fp32_model.h"
#include "orrery/hardware/catalogue.h"

using namespace orrery;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const hardware::Device device = hardware::Catalogue::shipped().device("l4");
  try {
    const auto model =
        cost::Fp32Model::from_json(std::string(reinterpret_cast<const char*>(data), size), "fuzz.json");
    cost::Fp32Call call;
    for (size_t k = 0; k < cost::kFp32Classes; ++k) {
      call.kernel = static_cast<cost::Fp32Class>(k);
      call.m = call.n = call.k = call.rows = call.columns = 1000;
      call.read = call.written = 4e6;
      const cost::Fp32Cost cost = model.price(call, model.target(device), cost::Fp32Setting::InModel);
      if (!std::isfinite(cost.time) || !(cost.time > 0) || !(cost.low <= cost.high)) std::abort();
    }
  } catch (const InputError&) {
  }
  return 0;
}
