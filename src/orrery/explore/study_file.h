// A study of accelerators as a file, and as the study that the searches take. The same fields come from flags
// and stand in plan.json under `study`, so that a plan can be checked from itself.
//
//   workloads:
//     - {model: bert-large, batch: 8, sequence: 512, mode: train}
//   base: tpuv2                     # clock, DRAM, energies, uncore: a known accelerator or a file
//   reference: tpuv2                # what is compared with, by its cores; none
//   objective: perf-per-tdp         # throughput, perf-per-tdp, edp
//   limits: {area: 200 mm2, power: 280 W, of: cores}      # of: chip counts the uncore; left out: the
//   reference's space: {grid: powers-of-two, least: 16, most: 256, matrix_cores: 8, vector_cores: 4,
//   global_buffer: 32 MiB} calibrate: tpuv2                # power: the chip that is brought to its published
//   figure; none costs: {array: pipelined, dataflow: best, vector: revised, backward: split, fuse: true} top:
//   10
//
// A workload's model is a known name, a config.json, an .onnx (dims: {batch: 8}), a list of layers, a CSV of
// operators, a SCALE-Sim topology or a .txt of WHAM's operators. Beside it: batch (1), sequence (512), mode
// (train or inference), optimizer (momentum), recompute (none), attention (eager, flash), dtype (bf16),
// weight (1), least_throughput (samples a second, or `reference`), unknown (vc:1).
//
// Errors: InputError with file:line:column for unknown fields and values, wrong units, a space without
// designs, limits below the smallest design (with what fills them), an objective that needs a reference.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/explore/accelerator_plan.h"

namespace orrery::explore {

struct WorkloadSpec {
  std::string model, mode = "train", optimizer = "momentum", recompute = "none", attention = "eager",
                     type = "bf16", unknown;
  int64_t batch = 1, sequence = 512;
  std::map<std::string, int64_t> dims;
  double weight = 1, least_throughput = 0;
  bool least_is_reference = false;
};

struct StudySpec {
  std::vector<WorkloadSpec> workloads;
  std::string base = "tpuv2", reference = "tpuv2", calibrate = "tpuv2", objective = "perf-per-tdp";
  double area = 0, power = 0;  // m2, W; 0: the reference's, or without one no limit
  Place area_at, power_at;     // where a file says them; no file: a flag did, or nothing
  bool whole_chip = false;
  std::string grid = "powers-of-two";  // step-16, phaze
  int least = 16, most = 256, matrix_cores = 8, vector_cores = 4;
  std::vector<int64_t> global_buffers = {int64_t{32} << 20};
  std::string array = "pipelined", dataflow = "best", vector_costs = "revised", backward = "split";
  bool pack_groups = false, fuse = true;
  int top = 10;
};

// `folder`: where models and devices that are named by a relative path are looked for after the present
// folder.
StudySpec read_study_spec(const Node& root, const std::string& folder = "");

struct BuiltStudy {
  AcceleratorStudy study;
  std::vector<std::string> notes;  // of readers, and what was taken where nothing was said
};
// Reads the models and devices, builds graphs, finds the calibration.
BuiltStudy build_study(const StudySpec& spec);

}  // namespace orrery::explore
