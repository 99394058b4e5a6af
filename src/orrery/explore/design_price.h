// Area and power of design points, by parts that are looked up: what a search asks of every point of a space.
#pragma once

#include <map>
#include <mutex>

#include "orrery/explore/accelerator_plan.h"
#include "orrery/hardware/technology.h"

namespace orrery::explore {

// Thread-safe. The study must outlive it.
class DesignPrices {
 public:
  explicit DesignPrices(const AcceleratorStudy& study);

  struct Price {
    double core_area = 0, tdp = 0;  // m2 of the template, W
  };
  Price price(const DesignPoint& point) const;
  double uncore_area() const { return uncore_area_; }
  double leakage() const { return leakage_; }  // W per m2
  // Within the limits of area and power.
  bool affordable(const Price& price) const;
  bool affordable(const DesignPoint& point) const { return affordable(price(point)); }
  const hardware::AreaTable& areas() const { return areas_; }

 private:
  struct Part {
    double area = 0, power = 0;  // of one core, or of the buffer; power without leakage
  };
  template <class Key, class Make>
  Part part(std::map<Key, Part>& parts, Key key, Make make) const;

  const AcceleratorStudy& study_;
  const hardware::Accelerator& chip_;
  hardware::AreaTable areas_;
  double uncore_area_ = 0, leakage_ = 0, constant_power_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, Part> matrix_, vector_, buffer_;  // by elements, lanes, bytes
};

}  // namespace orrery::explore
