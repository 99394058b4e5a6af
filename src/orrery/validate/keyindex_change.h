// A group of consecutive keys before and after some of them came and went.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "orrery/base/random.h"
#include "orrery/keyindex/training/gram.h"
#include "orrery/keyindex/training/trainer.h"
#include "orrery/trace/key_set.h"

namespace orrery::validate {

struct GroupChange {
  std::vector<std::string_view> before, after;
  std::vector<uint32_t> inserted;             // ranks in `after`
  std::vector<keyindex::RemovedKey> removed;  // ranks in `before`
};

// Group `which` of `of`, spread over the set: `size` keys before, share · size more after, and the share
// `gone` of the old ones gone.
inline GroupChange group_change(const trace::KeySet& keys, size_t size, double share, double gone,
                                size_t which, size_t of) {
  const auto all =
      std::min(keys.size(), size + static_cast<size_t>(std::llround(share * static_cast<double>(size))));
  const size_t first = (keys.size() - all) * which / std::max<size_t>(1, of);
  Random random(Seed{which + 17});
  GroupChange change;
  size_t to_come = all - std::min(all, size);
  for (size_t i = 0; i < all; ++i) {
    const std::string_view key = keys[first + i];
    if (random.index(all - i) < to_come) {
      --to_come;
      change.inserted.push_back(static_cast<uint32_t>(change.after.size()));
      change.after.push_back(key);
      continue;
    }
    if (random.uniform() < gone) {
      change.removed.push_back({static_cast<uint32_t>(change.before.size()), key});
    } else {
      change.after.push_back(key);
    }
    change.before.push_back(key);
  }
  return change;
}

inline keyindex::TrainResult train(keyindex::Trainer& trainer, const GroupChange& change, keyindex::Memo memo,
                                   const keyindex::TrainOptions& options) {
  return trainer.train({.keys = change.after,
                        .inserted = change.inserted,
                        .removed = change.removed,
                        .memo = std::move(memo),
                        .options = options});
}
inline keyindex::TrainResult train_before(keyindex::Trainer& trainer, const GroupChange& change,
                                          const keyindex::TrainOptions& options) {
  return trainer.train(
      {.keys = change.before, .inserted = {}, .removed = {}, .memo = {}, .options = options});
}

// The fit that the columns of `map` allow, through the exact Gram matrix: weights, and root mean square
// error.
inline std::vector<double> fresh_beta(const keyindex::FeatureMap& map,
                                      std::span<const std::string_view> keys) {
  const keyindex::RowMatrix rows = keyindex::rows_of(map, keys);
  keyindex::Gram gram(map.columns());
  gram.add(rows.data(), rows.rows(), rows.stride());
  std::vector<double> beta = gram.solve(keyindex::BlockSums(rows, map.columns()).centred_z());
  beta[0] += (static_cast<double>(keys.size()) - 1) / 2;
  return beta;
}
inline double fresh_rms(const keyindex::FeatureMap& map, std::span<const std::string_view> keys) {
  return keyindex::LinearModel(map, fresh_beta(map, keys), keys.size()).rms(keys);
}

}  // namespace orrery::validate
