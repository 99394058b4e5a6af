// The 90 % band around an FP32 forecast: a scatter of rows, and what one number a GPU does not tell.
//
// The law has four factors of a GPU's own (Fp32Effects): how much of its rate, power, bandwidth and host it
// reaches. On a GPU that was measured they are known, and like rows scatter around the forecast. On one that
// was not, each is off by an unknown factor that all its rows share, so that rows err together and no scatter
// of rows says by how much. Its spread is what factors of GPUs turned out to be beside forecasts that never
// saw them; a row feels it by the elasticity of its time in that factor:
//   scatter² = Σ_f elasticity_f · scatter_f²,  spread² = Σ_f (elasticity_f · spread_f)²
// The band is that of their sum, Student's t of as many GPUs as were left out for the spread, the rows' own
// quantiles for the scatter; tabulated by the spread's share of the whole (fit/fit_fp32_band.h).
#pragma once

#include <array>
#include <string>

#include "orrery/base/document.h"
#include "orrery/cost/error_band.h"
#include "orrery/cost/fp32/fp32_law.h"

namespace orrery::cost {

inline constexpr size_t kFp32Effects = 4;
inline constexpr double Fp32Effects::*kFp32EffectFields[kFp32Effects] = {
    &Fp32Effects::rate, &Fp32Effects::power, &Fp32Effects::memory, &Fp32Effects::launch};
using Fp32Elasticity = std::array<double, kFp32Effects>;  // in the order of the fields; each 0 to 1
using Fp32Known = std::array<bool, kFp32Effects>;         // factors that were measured

// d log(time) / d log(1 / factor), of the law alone.
Fp32Elasticity fp32_elasticity(const Fp32Parts&, const Fp32Constants&, Fp32Class);

struct Fp32Band {
  static constexpr size_t kSteps = 16;
  Fp32Elasticity scatter = {1, 1, 1, 1}, spread = {};  // of logarithms
  // Of the band in units of √(scatter² + spread²), where spread is 0, 1/16, …, 1 of that.
  std::array<double, kSteps + 1> low, high;

  Fp32Band();  // ±40 % whatever the row
  double scatter_of(const Fp32Elasticity&) const;
  BandFactors factors(const Fp32Elasticity&, const Fp32Known&) const;
  std::string to_json() const;
  static Fp32Band from_json(const Node&);  // throws InputError
};

}  // namespace orrery::cost
