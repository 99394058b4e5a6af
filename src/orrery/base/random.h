// Random numbers that are the same on every machine and standard library. Each part of a program derives its
// own Seed, so that adding a draw in one place changes nothing elsewhere and threads need no order.
#pragma once

#include <cmath>
#include <cstdint>

namespace orrery {

struct Seed {
  uint64_t value = 0;
  // The seed of a named or numbered part; same parent and part, same child.
  constexpr Seed derive(uint64_t part) const { return Seed{mix(value + 0x9e3779b97f4a7c15ull * (part + 1))}; }
  static constexpr uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
};

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit constexpr Random(Seed seed) : state_(seed.value) {}
  constexpr uint64_t next() { return Seed::mix(state_ += 0x9e3779b97f4a7c15ull); }
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // [0, 1)
  constexpr uint64_t index(uint64_t n) {                                                // [0, n)
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(next()) * n) >> 64);
  }
  double normal() {  // Box–Muller, one of the pair
    double u = 1 - uniform(), v = uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  uint64_t state_;
};

}  // namespace orrery
