// The measured FP32 rows that the FP32 model is fitted to and judged on.
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/fp32/fp32_law.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

enum class Fp32Source : uint8_t { Train, Test, Convolution, Amd, NodeLabels };

struct Fp32Row {
  size_t gpu = 0;  // into Fp32Data::devices
  Fp32Call call;
  double seconds = 0;
  Fp32Source source = Fp32Source::Train;
};

struct Fp32Data {
  std::vector<hardware::Device> devices;
  std::vector<Fp32Row> rows;
};

inline Fp32Setting setting_of(Fp32Source source) {
  return source == Fp32Source::NodeLabels ? Fp32Setting::Bracketed : Fp32Setting::FromHost;
}

// All rows of `folder`: kernels_{train_nvidia,test_nvidia,amd,conv_nvidia}.csv.zst and the forward linears
// and one-tensor operators of node_labels.csv.zst that took 50 us or more. Throws InputError.
Fp32Data read_fp32_data(const std::string& folder);

enum class Fp32Purpose : uint8_t {
  PaperSplit,  // what the paper trained on: random shapes on P4, P100, V100, T4, A100-PCIe-40GB; MI100, and
               // of MI210 the vector operators
  All,
};
// Whether a purpose may learn from the row. P4's linear training rows are used by neither: they run at a
// fifth to a third of what the same GPU reaches on its test rows.
bool learns_from(Fp32Purpose, const Fp32Data&, const Fp32Row&);

}  // namespace orrery::cost
