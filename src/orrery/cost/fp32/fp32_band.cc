#include "orrery/cost/fp32/fp32_band.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "orrery/cost/weights.h"

namespace orrery::cost {
namespace {

constexpr double kLeastScatter = .01;  // a hundredth: what clocks and timers leave
constexpr double kLeastFactor = 1e-3, kMostFactor = 1e3;

template <size_t N>
void read(const Node& list, double low, double high, std::array<double, N>* out) {
  if (list.items().size() != N) list.fail("expected " + std::to_string(N) + " numbers");
  for (size_t i = 0; i < N; ++i) (*out)[i] = list.items()[i].as_number(low, high);
}

template <size_t N>
nlohmann::ordered_json written(const std::array<double, N>& values) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (double value : values) list.push_back(rounded(value));
  return list;
}

}  // namespace

Fp32Elasticity fp32_elasticity(const Fp32Parts& p, const Fp32Constants& c, Fp32Class kernel) {
  enum Effect : size_t { Rate, Power, Memory, Launch };
  Fp32Elasticity share{};
  const double around = p.start + p.body;
  if (p.host >= around || !(around > 0)) {
    share[Launch] = 1;
    return share;
  }
  share[Launch] = p.start / around;
  const double body = p.body / around;
  if (p.power >= p.uncapped) {
    share[Power] = body;
    return share;
  }
  const double order = is_product(kernel) ? c.order : c.order_vector;
  const double most = std::max({p.compute, p.cache, p.memory});
  auto part = [&](double seconds) { return most > 0 ? std::pow(seconds / most, order) : 0; };
  const double rate = part(p.compute) + part(p.cache), memory = part(p.memory);
  if (!(rate + memory > 0)) return share;
  share[Rate] = body * rate / (rate + memory);
  share[Memory] = body * memory / (rate + memory);
  return share;
}

Fp32Band::Fp32Band() {
  low.fill(-.5);
  high.fill(.34);
}

double Fp32Band::scatter_of(const Fp32Elasticity& elasticity) const {
  double squares = 0;
  for (size_t f = 0; f < kFp32Effects; ++f) squares += elasticity[f] * scatter[f] * scatter[f];
  return std::max(std::sqrt(squares), kLeastScatter);
}

BandFactors Fp32Band::factors(const Fp32Elasticity& elasticity, const Fp32Known& known) const {
  const double rows = scatter_of(elasticity);
  double squares = 0;
  for (size_t f = 0; f < kFp32Effects; ++f) squares += known[f] ? 0 : std::pow(elasticity[f] * spread[f], 2);
  const double whole = std::sqrt(rows * rows + squares);
  const double at = kSteps * std::sqrt(squares) / whole;
  const size_t step = std::min(static_cast<size_t>(at), kSteps - 1);
  auto bound = [&](const std::array<double, kSteps + 1>& table) {
    const double within = at - static_cast<double>(step);
    return std::exp(whole * (table[step] * (1 - within) + table[step + 1] * within));
  };
  return {std::clamp(bound(low), kLeastFactor, 1.), std::clamp(bound(high), 1., kMostFactor)};
}

std::string Fp32Band::to_json() const {
  return nlohmann::ordered_json{{"scatter", written(scatter)},
                                {"spread", written(spread)},
                                {"low", written(low)},
                                {"high", written(high)}}
      .dump();
}

Fp32Band Fp32Band::from_json(const Node& node) {
  constexpr double kMost = 10, kMostUnits = 100;
  Fp32Band band;
  read(node.at("scatter"), 0, kMost, &band.scatter);
  read(node.at("spread"), 0, kMost, &band.spread);
  read(node.at("low"), -kMostUnits, 0, &band.low);
  read(node.at("high"), 0, kMostUnits, &band.high);
  return band;
}

}  // namespace orrery::cost
