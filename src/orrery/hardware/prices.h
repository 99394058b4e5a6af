// What hardware and electricity cost (data/prices/): list prices with provider and date, and the median that
// is computed with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/hardware/device.h"

namespace orrery::hardware {

struct ListPrice {
  std::string device;  // as the catalogue names it
  DollarsPerSecond rent;
  Dollars purchase;
  std::string provider, date;  // date: when the list was read, 2026-08-26
};

struct EnergyPrice {
  Dollars per_kilowatt_hour;
  double overhead = 1;  // power usage effectiveness: what the site draws over what the machines draw
  std::string source;
};

std::vector<ListPrice> read_list_prices(const std::string& path);
// Medians over the providers that list the device; zero where none does. `data_folder` holds prices/.
Price price_of(std::string_view device_name, const std::string& data_folder);
EnergyPrice read_energy_price(const std::string& path);

}  // namespace orrery::hardware
