#include "orrery/cost/accelerator/loop_nest.h"

#include <stdexcept>

namespace orrery::cost {
namespace {

using Extent = std::array<double, kLoopDims>;

constexpr size_t kWeights = 0, kInputs = 1, kOutputs = 2;

double at(const Extent& extent, LoopDim dim) {
  return extent[static_cast<size_t>(dim)];
}

bool indexes(size_t tensor, LoopDim dim) {
  switch (dim) {
    case LoopDim::C:
      return tensor != kOutputs;
    case LoopDim::M:
      return tensor != kInputs;
    case LoopDim::P:
    case LoopDim::Q:
      return tensor != kWeights;
    case LoopDim::R:
    case LoopDim::S:
      return tensor != kOutputs;
  }
  return false;
}

// Elements of a tensor that a box of indices touches; windows of an image overlap.
double elements(size_t tensor, const Extent& e, double stride) {
  if (tensor == kWeights)
    return at(e, LoopDim::C) * at(e, LoopDim::M) * at(e, LoopDim::R) * at(e, LoopDim::S);
  if (tensor == kOutputs) return at(e, LoopDim::M) * at(e, LoopDim::P) * at(e, LoopDim::Q);
  auto side = [&](LoopDim out, LoopDim window) {
    // With a stride beyond the window columns between windows are not touched.
    const double n = at(e, out), w = at(e, window);
    return w >= stride ? (n - 1) * stride + w : n * w;
  };
  return at(e, LoopDim::C) * side(LoopDim::P, LoopDim::R) * side(LoopDim::Q, LoopDim::S);
}

struct Flat {
  Loop loop;
  size_t level = 0;
};

class Counter {
 public:
  explicit Counter(const LoopNest& nest) : nest_(nest), stride_(static_cast<double>(nest.stride)) {
    for (size_t l = 0; l < nest.levels.size(); ++l) {
      for (const Loop& loop : nest.levels[l].loops) {
        if (loop.trips < 1) throw std::invalid_argument("a loop without trips");
        loops_.push_back({loop, l});
      }
    }
    for (size_t t = 0; t < kLoopTensors; ++t) {
      if (nest.levels.empty() || !nest.levels.front().keeps[t])
        throw std::invalid_argument("the outermost level must keep every tensor");
    }
  }

  LoopCounts run() {
    for (size_t l = 0; l < nest_.levels.size(); ++l) {
      LevelAccesses level;
      level.name = nest_.levels[l].name;
      level.instances = instances(l);
      counts_.levels.push_back(level);
    }
    counts_.multiply_accumulates = counts_.cycles = counts_.instances = 1;
    for (const Flat& flat : loops_) {
      const double trips = static_cast<double>(flat.loop.trips);
      counts_.multiply_accumulates *= trips;
      (flat.loop.spatial ? counts_.instances : counts_.cycles) *= trips;
    }
    for (size_t t : {kWeights, kInputs}) operand(t);
    sums();
    return std::move(counts_);
  }

 private:
  // Instances of a level: spatial trips above it.
  double instances(size_t level) const {
    double all = 1;
    for (const Flat& flat : loops_) {
      if (flat.level < level && flat.loop.spatial) all *= static_cast<double>(flat.loop.trips);
    }
    return all;
  }

  // What loops of levels from `level` on index: the tile of one instance; with `above`, also spatial loops of
  // levels from `above` on, whose instances are served together.
  Extent extent(size_t level, size_t above) const {
    Extent e;
    e.fill(1);
    for (const Flat& flat : loops_) {
      if (flat.level >= level || (flat.level >= above && flat.loop.spatial))
        e[static_cast<size_t>(flat.loop.dim)] *= static_cast<double>(flat.loop.trips);
    }
    return e;
  }

  // How often an instance's tile changes: trips in time above the level, without the innermost ones that do
  // not index the tensor.
  double loads(size_t tensor, size_t level) const {
    double all = 1;
    bool relevant = false;
    for (size_t i = loops_.size(); i-- > 0;) {
      const Flat& flat = loops_[i];
      if (flat.level >= level || flat.loop.spatial || flat.loop.trips == 1) continue;
      relevant = relevant || indexes(tensor, flat.loop.dim);
      if (relevant) all *= static_cast<double>(flat.loop.trips);
    }
    return all;
  }

  size_t innermost(size_t tensor) const {
    size_t level = 0;
    for (size_t l = 0; l < nest_.levels.size(); ++l) {
      if (nest_.levels[l].keeps[tensor]) level = l;
    }
    return level;
  }
  size_t parent(size_t tensor, size_t level) const {
    while (level-- > 0) {
      if (nest_.levels[level].keeps[tensor]) return level;
    }
    return 0;
  }

  void operand(size_t t) {
    for (size_t l = 1; l < nest_.levels.size(); ++l) {
      if (!nest_.levels[l].keeps[t]) continue;
      const size_t up = parent(t, l);
      const double times = loads(t, l);
      counts_.levels[l].writes[t] += times * elements(t, extent(l, l), stride_) * instances(l);
      counts_.levels[up].reads[t] += times * elements(t, extent(l, up), stride_) * instances(up);
    }
    counts_.levels[innermost(t)].reads[t] += counts_.multiply_accumulates;
  }

  // Sums go up when their tile changes; where it comes again, they come back.
  void sums() {
    const size_t last = innermost(kOutputs);
    const double all = elements(kOutputs, extent(0, 0), stride_);
    for (size_t l = last; l > 0; l = parent(kOutputs, l)) {
      const size_t up = parent(kOutputs, l);
      const double sent = loads(kOutputs, l) * elements(kOutputs, extent(l, up), stride_) * instances(up);
      counts_.levels[up].writes[kOutputs] += sent;
      if (l != last)  // where sums are made, the last addition's result leaves without another read
        counts_.levels[l].reads[kOutputs] +=
            loads(kOutputs, l) * elements(kOutputs, extent(l, l), stride_) * instances(l);
      const double back = sent - all;  // partial sums that are added to
      if (back > 0) counts_.levels[up].reads[kOutputs] += back;
    }
    const double residencies =
        loads(kOutputs, last) * elements(kOutputs, extent(last, last), stride_) * instances(last);
    counts_.levels[last].writes[kOutputs] += counts_.multiply_accumulates;
    counts_.levels[last].reads[kOutputs] += counts_.multiply_accumulates - residencies;
  }

  const LoopNest& nest_;
  double stride_;
  std::vector<Flat> loops_;
  LoopCounts counts_;
};

}  // namespace

LoopCounts count_accesses(const LoopNest& nest) {
  return Counter(nest).run();
}

}  // namespace orrery::cost
