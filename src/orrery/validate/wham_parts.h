// The parts of `orrery validate wham`. Each adds its tables, and a line to what is asked.
#pragma once

#include "orrery/validate/wham.h"

namespace orrery::validate {

struct WhamWork {
  const WhamRequest& request;
  const RunContext& context;
  WhamValidation& out;
  void ask(const std::string& what, const std::string& asked, const std::string& seen, bool met);
};

void validate_wham_cycles(WhamWork& work);
void validate_wham_area(WhamWork& work);
void validate_wham_energy(WhamWork& work);
void validate_wham_schedules(WhamWork& work);
void validate_wham_search(WhamWork& work);
void validate_wham_tpuv2(WhamWork& work);
void validate_wham_pipelines(WhamWork& work);

// The networks of wham/onnx in the data folder.
struct WhamNetwork {
  const char *name, *file;
  double giga_multiply_adds, mega_weights;  // published, of one sample; of convolutions and products
  int batch;                                // of the searches
};
inline constexpr std::array<WhamNetwork, 7> kWhamNetworks = {{
    {"AlexNet", "light_bvlc_alexnet.onnx", .6546, 60.955, 128},
    {"VGG-19", "light_vgg19.onnx", 19.632, 143.653, 16},
    {"ResNet-50", "light_resnet50.onnx", 4.0892, 25.503, 32},
    {"SqueezeNet", "light_squeezenet.onnx", .3492, 1.232, 64},
    {"Inception-v1", "light_inception_v1.onnx", 1.4316, 6.990, 64},
    {"Inception-v2", "light_inception_v2.onnx", 2.0189, 11.174, 64},
    {"DenseNet-121", "light_densenet121.onnx", 2.8342, 7.894, 16},
}};

}  // namespace orrery::validate
