// Prints, as CSV, the matrix FLOP that Orrery counts for shipped models: the half of the comparison that
// compare_with_torch.py reads. Arguments: batch, sequence, output sequence (encoder-decoder), then model
// names; without names all that are shipped.
#include <cstdio>
#include <cstdlib>

#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/workload.h"

int main(int count, char** arguments) {
  using namespace orrery::graph;
  Workload work;
  work.batch = count > 1 ? std::atoll(arguments[1]) : 2;
  work.sequence = count > 2 ? std::atoll(arguments[2]) : 64;
  work.output_sequence = count > 3 ? std::atoll(arguments[3]) : 48;
  work.attention = AttentionKernel::Eager;
  work.fuse = false;
  work.last_token_only = false;
  std::vector<std::string> names(arguments + std::min(count, 4), arguments + count);
  std::printf("model,forward,train\n");
  for (const std::string& name : names.empty() ? shipped_models() : names) {
    ModelConfig model = find_model(name);
    work.mode = Mode::Prefill;
    double forward = matrix_flops(build_graph(model, work)).value();
    work.mode = Mode::Train;
    double train = matrix_flops(build_graph(model, work)).value();
    std::printf("%s,%.0f,%.0f\n", name.c_str(), forward, train);
  }
}
