#include "orrery/schedule/measurements.h"

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/schedule/kernels.h"

namespace orrery::schedule {
namespace {

Measurements read_kernel_csv(std::string text, const std::string& path, const std::string& gpu) {
  CsvTable table(std::move(text), path);
  int latency = table.at("latency_ms"), gpu_column = table.find("gpu");
  if (gpu_column < 0 && gpu.empty()) {
    throw InputError(Place{path, 1, 1},
                     "no column 'gpu' and no --device; expected one of them to say which GPU was measured");
  }
  KernelLayout layout = detect_layout(table);
  std::vector<graph::Kernel> kernels = read_kernels(table, layout);
  Measurements result;
  result.from_host = layout == KernelLayout::NeuSight;
  for (size_t row = 0; row < table.rows(); ++row) {
    double milliseconds_taken = table.number(row, latency);
    if (milliseconds_taken <= 0)
      table.fail(row, latency, "a latency of zero or less; expected milliseconds above 0");
    result.kernels.push_back({gpu.empty() ? std::string(table.cell(row, gpu_column)) : gpu,
                              std::move(kernels[row]), milliseconds(milliseconds_taken),
                              table.place(row, latency)});
  }
  return result;
}

}  // namespace

Measurements read_measurements(const std::string& path, const std::string& gpu) {
  std::string text = read_file(path);
  size_t first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string::npos || text[first] != '{') return read_kernel_csv(std::move(text), path, gpu);
  if (text.find("\"traceEvents\"") != std::string::npos) return read_kineto(text, path, gpu);
  return read_vllm_bench(std::move(text), path, gpu);
}

}  // namespace orrery::schedule
