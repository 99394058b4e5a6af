// The switches of NeuSight's predictor (Lee, Phanishayee, Mahajan, "Forecasting GPU Performance for Deep
// Learning Training and Inference", ASPLOS 2025) and of its training: what the published program does, and
// for each of its faults the other way. A preset (data/presets/neusight-*.yaml) is a set of them; weights
// carry the set that they were trained with.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

// Five regressors, one a class of operators.
enum class NeuSightClass : uint8_t { Bmm, Linear, Vector, Softmax, LayerNorm };
inline constexpr size_t kNeuSightClasses = 5;
std::string_view name(NeuSightClass);  // "bmm", "linear", "vec", "softmax", "ln"

// A device as the method sees it: a handful of data-sheet figures, in the units of its features.
struct NeuSightDevice {
  std::string name;
  double memory_gb = 0, bandwidth_gb_s = 0, multiprocessors = 0, matrix_gflops = 0, vector_gflops = 0,
         l2_mb = 0;
  bool amd = false;
  hardware::Architecture architecture =
      hardware::Architecture::Ampere;  // not of the method: for TileSearch::Scaled
};

struct NeuSightOptions {
  // Unscaled: the training row nearest in plain Euclidean distance over sizes and device figures, which the
  // peak rate swamps. Scaled: nearest in log sizes, among rows of the most closely related architecture.
  enum class TileSearch : uint8_t { Unscaled, Scaled } tile_search = TileSearch::Unscaled;
  // Binary: bytes by 2³⁰ meet GB/s of 10⁹, so that bandwidth is 7.4 % too high. Decimal: 10⁹ throughout.
  enum class Gigabyte : uint8_t { Binary, Decimal } gigabyte = Gigabyte::Binary;
  // Difference: σ(γ) − σ(α)/w, which can fall to zero and below; the operator then costs nothing (the
  // published predictions of vector operators of a few thousand elements are zero on every GPU). Product:
  // σ(γ)·(1 − σ(α)/w), always in (0, 1).
  enum class Utilization : uint8_t { Difference, Product } utilization = Utilization::Difference;
  // Whole: the last wave counts in full. Partial: it counts by the blocks that it holds.
  enum class Waves : uint8_t { Whole, Partial } waves = Waves::Whole;
  double memory_share = 1;  // of peak bandwidth, for operators that only move bytes
  // Of an all-reduce, in units of the bytes. Four: 3 whatever the number of GPUs. Ring: 2(n − 1)/n.
  enum class AllReduce : uint8_t { Four, Ring } all_reduce = AllReduce::Four;
  double link_share = 0.72;  // of a link's bandwidth

  // Training.
  // Rows: a random fifth is held back, which leaks shapes from GPU to GPU. Shapes: a fifth of the shapes, on
  // all GPUs together.
  enum class HeldBack : uint8_t { Rows, Shapes } held_back = HeldBack::Rows;
  std::vector<std::string> leave_out;  // "P4 linear": rows of a GPU and class that are not learned from
  int hidden_layers = 7, width = 64, epochs = 100;
  bool cosine = true;
  struct Schedule {
    double learning_rate = 1e-3;
    int batch = 128;
  };
  std::array<Schedule, kNeuSightClasses> nvidia, amd;

  // Figures that stand in for the catalogue's.
  std::vector<NeuSightDevice> devices;
};

// Throws InputError, with the place, for an unknown key or a value out of range.
NeuSightOptions read_neusight_options(const Node&);
std::string to_json(const NeuSightOptions&);  // what read_neusight_options reads
// "neusight-paper" (of data/presets) or a path.
NeuSightOptions neusight_preset(const std::string& name_or_path);

// The device in the method's figures: those of the options where its name is there, else the catalogue's.
// Throws InputError for what is no GPU.
NeuSightDevice neusight_device(const hardware::Device&, const NeuSightOptions&);

}  // namespace orrery::cost
