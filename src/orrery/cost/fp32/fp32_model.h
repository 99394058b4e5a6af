// The FP32 law (fp32_law.h) times what was learned of its residual, with a band.
//
// One sum of small trees a class of kernel learns log(measured / law) from dimensionless parts of the law,
// sizes and alignment; four factors tell each measured GPU's own efficiency. A GPU that was not measured
// takes a share of the factors of its own architecture, else none, and a band wider by what they may be.
//
// A model is immutable and thread-safe.
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/fp32/fp32_band.h"
#include "orrery/cost/fp32/fp32_law.h"
#include "orrery/hardware/gpu.h"

namespace orrery::cost {

struct Fp32Cost {
  double time = 0, low = 1, high = 1;  // s; the 90 % band as factors on `time`
  double sustained = 0;                // s, within seconds of like load: no burst
  Fp32Parts parts;                     // of the law, before the residual
  Bound bound_by = Bound::Compute;
};

class Fp32Model {
 public:
  struct Measured {
    std::string gpu;  // in the catalogue
    hardware::Architecture architecture = hardware::Architecture::Ampere;
    int multiprocessors = 0;
    Fp32Effects effects;
  };
  struct Contents {
    Fp32Constants constants = central_fp32_constants();
    std::vector<Measured> gpus;
    std::array<learn::BoostedTrees, kFp32Classes> residual;
    // From the errors on GPUs of all vendors, and on NVIDIA's alone: another vendor's libraries say little of
    // its own, while too few of the others were measured to do without.
    std::array<Fp32Band, kFp32Classes> band, nvidia_band;
    double residual_share = .5;  // of the learned residual on a GPU that was not measured
  };

  Fp32Model() = default;
  explicit Fp32Model(Contents contents) : contents_(std::move(contents)) {}
  static Fp32Model from_json(std::string text, const std::string& file);  // throws InputError
  // `provenance`: members of a JSON object, as text, that say what the model saw; may be empty.
  std::string to_json(const std::string& provenance = {}) const;
  const Contents& contents() const { return contents_; }

  struct Target {
    Fp32Device device;
    Fp32Effects effects;
    bool measured = false;
    Fp32Known known = {};  // of its factors; the rate also by the same chip on another board
  };
  Target target(const hardware::Device& device) const;  // throws InputError for what is no GPU
  Fp32Cost price(const Fp32Call& call, const Target& target, Fp32Setting setting) const;

 private:
  struct Alone;  // the time of a call by law and trees
  Alone alone(const Fp32Call&, const Target&, Fp32Setting) const;
  void lengthen(const Fp32Call&, const Alone&, const Target&, Fp32Setting, size_t first, double* time) const;
  Contents contents_;
};

// log(measured / law) as the trees learn it is bounded, and the floors hold whatever they say: no product
// faster than its peak, no call faster than its bytes through L2, or through DRAM where L2 cannot hold them.
double fp32_floor(const Fp32Call&, const Fp32Device&);

}  // namespace orrery::cost
