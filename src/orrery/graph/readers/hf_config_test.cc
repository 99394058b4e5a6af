#include "orrery/graph/readers/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/graph/parameters.h"

namespace orrery::graph {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

ModelConfig read(const std::string& text) {
  return read_hf_config(parse_json(text, "config.json"), "model");
}

std::string error_of(const std::string& text) {
  return orrery::error_of([&] { read(text); });
}

// A file as the library writes it, with its usual ballast.
std::string llama(const std::string& more = "") {
  return R"({
  "architectures": ["LlamaForCausalLM"],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "bos_token_id": 128000,
  "eos_token_id": [128001, 128008, 128009],
  "hidden_act": "silu",
  "hidden_size": 4096,
  "initializer_range": 0.02,
  "intermediate_size": 14336,
  "max_position_embeddings": 131072,
  "mlp_bias": false,
  "model_type": "llama",
  "num_attention_heads": 32,
  "num_hidden_layers": 32,
  "num_key_value_heads": 8,
  "pretraining_tp": 1,
  "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
  "rope_theta": 500000.0,
  "tie_word_embeddings": false,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.43.0.dev0",
  "use_cache": true,)" +
         more + R"(
  "vocab_size": 128256
})";
}

// `text` with the line of `field` replaced.
std::string with(std::string text, const std::string& field, const std::string& value) {
  size_t at = text.find("\"" + field + "\":");
  size_t end = text.find_first_of("\n", at);
  bool comma = text[end - 1] == ',';
  return text.replace(at, end - at, value.empty() ? "" : "\"" + field + "\": " + value + (comma ? "," : ""));
}

TEST(HfConfig, reads_llama_in_silence) {
  ModelConfig model = read(llama());
  const Tower& tower = model.towers.at(0);
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.type, DataType::BF16);
  EXPECT_EQ(model.vocabulary, 128256);
  EXPECT_THAT((std::vector<int>{tower.layers, tower.hidden, tower.heads, tower.kv_heads, tower.head_dim,
                                tower.feed_forward, tower.tokens}),
              ElementsAre(32, 4096, 32, 8, 128, 14336, 131072));
  EXPECT_TRUE(tower.gated);
  EXPECT_FALSE(tower.qkv_bias || model.tied_embeddings || model.quantization || tower.moe);
  EXPECT_THAT(model.notes, IsEmpty());
  EXPECT_EQ(parameter_count(model).total(), 8030261248);
}

TEST(HfConfig, dtype_has_two_names_and_may_be_absent) {
  EXPECT_EQ(read(with(llama(), "torch_dtype", "\"float16\"")).type, DataType::FP16);
  EXPECT_EQ(read(with(with(llama(), "torch_dtype", ""), "use_cache", "\"x\", \"dtype\": \"bfloat16\"")).type,
            DataType::BF16);
  ModelConfig bare = read(with(llama(), "torch_dtype", ""));
  EXPECT_EQ(bare.type, DataType::FP32);
  EXPECT_THAT(bare.notes, ElementsAre(HasSubstr("no dtype is given")));
  EXPECT_THAT(error_of(with(llama(), "torch_dtype", "\"float7\"")),
              StartsWith("config.json:22:18: 'float7' is not a data type"));
}

TEST(HfConfig, missing_kv_heads_mean_as_many_and_head_dim_may_be_explicit) {
  EXPECT_EQ(read(with(llama(), "num_key_value_heads", "null")).towers[0].kv_heads, 32);
  EXPECT_EQ(read(with(llama(), "num_key_value_heads", "")).towers[0].kv_heads, 32);
  EXPECT_EQ(read(llama("\"head_dim\": 64,")).towers[0].head_dim, 64);
}

TEST(HfConfig, a_field_that_is_not_known_is_named) {
  EXPECT_THAT(read(llama("\"warp_drive\": 9, \"\\u001b[2J\": 1,")).notes,
              ElementsAre("field 'warp_drive' is not known and has no effect",
                          "field '?[2J' is not known and has no effect"));
}

TEST(HfConfig, wrong_fields_give_one_line_with_their_place) {
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "")),
              StartsWith("config.json:1:1: field 'hidden_size' is missing"));
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "null")),
              StartsWith("config.json:1:1: field 'hidden_size' is missing"));
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "\"big\"")),
              StartsWith("config.json:8:18: expected a number, found a text"));
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "-4096")),
              StartsWith("config.json:8:18: -4096 is out of range; expected 1 to 1000000"));
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "4096.5")),
              StartsWith("config.json:8:18: expected a whole number"));
  EXPECT_THAT(error_of(with(llama(), "num_hidden_layers", "1e9")), StartsWith("config.json:15:24: "));
  EXPECT_THAT(error_of(with(llama(), "num_attention_heads", "33")),
              AllOf(StartsWith("config.json:"),
                    HasSubstr("num_key_value_heads 8 does not divide the 33 attention heads")));
  EXPECT_THAT(error_of(with(llama(), "hidden_size", "4100")),
              AllOf(StartsWith("config.json:14:26: hidden size 4100 is not divisible by 32 attention heads"),
                    HasSubstr("^")));
  EXPECT_THAT(error_of(with(llama(), "tie_word_embeddings", "1")),
              HasSubstr("expected true or false, found a number"));
  EXPECT_THAT(error_of(with(with(with(llama(), "hidden_size", "1000000"), "intermediate_size", "10000000"),
                            "num_hidden_layers", "9999")),
              HasSubstr("parameters; expected at most"));
  EXPECT_THAT(error_of("[1]"), HasSubstr("expected a map"));
  EXPECT_THAT(error_of("{\"hidden_size\": 3}"), HasSubstr("field 'model_type' is missing"));
}

TEST(HfConfig, an_unknown_architecture_lists_the_known_ones_and_the_other_ways_in) {
  std::string message = error_of(with(llama(), "model_type", "\"lama\""));
  EXPECT_THAT(message,
              AllOf(StartsWith("config.json:13:17: model_type 'lama' is not known; did you mean 'llama'?"),
                    HasSubstr("deepseek_v3"), HasSubstr("operator CSV"), HasSubstr("ONNX")));
}

TEST(HfConfig, an_unknown_activation_is_a_note) {
  ModelConfig model = read(with(llama(), "hidden_act", "\"relu2\""));
  EXPECT_THAT(model.notes, ElementsAre(HasSubstr("activation 'relu2' is not known")));
}

// Gemma 3 publishes only what differs from the defaults of its text model; the vision tower is said, not
// priced.
TEST(HfConfig, a_nested_text_config_takes_its_familys_defaults) {
  ModelConfig model = read(
      R"({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999,
    "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
                    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}, "torch_dtype": "bfloat16"})");
  const Tower& tower = model.towers.at(0);
  EXPECT_THAT((std::vector<int>{tower.heads, tower.kv_heads, tower.head_dim}), ElementsAre(8, 4, 256));
  EXPECT_EQ(model.vocabulary, 262208);
  EXPECT_EQ(model.type, DataType::BF16);
  EXPECT_TRUE(model.tied_embeddings && tower.qk_norm && tower.sandwich_norm);
  EXPECT_THAT(model.notes, ElementsAre(HasSubstr("'vision_config' is not priced")));
  // The 4,300,079,472 of the published files less SigLIP (416,866,032) and the projector (1152 x 2560 +
  // 1152).
  EXPECT_EQ(parameter_count(model).total(), 4300079472.0 - 416866032 - (1152 * 2560 + 1152));
}

TEST(HfConfig, a_nested_model_of_an_unknown_family_is_refused) {
  EXPECT_THAT(
      error_of(R"({"model_type": "llava", "text_config": {"model_type": "mamba", "hidden_size": 8}})"),
      AllOf(StartsWith("config.json:1:55: the text_config of this 'llava' model has model_type 'mamba'"),
            HasSubstr("llama")));
}

TEST(HfConfig, windows_follow_the_layer_types_or_the_familys_period) {
  auto windows = [](const Tower& tower) {
    std::string result;
    for (int layer = 0; layer < tower.layers; ++layer) result += tower.windowed(layer) ? 'w' : '-';
    return result;
  };
  std::string gemma =
      R"({"model_type": "gemma2", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100, "dtype": "bfloat16", "sliding_window": 4096)";
  EXPECT_EQ(windows(read(gemma + "}").towers[0]), "w-w-");
  EXPECT_EQ(
      windows(
          read(
              gemma +
              R"(, "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]})")
              .towers[0]),
      "-w-w");
  EXPECT_EQ(
      windows(
          read(
              gemma +
              R"(, "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention"]})")
              .towers[0]),
      "----");
  ModelConfig irregular = read(
      gemma +
      R"(, "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]})");
  EXPECT_THAT(irregular.notes, ElementsAre(HasSubstr("layer_types follows no period")));
  EXPECT_THAT(error_of(gemma + R"(, "layer_types": ["sliding_attention"]})"),
              HasSubstr("layer_types has 1 entries; expected one for each of the 4"));

  std::string qwen =
      R"({"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 100, "dtype": "bfloat16", "sliding_window": 4096, "max_window_layers": 2, "use_sliding_window": )";
  EXPECT_EQ(windows(read(qwen + "false}").towers[0]), "----");
  EXPECT_EQ(windows(read(qwen + "true}").towers[0]), "--ww");
}

TEST(HfConfig, mixtures_say_which_layers_are_sparse) {
  std::string text =
      R"({"model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 100, "dtype": "bfloat16", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
    "decoder_sparse_step": 2, "mlp_only_layers": [3]})";
  ModelConfig model = read(text);
  std::string sparse;
  for (int layer = 0; layer < 6; ++layer) sparse += model.towers[0].sparse(layer) ? 's' : 'd';
  EXPECT_EQ(sparse, "dsddds");
  EXPECT_THAT(error_of(text.replace(text.find("_tok\": 2"), 8, "_tok\": 9")),
              HasSubstr("9 is out of range; expected 1 to 8"));
}

class HfConfigFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "orrery_config_" + std::to_string(getpid()) + "/My-Model";
    std::filesystem::create_directories(folder_);
    write_file(folder_ + "/config.json", llama());
  }
  void TearDown() override { std::filesystem::remove_all(std::filesystem::path(folder_).parent_path()); }
  std::string folder_;
};

TEST_F(HfConfigFolder, a_folder_or_its_file_names_the_model_after_the_folder) {
  EXPECT_EQ(read_hf_config(folder_).name, "My-Model");
  EXPECT_EQ(read_hf_config(folder_ + "/config.json").name, "My-Model");
}

TEST_F(HfConfigFolder, what_lies_beside_the_config_is_read) {
  write_file(folder_ + "/model.safetensors.index.json",
             R"({"metadata": {"total_size": 16060522496}, "weight_map": {"a": "b"}})");
  write_file(
      folder_ + "/hf_quant_config.json",
      R"({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}})");
  ModelConfig model = read_hf_config(folder_);
  EXPECT_EQ(model.exact_weight_bytes, 16060522496.0);
  ASSERT_TRUE(model.quantization);
  EXPECT_EQ(model.quantization->weights, DataType::FP8);
  EXPECT_EQ(model.quantization->kv_cache, DataType::FP8);
}

TEST_F(HfConfigFolder, a_damaged_index_is_an_error_of_that_file) {
  write_file(folder_ + "/model.safetensors.index.json", R"({"metadata": {"total_size": -3}})");
  try {
    read_hf_config(folder_);
    FAIL();
  } catch (const InputError& wrong) {
    EXPECT_THAT(wrong.what(), HasSubstr("model.safetensors.index.json:1:29: -3 is out of range"));
  }
}

}  // namespace
}  // namespace orrery::graph
