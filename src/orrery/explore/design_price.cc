#include "orrery/explore/design_price.h"

#include "orrery/hardware/accelerator_cost.h"

namespace orrery::explore {

DesignPrices::DesignPrices(const AcceleratorStudy& study)
    : study_(study), chip_(chip_of(study.base)), areas_(hardware::area_table(chip_.area_table)) {
  areas_.logic_factor *= study.logic_area_factor;
  areas_.memory_factor *= study.memory_area_factor;
  uncore_area_ = chip_.uncore.area.value();
  leakage_ = chip_.energy.leakage;
  const hardware::PowerBreakdown power = hardware::thermal_design_power(
      chip_, study.base.memory_bandwidth, SquareMetres(0), study.power_calibration);
  constant_power_ = (power.dram + power.uncore).value();
}

template <class Key, class Make>
DesignPrices::Part DesignPrices::part(std::map<Key, Part>& parts, Key key, Make make) const {
  std::lock_guard lock(mutex_);
  auto [found, fresh] = parts.try_emplace(key);
  if (fresh) found->second = make();
  return found->second;
}

DesignPrices::Price DesignPrices::price(const DesignPoint& point) const {
  auto breakdown = [&] {
    DesignPoint one = point;
    one.matrix_cores = one.vector_cores = 1;
    const hardware::Accelerator chip = accelerator(one, chip_);
    return std::pair(hardware::area(chip, areas_),
                     hardware::thermal_design_power(chip, study_.base.memory_bandwidth, SquareMetres(0),
                                                    study_.power_calibration));
  };
  // Matrix cores of equal elements are alike whatever their sides.
  const Part matrix = part(matrix_, int64_t{point.columns} * point.rows, [&] {
    auto [area, power] = breakdown();
    return Part{area.matrix_cores.value(), power.matrix_cores.value()};
  });
  const Part vector = part(vector_, int64_t{point.lanes}, [&] {
    auto [area, power] = breakdown();
    return Part{area.vector_cores.value(), power.vector_cores.value()};
  });
  const Part buffer = part(buffer_, point.global_buffer, [&] {
    auto [area, power] = breakdown();
    return Part{area.global_buffer.value(), power.global_buffer.value()};
  });
  Price price;
  price.core_area = point.matrix_cores * matrix.area + point.vector_cores * vector.area + buffer.area;
  price.tdp = point.matrix_cores * matrix.power + point.vector_cores * vector.power + buffer.power +
              constant_power_ + leakage_ * price.core_area;
  return price;
}

bool DesignPrices::affordable(const Price& price) const {
  // A design equal to its own limit is within it, whatever the order of additions.
  constexpr double kSlack = 1 + 1e-12;
  const double area = price.core_area + (study_.limits.whole_chip ? uncore_area_ : 0);
  const double most_area = study_.limits.area.value(), most_power = study_.limits.power.value();
  return (most_area <= 0 || area <= most_area * kSlack) &&
         (most_power <= 0 || price.tdp <= most_power * kSlack);
}

}  // namespace orrery::explore
