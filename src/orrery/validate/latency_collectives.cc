#include "orrery/validate/latency_collectives.h"

#include <map>

#include "orrery/cost/fit/fit_collectives.h"

namespace orrery::validate {

namespace {

LatencyScores held_out(const cost::CollectiveCurve& curve, const cost::CollectiveModel& model,
                       const hardware::LinkLevel& level) {
  std::vector<TimedRow> rows;
  for (size_t i = 1; i < curve.bytes.size(); i += 2) {
    auto cost = model.price(curve.kind, curve.bytes[i], curve.ranks, level, false);
    double t = cost.time.value();
    rows.push_back({t, curve.seconds[i], t * cost.low, t * cost.high});
  }
  LatencyScores s = score(rows);
  s.gpu = curve.system;
  s.what = std::string(curve.kind == cost::Collective::SendReceive ? "send/receive" : "all-reduce") + ", " +
           std::to_string(curve.ranks) + " ranks, " + std::to_string(curve.per_node) + " a node";
  return s;
}

}  // namespace

std::vector<LatencyScores> evaluate_collectives(const std::string& data_folder) {
  const auto curves = cost::read_collectives(data_folder + "/neusight/vidur_collectives.csv.zst");
  const cost::CollectiveConstants constants = cost::fit_collectives(curves, "");
  cost::CollectiveConstants plain = constants;
  plain.links.clear();
  std::map<std::string, cost::CollectiveModel> without;
  std::vector<LatencyScores> scores;
  for (const cost::CollectiveCurve& curve : curves) {
    const hardware::LinkLevel level = cost::link_of(curve);
    const bool published = level.per_device.value() > 0;
    const bool switched = published && curve.system.ends_with("_dgx");
    LatencyScores s = switched ? held_out(curve, cost::CollectiveModel(constants), level)
                               : held_out(curve, cost::CollectiveModel(plain),
                                          cost::fit_link({&curve}, plain, !curve.within_node()));
    s.setting = switched ? "held-out sizes, published link" : "held-out sizes, fitted link";
    scores.push_back(s);
    if (!published) continue;
    if (!without.contains(curve.system))
      without.emplace(curve.system, cost::CollectiveModel(cost::fit_collectives(curves, curve.system)));
    LatencyScores left = held_out(curve, without.at(curve.system), level);
    left.setting = "system left out";
    scores.push_back(left);
  }
  return scores;
}

report::Table collectives_table(const std::vector<LatencyScores>& scores) {
  report::Table table = scores_table("Collectives", scores);
  table.notes = {
      "Starts of NCCL kernels depend on the host; small messages are bimodal in the measurements (7 or 40 us "
      "on one system)."};
  return table;
}

}  // namespace orrery::validate
