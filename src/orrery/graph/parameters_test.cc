#include "orrery/graph/parameters.h"

#include <gtest/gtest.h>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/readers/quantization.h"

namespace orrery::graph {
namespace {

double component(const ParameterCount& count, Component which) {
  return count.by_component[static_cast<size_t>(which)];
}

TEST(Parameters, equal_the_published_counts_for_every_shipped_model) {
  CsvTable published = read_csv(data_folder() + "/models/parameters.csv");
  int model = published.at("model"), counts = published.at("counts"), parameters = published.at("parameters");
  std::vector<std::string> missing = shipped_models();
  for (size_t row = 0; row < published.rows(); ++row) {
    ModelConfig config = find_model(std::string(published.cell(row, model)));
    double ours =
        published.cell(row, counts) == "files" ? published_elements(config) : parameter_count(config).total();
    EXPECT_EQ(ours, published.number(row, parameters)) << config.name;
    std::erase(missing, config.name);
  }
  EXPECT_TRUE(missing.empty()) << missing.size() << " models without a published count, first "
                               << missing.front();
}

TEST(Parameters, stand_in_their_components) {
  ParameterCount count = parameter_count(find_model("llama-3.1-8b"));
  EXPECT_EQ(component(count, Component::Embedding), 128256.0 * 4096);
  EXPECT_EQ(component(count, Component::Head), 128256.0 * 4096);
  EXPECT_EQ(component(count, Component::Attention), 32.0 * (2 * 4096 * 4096 + 2 * 1024 * 4096));
  EXPECT_EQ(component(count, Component::FeedForward), 32.0 * 3 * 4096 * 14336);
  EXPECT_EQ(component(count, Component::Norm), 65.0 * 4096);
  EXPECT_EQ(count.active, count.total());
  EXPECT_EQ(component(parameter_count(find_model("gpt2")), Component::Position), 1024.0 * 768);
}

// Published figures: 37 B active of DeepSeek-V3 (its report), 12.9 B of Mixtral 8x7B, 22 B and 3.3 B of
// Qwen3's two, 21 B of DeepSeek-V2; gpt-oss's card counts 5.13 B and 3.61 B without the embedding.
TEST(Parameters, active_ones_match_the_authors_rounding) {
  auto billions = [](const char* name) { return parameter_count(find_model(name)).active * 1e-9; };
  EXPECT_NEAR(billions("deepseek-v3"), 37.5, 0.1);
  EXPECT_NEAR(billions("deepseek-v2"), 21.4, 0.1);
  EXPECT_NEAR(billions("mixtral-8x7b"), 12.9, 0.05);
  EXPECT_NEAR(billions("qwen3-235b-a22b"), 22.2, 0.1);
  EXPECT_NEAR(billions("qwen3-30b-a3b"), 3.35, 0.05);
  for (auto [name, card] : {std::pair("gpt-oss-120b", 5.13), std::pair("gpt-oss-20b", 3.61)}) {
    ParameterCount count = parameter_count(find_model(name));
    EXPECT_NEAR((count.active - count.embedding) * 1e-9, card, 0.006) << name;
  }
}

// The headers of DeepSeek-V3's files: 680,571,043,840 elements in FP8, 3,918,786,560 in BF16, 41,555,600 in
// FP32 (scales and routing biases).
TEST(Parameters, fp8_reaches_exactly_the_published_matrices) {
  ModelConfig model = find_model("deepseek-v3");
  double fp8 = 0;
  for (const WeightGroup& group : weight_groups(model)) {
    if (stored_type(model, group, model.towers[0].layers - 1) != DataType::FP8Block) continue;
    fp8 += static_cast<double>(group.rows) * static_cast<double>(group.columns) *
           static_cast<double>(group.copies) * layers_holding(model, group);
  }
  EXPECT_EQ(fp8, 680571043840.0);
}

TEST(Parameters, bert_without_its_heads_is_the_published_encoder) {
  ModelConfig model = find_model("bert-base");
  double masked_head = 768.0 * 768 + 768 + 2 * 768 + 30522, next_sentence = 2 * 768 + 2;
  EXPECT_EQ(parameter_count(model).total() - masked_head - next_sentence, 109482240);
}

TEST(WeightBytes, are_parameters_times_the_type_where_nothing_is_quantized) {
  for (const char* name : {"llama-3.1-8b", "gpt3-175b", "mixtral-8x7b", "t5-3b", "clip-vit-l-14"}) {
    ModelConfig model = find_model(name);
    EXPECT_EQ(weight_bytes(model).total().value(),
              parameter_count(model).total() * bytes_per_element(model.type))
        << name;
  }
}

// The total_size of the published index files of gpt-oss-120b and gpt-oss-20b.
TEST(WeightBytes, of_block_formats_count_their_scales) {
  EXPECT_EQ(weight_bytes(find_model("gpt-oss-120b")).total().value(), 65248815744.0);
  EXPECT_EQ(weight_bytes(find_model("gpt-oss-20b")).total().value(), 13761264768.0);
  ModelConfig model = find_model("llama-3.1-8b");
  double linears = 32.0 * (2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 4096.0 * 14336),
         rest = parameter_count(model).total() - linears;
  struct Case {
    DataType type;
    int group_size;
    double bytes_per_weight;
  };
  for (const Case& c :
       {Case{DataType::FP8, 0, 1}, Case{DataType::FP8Block, 0, 1 + 4.0 / (128 * 128)},
        Case{DataType::INT4, 128, 0.5 + 2.5 / 128}, Case{DataType::INT4, 64, 0.5 + 2.5 / 64},
        Case{DataType::NVFP4, 16, 0.5 + 1.0 / 16}, Case{DataType::MXFP4, 32, 0.5 + 1.0 / 32}}) {
    model.quantization = Quantization{.method = "test", .weights = c.type, .group_size = c.group_size};
    EXPECT_DOUBLE_EQ(weight_bytes(model).total().value(), 2 * rest + linears * c.bytes_per_weight)
        << name(c.type);
  }
}

TEST(WeightBytes, of_ignored_modules_stay_in_the_models_type) {
  ModelConfig model = find_model("llama-3.1-8b");
  model.quantization = Quantization{.method = "fp8", .weights = DataType::FP8};
  double all = weight_bytes(model).total().value();
  double down = 4096.0 * 14336;
  model.quantization->ignored = {"lm_head", "model.layers.0.mlp.down_proj", "model.layers.31.mlp.down_proj"};
  EXPECT_DOUBLE_EQ(weight_bytes(model).total().value(), all + 2 * down);
  model.quantization->ignored.clear();
  ignore(*model.quantization, "re:.*self_attn.*");
  EXPECT_DOUBLE_EQ(weight_bytes(model).total().value(), all + 32.0 * (2 * 4096 * 4096 + 2 * 1024 * 4096));
}

TEST(WeightBytes, of_a_rank_divide_matrices_and_replicate_norms) {
  ModelConfig model = find_model("llama-3.1-70b");
  double whole = weight_bytes(model).total().value(), norms = 161.0 * 8192 * 2;
  for (int ranks : {1, 2, 4, 8}) {
    EXPECT_DOUBLE_EQ(weight_bytes(model, {.tensor = ranks}).total().value(), (whole - norms) / ranks + norms)
        << ranks;
  }
  // 8 key-value heads on 16 ranks: each rank holds one whole head.
  double kv_heads = 80.0 * 2 * 8 * 128 * 8192 * 2;
  EXPECT_DOUBLE_EQ(weight_bytes(model, {.tensor = 16}).total().value(),
                   (whole - norms - kv_heads) / 16 + kv_heads / 8 + norms);
}

TEST(WeightBytes, of_expert_parallel_ranks_hold_whole_experts) {
  ModelConfig model = find_model("qwen3-235b-a22b");
  auto experts = [&](const Parallelism& parallel) {
    return weight_bytes(model, parallel).by_component[static_cast<size_t>(Component::Experts)];
  };
  EXPECT_DOUBLE_EQ(experts({.expert = 8}), experts({}) / 8);
  EXPECT_DOUBLE_EQ(experts({.tensor = 8, .expert = 8}), experts({}) / 8);
  EXPECT_DOUBLE_EQ(experts({.tensor = 8, .expert = 2}), experts({}) / 8);
  EXPECT_DOUBLE_EQ(experts({.tensor = 8}), experts({}) / 8);
}

TEST(WeightBytes, of_next_token_layers_come_on_demand) {
  ModelConfig model = find_model("deepseek-v3");
  double without = weight_bytes(model).total().value(), with = weight_bytes(model, {}, true).total().value();
  EXPECT_GT(with - without, 11.6e9);
  EXPECT_LT(with - without, 11.9e9);
}

}  // namespace
}  // namespace orrery::graph
