#include "orrery/cli/command.h"

#include <unistd.h>

#include <iostream>

namespace orrery::cli {
namespace {

// The order is that of the help. A new command: its file, and a row here.
constexpr Command kCommands[] = {
    {"predict", "latency", "how fast a model runs on GPUs, measured or not, and whether it fits",
     "orrery predict latency llama-3.1-8b --device h200-sxm,l40s,rtx-4090 --prompt 2048 --output-tokens 256\n"
     "orrery predict latency llama-3.1-8b --device h100-sxm --mode train --batch 8 --sequence 4096 --json\n"
     "orrery predict latency llama-3.1-8b --cluster dgx-h100 --mode train --tensor-parallel 2 "
     "--pipeline-parallel 4 "
     "--micro-batches 16 --batch 16 --sequence 4096",
     declare_predict_latency},
    {"predict", "memory", "what fills a device's memory, by component, and what fits",
     "orrery predict memory llama-3.1-70b --mode train --tensor-parallel 8", declare_predict_memory},
    {"run", "keyindex", "an ordered index of strings: build, get, scan, verify",
     "orrery run keyindex build --keys names.txt --index names.index\n"
     "orrery run keyindex get --index names.index --keys wanted.txt\n"
     "orrery run keyindex scan --index names.index --from ab --count 10",
     declare_run_keyindex},
    {"plan", "accelerator",
     "the accelerator for a set of workloads, under area and power, with a certificate",
     "orrery plan accelerator examples/accelerator-bert.yaml --output accelerator-bert\n"
     "orrery plan accelerator --workload resnext-101 --workload vgg-16 --batch 32 --area 200mm2 --power 280W "
     "--objective throughput",
     declare_plan_accelerator},
    {"plan", "experts", "which expert of a mixture-of-experts model lives on which GPU",
     "orrery plan experts examples/moe-routing.tsv.gz --gpus 8", declare_plan_experts},
    {"check", "", "grades a plan: every claim counted again, without the code that made it",
     "orrery check examples/experts-plan.json", declare_check},
    {"fit", "latency", "adapts the latency model to your own measurements; error before and after",
     "orrery fit latency measured.csv --output mine.json", declare_fit_latency},
    {"show", "gpus", "the GPUs that are known, or all facts of one with their sources",
     "orrery show gpus h100-sxm", declare_show_gpus},
    {"show", "accelerators",
     "published accelerators as designs of one template: area and power, by law and published",
     "orrery show accelerators\norrery show accelerators tpuv2", declare_show_accelerators},
    {"show", "models", "the models that are known, or the configuration of one",
     "orrery show models llama-3.1-8b", declare_show_models},
    {"validate", "latency", "how far forecasts are from what was measured, each GPU left out of its own fit",
     "orrery validate latency --only speed", declare_validate_latency},
    {"validate", "keyindex", "the string index's training against fresh fits, and what its memo saves",
     "orrery validate keyindex --groups 20", declare_validate_keyindex},
    {"validate", "moetuner",
     "expert placement against exact optima, other planners, and text that it was not planned on",
     "orrery validate moetuner --only replay,trace", declare_validate_moetuner},
    {"validate", "neusight",
     "the NeuSight paper's FP32 measurements: its predictors, and ours, on all of them",
     "orrery validate neusight --only models", declare_validate_neusight},
    {"validate", "wham",
     "accelerators: cycles, areas, energies and searches against other programs, silicon and exact answers",
     "orrery validate wham --only cycles,area,energy", declare_validate_wham},
    {"completion", "", "prints the completion script of a shell", "source <(orrery completion bash)",
     declare_completion},
    {"help", "", "all commands, or one", "orrery help predict latency", declare_help},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

RunContext Common::context() const {
  RunContext context;
  context.seed = Seed{seed};
  context.threads = threads;
  context.stop = interrupt_token();
  return context;
}

report::TerminalStyle Common::style() const {
  return out == &std::cout ? report::terminal_style(STDOUT_FILENO) : report::TerminalStyle{};
}

}  // namespace orrery::cli
