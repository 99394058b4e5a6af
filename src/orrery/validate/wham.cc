#include "orrery/validate/wham.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/text.h"
#include "orrery/validate/wham_parts.h"

namespace orrery::validate {
namespace {

struct Part {
  std::string_view name;
  void (*run)(WhamWork&);
};
constexpr Part kParts[] = {{"cycles", validate_wham_cycles},      {"area", validate_wham_area},
                           {"energy", validate_wham_energy},      {"schedules", validate_wham_schedules},
                           {"search", validate_wham_search},      {"tpuv2", validate_wham_tpuv2},
                           {"pipelines", validate_wham_pipelines}};

}  // namespace

void WhamWork::ask(const std::string& what, const std::string& asked, const std::string& seen, bool met) {
  out.asked.rows.push_back({what, asked, seen, std::string(met ? "yes" : "NO")});
}

bool WhamValidation::all_met() const {
  return std::ranges::none_of(asked.rows, [](const std::vector<report::Cell>& row) {
    return std::get<std::string>(row.back()) == "NO";
  });
}

WhamValidation validate_wham(const WhamRequest& request, const RunContext& context) {
  const std::vector<std::string> names(kWhamParts.begin(), kWhamParts.end());
  for (const std::string& part : request.parts) {
    if (std::ranges::find(names, part) == names.end())
      throw InputError("there is no part '" + printable(part, 40) + "' of this validation" +
                       did_you_mean(part, std::span<const std::string>(names)));
  }
  if (request.data_folder.empty())
    throw NotFound(
        "the measured data is not at hand: set ORRERY_DATA to its folder or give --data FOLDER "
        "(docs/wham.md says where it comes from)");
  WhamValidation result;
  result.asked.title = "Asked and seen";
  result.asked.columns = {{"what", ""}, {"asked", ""}, {"seen", ""}, {"met", ""}};
  WhamWork work{request, context, result};
  for (const Part& part : kParts) {
    if (!request.parts.empty() && std::ranges::find(request.parts, part.name) == request.parts.end())
      continue;
    if (context.stop.stop_requested()) throw Interrupted();
    if (context.progress) context.progress->note(std::string(part.name));
    part.run(work);
    if (context.progress) context.progress->advance();
  }
  return result;
}

std::string wham_markdown(const WhamValidation& result) {
  std::string text = report::to_markdown(result.asked);
  for (const report::Table& table : result.tables) text += "\n" + report::to_markdown(table);
  return text;
}

}  // namespace orrery::validate
