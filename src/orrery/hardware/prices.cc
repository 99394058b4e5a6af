#include "orrery/hardware/prices.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::hardware {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double positive(const Node& node, Unit unit) {
  double value = node.as_quantity(unit);
  if (!(value > 0)) node.fail("a price must be above zero");
  return value;
}

}  // namespace

std::vector<ListPrice> read_list_prices(const std::string& path) {
  Node root = read_document(path);
  root.allow_only({"prices", "sources"});
  const Node& sources = root.at("sources");
  std::vector<ListPrice> prices;
  for (const Node& row : root.at("prices").items()) {
    row.allow_only({"device", "rent", "purchase", "provider", "date"});
    ListPrice price;
    price.device = lower_case(row.at("device").text());
    if (const Node* rent = row.find("rent"))
      price.rent = DollarsPerSecond(positive(*rent, Unit::DollarsPerHour));
    if (const Node* purchase = row.find("purchase"))
      price.purchase = Dollars(positive(*purchase, Unit::Dollars));
    price.provider = row.at("provider").as_string();
    if (!sources.find(price.provider)) {
      row.at("provider").fail(fmt::format("'{}' is not among 'sources'", printable(price.provider)));
    }
    price.date = row.at("date").text();
    prices.push_back(std::move(price));
  }
  return prices;
}

Price price_of(std::string_view device_name, const std::string& data_folder) {
  Price price;
  std::string path = data_folder + "/prices/gpus.yaml";
  if (!file_exists(path)) return price;
  std::vector<double> rents, purchases;
  std::vector<std::string> from;
  for (const ListPrice& row : read_list_prices(path)) {
    if (row.device != device_name) continue;
    if (row.rent.value() > 0) rents.push_back(row.rent.value());
    if (row.purchase.value() > 0) purchases.push_back(row.purchase.value());
    from.push_back(row.provider + " " + row.date);
  }
  if (!rents.empty()) price.rent = DollarsPerSecond(median(rents));
  if (!purchases.empty()) price.purchase = Dollars(median(purchases));
  if (!from.empty())
    price.source = (from.size() > 1 ? "median of list prices: " : "list price: ") + join(from, ", ");
  return price;
}

EnergyPrice read_energy_price(const std::string& path) {
  Node root = read_document(path);
  root.allow_only({"electricity_per_kwh", "power_usage_effectiveness", "sources"});
  EnergyPrice price;
  price.per_kilowatt_hour = Dollars(positive(root.at("electricity_per_kwh"), Unit::Dollars));
  price.overhead = root.at("power_usage_effectiveness").as_number(1, 5);
  std::vector<std::string> sources;
  for (const auto& [key, value] : root.at("sources").entries()) sources.push_back(value.as_string());
  price.source = join(sources, "; ");
  return price;
}

}  // namespace orrery::hardware
