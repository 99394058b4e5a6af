#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "orrery/explore/pipeline_designs.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/validate/wham_parts.h"

namespace orrery::validate {
namespace {

struct Pipeline {
  const char* model;
  int stages, tensor;
};
constexpr Pipeline kPipelines[] = {
    {"bert-large", 8, 1}, {"opt-1.3b", 12, 1}, {"gpt2-xl", 16, 1}, {"llama-2-7b", 8, 2}};

explore::PipelineStudy study_of(const Pipeline& pipeline) {
  explore::PipelineStudy study;
  study.base.base = hardware::Catalogue::shipped().device("tpuv2");
  study.base.space = explore::power_of_two_space(32, 256, 3, 2);
  study.base.limits.area = SquareMetres(200e-6);
  explore::PipelineRequest request;
  request.model = pipeline.model;
  request.stages = pipeline.stages;
  request.tensor = pipeline.tensor;
  study.models = {explore::pipeline_of_model(request)};
  return study;
}

}  // namespace

void validate_wham_pipelines(WhamWork& work) {
  report::Table table;
  table.title = "Pipelines: one design for all stages of all models, one a model, one a stage; samples/s/W";
  table.columns = {{"model", ""},
                   {"stages", ""},
                   {"common", ""},
                   {"individual", ""},
                   {"mosaic", ""},
                   {"mosaic of all", ""},
                   {"closed form / simulated", ""}};
  bool ordered = true;
  double least_share = 1, worst_form = 0;
  explore::PipelineStudy together;
  std::vector<explore::PipelinePlan> alone;
  for (const Pipeline& pipeline : kPipelines) {
    explore::PipelineStudy study = study_of(pipeline);
    if (together.models.empty()) {
      together = study;
    } else {
      together.models.push_back(study.models[0]);
    }
  }
  const explore::PipelinePlan plan = explore::plan_pipelines(together, work.context);
  double last = 0, fall = 0;  // of the mosaic's mean, from one number of designs a stage to the next
  constexpr size_t kSweep[] = {1, 2, 3, 5, 10, 20, 50, 100, SIZE_MAX};
  for (size_t top : kSweep) {
    together.top = top;
    const double found = explore::plan_pipelines(together, work.context).mosaic_objective;
    fall = std::max(fall, last > 0 ? 1 - found / last : 0);
    last = found;
  }
  const explore::PipelinePlan all = explore::plan_pipelines(together, work.context);
  constexpr double kRounding = 1e-9;
  for (size_t m = 0; m < together.models.size(); ++m) {
    const explore::PipelineDesign &common = plan.common[m], &individual = plan.individual[m],
                                  &mosaic = plan.mosaic[m];
    ordered = ordered && mosaic.objective >= individual.objective * (1 - kRounding) &&
              individual.objective >= common.objective * (1 - kRounding);
    least_share = std::min(least_share, mosaic.objective / all.mosaic[m].objective);
    for (const explore::PipelineDesign* d : {&common, &individual, &mosaic})
      worst_form = std::max(worst_form, std::abs(d->closed_form / d->simulated - 1));
    table.rows.push_back({together.models[m].name, report::number(kPipelines[m].stages, 0),
                          report::number(common.objective), report::number(individual.objective),
                          report::number(mosaic.objective), report::number(all.mosaic[m].objective),
                          report::number(mosaic.closed_form / mosaic.simulated, 3)});
  }
  table.notes = {
      "8 micro-batches of one sequence of 512 tokens, 1F1B, links of 4.3 GB/s (PHAZE's PCIe 3.0), sides and "
      "lanes 32 to 256, up to 3 matrix and 2 vector cores."};
  work.out.tables.push_back(std::move(table));
  work.ask("11: mosaic >= individual >= common", "for every model", ordered ? "yes" : "no", ordered);
  work.ask("11: ten designs a stage, share of all designs' best", "at least 99.5 %",
           fmt::format("{:.2f} %", 100 * least_share), least_share >= .995);
  work.ask("11: more designs a stage, from 1 to all, fall by", "nothing", fmt::format("{:.2g} %", 100 * fall),
           fall <= kRounding);
  work.ask("11: closed form beside the event simulation", "within 5 %",
           fmt::format("{:.1f} %", 100 * worst_form), worst_form <= .05);
}

}  // namespace orrery::validate
