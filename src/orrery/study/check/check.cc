#include "orrery/study/check/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::study {
namespace {

// A new kind of plan: its checker, and a row here.
struct Checker {
  const char* schema;
  Verification (*check)(const Node& root, const std::string& path, const CheckOptions& options);
};
constexpr Checker kCheckers[] = {
    {"orrery.experts/1", check_experts_plan},
    {"orrery.accelerator-plan/1", check_accelerator_plan},
};

std::string known_schemas() {
  std::string names;
  for (const Checker& checker : kCheckers) names += (names.empty() ? "" : ", ") + std::string(checker.schema);
  return names;
}

}  // namespace

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::Holds:
      return "holds";
    case Verdict::Fails:
      return "FAILS";
    case Verdict::NotProven:
      return "not proven";
  }
  return "";
}

bool Verification::holds() const {
  return std::none_of(claims.begin(), claims.end(),
                      [](const Claim& c) { return c.verdict == Verdict::Fails; });
}

Claim figure_claim(std::string name, double claimed, double recomputed, double tolerance) {
  const double size = std::max({std::abs(claimed), std::abs(recomputed), 1e-300});
  const bool same = std::abs(claimed - recomputed) <= tolerance * size;
  Claim claim{std::move(name),
              fmt::format("{:.7g}", claimed),
              fmt::format("{:.7g}", recomputed),
              same ? Verdict::Holds : Verdict::Fails,
              {}};
  if (!same) claim.why = fmt::format("differs by {:.2g} %", 100 * std::abs(claimed - recomputed) / size);
  return claim;
}

Verification check_plan(const std::string& path, const CheckOptions& options) {
  const Node root = parse_json(read_file(path), path);
  if (!root.is_map()) root.fail("is no plan; expected an object with a 'schema', as `orrery plan` writes it");
  const Node& schema = root.at("schema");
  for (const Checker& checker : kCheckers) {
    if (schema.as_string() == checker.schema) return checker.check(root, path, options);
  }
  schema.fail("schema '" + printable(schema.as_string()) + "' is none that is checked; expected one of " +
              known_schemas());
}

}  // namespace orrery::study
