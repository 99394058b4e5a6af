#include "orrery/graph/split.h"

#include <fmt/format.h>

#include "orrery/base/error.h"

namespace orrery::graph {
namespace {

constexpr SplitRule kRules[] = {
    {ProductRole::Replicated, false, false, false, false},
    {ProductRole::Column, true, false, false, true},
    {ProductRole::Row, false, true, true, false},
    {ProductRole::Vocabulary, true, false, false, true},
};

// The widths nearest to `width` that divide `size`.
std::string nearest_widths(int64_t size, int64_t width) {
  int64_t below = width, above = width;
  while (below > 1 && size % below != 0) --below;
  while (above < size && size % above != 0) ++above;
  return above <= size && size % above == 0 && above != below ? fmt::format("{} or {}", below, above)
                                                              : fmt::format("{}", below);
}

int64_t divided(const ModelConfig& model, std::string_view what, int64_t size, int64_t width,
                std::string_view flag) {
  if (size % width != 0) {
    throw InputError(fmt::format("{}: {} {} do not divide over {} devices; use {} {}", model.name, size, what,
                                 width, flag, nearest_widths(size, width)));
  }
  return size / width;
}

}  // namespace

const SplitRule& split_rule(ProductRole role) {
  return kRules[static_cast<size_t>(role)];
}

int64_t vocabulary_share(int64_t vocabulary, int width) {
  return (vocabulary + width - 1) / width;
}

Share share_of(const ModelConfig& model, const Tower& tower, const Parallelism& parallel) {
  constexpr std::string_view kTensor = "--tensor-parallel", kExpert = "--expert-parallel";
  Share share;
  share.tensor = parallel.tensor;
  int64_t width = parallel.tensor;
  share.heads = divided(model, "attention heads", tower.heads, width, kTensor);
  if (tower.kv_heads >= width) {
    share.kv_heads = divided(model, "key-value heads", tower.kv_heads, width, kTensor);
  } else {
    divided(model, "devices", width, tower.kv_heads,
            kTensor);  // each key-value head lives on width / kv_heads devices
    share.kv_heads = 1;
  }
  if (tower.feed_forward > 0) {
    share.feed_forward = divided(model, "feed-forward channels", tower.feed_forward, width, kTensor);
  }
  if (!tower.moe) return share;

  const Moe& moe = *tower.moe;
  int64_t expert = parallel.expert;
  share.experts = divided(model, "experts", moe.experts, expert, kExpert);
  if (moe.shared_feed_forward > 0) {
    share.shared_feed_forward =
        divided(model, "shared-expert channels", moe.shared_feed_forward, width, kTensor);
  }
  if (expert <= width) {  // the tensor-parallel group holds the experts: its devices all have the same tokens
    int64_t slices = divided(model, "tensor-parallel devices", width, expert, kExpert);
    share.expert_feed_forward = divided(model, "expert channels", moe.feed_forward, slices, kTensor);
    share.expert_rows = 1.0 / static_cast<double>(expert);
  } else {  // several groups, each with tokens of its own, exchange them
    share.expert_groups = static_cast<int>(divided(model, "expert-parallel devices", expert, width, kTensor));
    share.expert_feed_forward = moe.feed_forward;
    share.expert_rows = 1.0 / static_cast<double>(width);
  }
  return share;
}

}  // namespace orrery::graph
