// The 90 % band around a prediction: how wide the errors of like rows were on GPUs that a model had not seen.
//
// A small sum of trees learns the size of |log(measured / predicted)| from a row's features; the quantiles of
// the residual over that size, each GPU with equal say, make it a band (locally weighted conformal
// prediction, Lei et al. 2018). What is not known of a device widens it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/learn/boosted_trees.h"

namespace orrery::cost {

// Size classes of a time: < 20 us, < 100 us, < 1 ms, more.
inline constexpr size_t kSizeClasses = 4;
size_t size_class(double seconds);
const char* size_class_name(size_t size_class);

struct BandFactors {
  double low = 1, high = 1;  // on the predicted time
};

class ErrorBand {
 public:
  ErrorBand() = default;  // ±40 % whatever the row
  ErrorBand(learn::BoostedTrees size, double low, double high);

  // `widening` multiplies the band's width in logarithms.
  BandFactors factors(std::span<const float> features, double widening = 1) const;

  std::string to_json() const;
  static ErrorBand from_json(const Node& node);  // throws InputError

 private:
  learn::BoostedTrees size_;  // log2 of the expected |log residual|
  double low_ = -.5, high_ = .34;
  bool fitted_ = false;
};

struct BandRows {
  std::span<const float> features;  // rows × columns, row-major
  size_t columns = 0;
  std::span<const double> residual;  // log(measured / predicted), predicted by a model that never saw the GPU
  std::span<const std::int32_t> device;  // of each row
};

// `skip`: rows of this device are not used; −1 = all are.
ErrorBand fit_error_band(const BandRows& rows, std::int32_t skip, double confidence, std::uint64_t seed,
                         int threads);

}  // namespace orrery::cost
