#include "orrery/graph/readers/quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Read {
  std::optional<Quantization> scheme;
  std::vector<std::string> notes;
};

Read read(const std::string& text) {
  Read result;
  result.scheme = read_quantization_config(parse_json(text, "config.json"), DataType::BF16, result.notes);
  return result;
}

struct Case {
  const char* text;
  DataType weights, activations;
  int group_size;
};

TEST(Quantization, reads_the_methods_in_use) {
  const Case cases[] = {
      {R"({"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [128, 128]})",
       DataType::FP8Block, DataType::FP8Block, 0},
      {R"({"quant_method": "fp8", "activation_scheme": "static"})", DataType::FP8, DataType::FP8, 0},
      {R"({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["model.layers.0.mlp.down_proj"]})",
       DataType::FP8, DataType::FP8, 0},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": true})",
       DataType::INT4, DataType::BF16, 128},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": false, "sym": true})",
       DataType::INT4, DataType::BF16, 64},
      {R"({"quant_method": "gptq", "bits": 8, "group_size": -1})", DataType::INT8, DataType::BF16, 0},
      {R"({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})", DataType::MXFP4, DataType::BF16,
       0},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
           "input_activations": {"num_bits": 8, "type": "float", "strategy": "token"}}}})",
       DataType::FP8, DataType::FP8, 0},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "block"},
           "input_activations": {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 128}}}})",
       DataType::FP8Block, DataType::FP8Block, 0},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128},
           "input_activations": null}}})",
       DataType::INT4, DataType::BF16, 128},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel"},
           "input_activations": {"num_bits": 8, "type": "int"}}}})",
       DataType::INT8, DataType::INT8, 0},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16},
           "input_activations": {"num_bits": 4, "type": "float", "group_size": 16}}}})",
       DataType::NVFP4, DataType::NVFP4, 16},
      {R"({"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": {}})", DataType::NVFP4,
       DataType::NVFP4, 0},
  };
  for (const Case& expected : cases) {
    Read result = read(expected.text);
    ASSERT_TRUE(result.scheme) << expected.text;
    EXPECT_EQ(result.scheme->weights, expected.weights) << expected.text;
    EXPECT_EQ(result.scheme->activations, expected.activations) << expected.text;
    EXPECT_EQ(result.scheme->group_size, expected.group_size) << expected.text;
    EXPECT_THAT(result.notes, IsEmpty()) << expected.text;
  }
}

TEST(Quantization, bitsandbytes_is_priced_and_said) {
  Read four = read(
      R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "llm_int8_skip_modules": null})");
  EXPECT_EQ(four.scheme->weights, DataType::INT4);
  EXPECT_THAT(four.notes, ElementsAre(HasSubstr("bitsandbytes kernels are not measured: priced as int4")));
  EXPECT_EQ(read(R"({"load_in_8bit": true})").scheme->weights, DataType::INT8);
}

TEST(Quantization, an_unknown_method_is_a_note_and_the_weights_stay) {
  Read result = read(R"({"quant_method": "hqq"})");
  EXPECT_FALSE(result.scheme);
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("quantization method 'hqq' is not known")));
}

TEST(Quantization, a_kv_cache_may_be_quantized_alone) {
  Read both =
      read(R"({"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float"},
    "config_groups": {"g": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}}})");
  EXPECT_EQ(both.scheme->kv_cache, DataType::FP8);
  std::vector<std::string> notes;
  auto scheme = read_hf_quant_config(
      parse_json(R"({"quantization": {"quant_algo": null, "kv_cache_quant_algo": "FP8"}})", "q.json"),
      DataType::BF16, notes);
  EXPECT_FALSE(scheme);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("only the KV cache is quantized (FP8)")));
}

TEST(Quantization, model_optimizers_file_is_read) {
  std::vector<std::string> notes;
  auto scheme = read_hf_quant_config(
      parse_json(
          R"({"producer": {"name": "modelopt", "version": "0.29"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8",
                   "group_size": 16, "exclude_modules": ["lm_head", "model.layers.*.self_attn*"]}})",
          "q.json"),
      DataType::BF16, notes);
  ASSERT_TRUE(scheme);
  EXPECT_EQ(scheme->weights, DataType::NVFP4);
  EXPECT_EQ(scheme->group_size, 16);
  EXPECT_TRUE(ignores(*scheme, "layers.7.self_attn.q_proj"));
  EXPECT_FALSE(ignores(*scheme, "layers.7.mlp.up_proj"));
}

TEST(Quantization, a_broken_scheme_has_a_place) {
  auto wrong = [](const char* text) {
    try {
      read(text);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(wrong(R"({"quant_method": "awq"})"), HasSubstr("config.json:1:1: field 'bits' is missing"));
  EXPECT_THAT(wrong(R"({"quant_method": "gptq", "bits": 99})"),
              HasSubstr("config.json:1:34: 99 is out of range"));
  EXPECT_THAT(wrong(R"({"quant_method": "compressed-tensors", "config_groups": {}})"),
              HasSubstr("config_groups is empty"));
  EXPECT_THAT(wrong(R"({"bits": 4})"), HasSubstr("field 'quant_method' is missing"));
}

struct Pattern {
  const char* pattern;
  const char* module;
  bool ignored;
};

TEST(Quantization, patterns_cover_what_their_writers_mean) {
  const Pattern patterns[] = {
      {"lm_head", "lm_head", true},
      {"gate", "layers.1.mlp.gate", true},
      {"gate", "layers.1.mlp.gate_proj", false},
      {"model.layers.0.mlp", "layers.0.mlp.up_proj", true},
      {"model.layers.0.mlp", "layers.10.mlp.up_proj", false},
      {"model.layers.*.self_attn", "layers.3.self_attn.o_proj", true},
      {"model.layers.*.mlp.router", "layers.3.mlp.experts.0.up_proj", false},
      {"language_model.model.layers.3.mlp", "layers.3.mlp.down_proj", true},
      {"*self_attn*", "layers.3.self_attn.q_proj", true},
      {"re:.*mlp.gate$", "layers.3.mlp.gate", true},
      {"re:.*mlp.gate$", "layers.3.mlp.gate_proj", false},
      {"re:.*lm_head", "lm_head", true},
      {"re:model\\.layers\\.\\d+\\.self_attn\\.(q|k|v)_proj", "layers.12.self_attn.k_proj", true},
      {"re:model\\.layers\\.\\d+\\.self_attn\\.(q|k|v)_proj", "layers.12.self_attn.o_proj", false},
      {"", "layers.0.mlp.up_proj", false},
  };
  for (const Pattern& p : patterns) {
    Quantization scheme;
    ignore(scheme, p.pattern);
    EXPECT_EQ(ignores(scheme, p.module), p.ignored) << p.pattern << " on " << p.module;
  }
}

TEST(Quantization, a_hostile_pattern_costs_little) {
  Quantization scheme;
  std::string stars;
  for (int i = 0; i < 2000; ++i) stars += "*a";
  ignore(scheme, stars + "b");
  ignore(scheme, "re:" + stars + "b");
  EXPECT_FALSE(ignores(scheme, "layers.0." + std::string(2000, 'a')));
}

}  // namespace
}  // namespace orrery::graph
