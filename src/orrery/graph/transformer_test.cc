#include "orrery/graph/transformer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"

namespace orrery::graph {
namespace {

bool decodes(const ModelConfig& model) {
  return model.towers.back().role == TowerRole::Decoder;
}

std::vector<Workload> workloads(const ModelConfig& model) {
  std::vector<Workload> all;
  for (Mode mode : {Mode::Prefill, Mode::Decode, Mode::Train}) {
    if (mode == Mode::Decode && !decodes(model)) continue;
    for (bool fuse : {true, false}) {
      for (AttentionKernel kernel : {AttentionKernel::Flash, AttentionKernel::Eager}) {
        Workload w;
        w.mode = mode;
        w.batch = 2;
        w.sequence = 48;
        w.fuse = fuse;
        w.attention = kernel;
        all.push_back(w);
      }
    }
  }
  return all;
}

TEST(Transformer, every_shipped_model_keeps_the_invariants_in_every_mode) {
  for (const std::string& name : shipped_models()) {
    ModelConfig model = find_model(name);
    for (Workload work : workloads(model)) {
      for (int width : {1, 2}) {
        work.parallel.tensor = width;
        Graph graph;
        try {
          graph = build_graph(model, work);
        } catch (const InputError& error) {
          EXPECT_GT(width, 1) << name << ": " << error.what();
          continue;
        }
        EXPECT_EQ(broken_invariant(graph), "")
            << name << " mode " << static_cast<int>(work.mode) << " fuse " << work.fuse;
        EXPECT_GT(matrix_flops(graph).value(), 0);
      }
    }
  }
}

TEST(Transformer, weights_of_the_graph_are_those_of_the_model) {
  for (const std::string& name : shipped_models()) {
    ModelConfig model = find_model(name);
    model.quantization.reset();
    Workload work;
    work.batch = 2;
    work.sequence = 16;
    double expected = weight_bytes(model, work.parallel).total().value();
    EXPECT_EQ(bytes_of(build_graph(model, work), TensorKind::Weight).value(), expected) << name;
  }
}

double flops_of(const std::string& name, Workload work) {
  return matrix_flops(build_graph(find_model(name), work)).value();
}

template <class Predicate>
std::vector<OperatorShape> parts(const Graph& graph, Predicate wanted) {
  std::vector<OperatorShape> found;
  for (const Operator& op : graph.operators) {
    for (const OperatorShape& part : graph.kernels[op.kernel].parts) {
      if (wanted(op, part)) found.push_back(part);
    }
  }
  return found;
}

TEST(Transformer, flops_are_linear_in_the_batch) {
  for (const std::string& name : shipped_models()) {
    if (find_model(name).towers[0].projection > 0) continue;  // CLIP compares all pairs
    for (Workload work : workloads(find_model(name))) {
      work.batch = 2;
      double two = flops_of(name, work);
      work.batch = 6;
      EXPECT_DOUBLE_EQ(flops_of(name, work), 3 * two) << name;
    }
  }
}

TEST(Transformer, shares_of_a_tensor_parallel_group_sum_to_the_whole) {
  for (const char* name :
       {"llama-3.1-8b", "llama-3.1-70b", "qwen2.5-32b", "gemma-2-9b", "opt-13b", "t5-large", "mistral-7b"}) {
    for (Workload work : workloads(find_model(name))) {
      double whole = flops_of(name, work);
      for (int width : {2, 4, 8}) {
        if (find_model(name).vocabulary % width != 0) continue;  // padded: a share is a little more
        work.parallel.tensor = width;
        EXPECT_DOUBLE_EQ(width * flops_of(name, work), whole) << name << " over " << width;
      }
      work.parallel.tensor = 1;
    }
  }
}

TEST(Transformer, a_tensor_parallel_layer_reduces_twice_each_way) {
  Workload work;
  work.mode = Mode::Train;
  work.batch = 2;
  work.sequence = 64;
  work.parallel.tensor = 4;
  for (bool fuse : {true, false}) {
    work.fuse = fuse;
    Graph graph = build_graph(find_model("llama-3.1-8b"), work);
    auto reductions = [&](Pass pass) {
      return parts(graph,
                   [&](const Operator& op, const OperatorShape& part) {
                     return part.kind == OperatorKind::AllReduce && op.layer == 5 && part.pass == pass &&
                            part.dims[0] == 2 * 64 * 4096 * 2 && part.dims[1] == 4;
                   })
          .size();
    };
    EXPECT_EQ(reductions(Pass::Forward), 2u);
    EXPECT_EQ(reductions(Pass::InputGradient), 2u);
  }
}

TEST(Transformer, recomputation_adds_exactly_one_forward_of_the_layers) {
  for (const char* name : {"llama-3.1-8b", "gpt2-xl", "mixtral-8x7b", "t5-base", "bert-large"}) {
    for (bool fuse : {true, false}) {
      Workload work;
      work.mode = Mode::Train;
      work.batch = 2;
      work.sequence = 64;
      work.fuse = fuse;
      ModelConfig model = find_model(name);
      double plain = matrix_flops(build_graph(model, work)).value();
      work.recompute = Recompute::Full;
      Graph graph = build_graph(model, work);
      EXPECT_EQ(broken_invariant(graph), "");
      auto in_layers = [&](Pass pass) {
        double sum = 0;
        for (const Operator& op : graph.operators) {
          bool layer = graph.names[op.name] != "embedding" && graph.names[op.name].substr(0, 4) != "head" &&
                       graph.names[op.name] != "embedding.relative_bias";
          for (const OperatorShape& part : graph.kernels[op.kernel].parts)
            sum += layer && part.pass == pass ? matrix_flops(part).value() : 0;
        }
        return sum;
      };
      EXPECT_EQ(in_layers(Pass::Recompute), in_layers(Pass::Forward)) << name;
      EXPECT_EQ(matrix_flops(graph).value(), plain + in_layers(Pass::Recompute)) << name;
    }
  }
}

TEST(Transformer, decode_steps_sum_to_the_prefill) {
  for (const char* name :
       {"llama-3.1-8b", "gpt2-xl", "mixtral-8x7b", "gemma-2-9b", "mistral-7b", "opt-1.3b"}) {
    Workload work;
    work.batch = 3;
    work.last_token_only = false;
    work.sequence = 40;
    double whole = flops_of(name, work), sum = 0;
    work.sequence = 1;
    sum = flops_of(name, work);
    work.mode = Mode::Decode;
    for (work.sequence = 1; work.sequence < 40; ++work.sequence) sum += flops_of(name, work);
    EXPECT_DOUBLE_EQ(sum, whole) << name;
    // And a prompt in two chunks.
    work.mode = Mode::Prefill;
    work.sequence = 24;
    sum = flops_of(name, work);
    work.cached = 24;
    work.sequence = 16;
    EXPECT_DOUBLE_EQ(sum + flops_of(name, work), whole) << name;
  }
}

TEST(Transformer, frozen_layers_take_no_gradients) {
  ModelConfig model = find_model("llama-3.1-8b");
  Workload work;
  work.mode = Mode::Train;
  work.batch = 1;
  work.sequence = 64;
  Graph all = build_graph(model, work);
  work.frozen_layers = 30;
  Graph some = build_graph(model, work);
  EXPECT_EQ(broken_invariant(some), "");
  auto gradients = [](const Graph& graph, int layer, Pass pass) {
    return parts(graph, [&](const Operator& op, const OperatorShape& part) {
      return op.layer == layer && part.pass == pass;
    });
  };
  for (int layer = -1; layer < 30; ++layer) {
    for (Pass pass : {Pass::WeightGradient, Pass::InputGradient, Pass::Optimizer})
      EXPECT_TRUE(gradients(some, layer, pass).empty()) << layer;
  }
  EXPECT_EQ(gradients(some, 31, Pass::WeightGradient), gradients(all, 31, Pass::WeightGradient));
  EXPECT_EQ(gradients(some, 31, Pass::InputGradient), gradients(all, 31, Pass::InputGradient));
  // The first trained layer needs the gradient behind its first norm, for the norm's gain, but none of its
  // input: one fused norm gradient less, and the addition of the residual's.
  EXPECT_EQ(gradients(some, 30, Pass::WeightGradient), gradients(all, 30, Pass::WeightGradient));
  EXPECT_LT(gradients(some, 30, Pass::InputGradient).size(), gradients(all, 30, Pass::InputGradient).size());
  EXPECT_EQ(matrix_flops(some).value() < matrix_flops(all).value() / 2, true);
  work.frozen_layers = 32;  // the head alone
  Graph head = build_graph(model, work);
  EXPECT_EQ(parts(head,
                  [](const Operator&, const OperatorShape& part) {
                    return part.pass == Pass::WeightGradient && part.kind == OperatorKind::Gemm;
                  })
                .size(),
            1u);
}

TEST(Transformer, backward_operators_mirror_their_forward_operator) {
  for (bool fuse : {true, false}) {
    Workload work;
    work.mode = Mode::Train;
    work.batch = 1;
    work.sequence = 32;
    work.parallel.tensor = 2;
    work.fuse = fuse;
    Graph graph = build_graph(find_model("llama-3.1-8b"), work);
    for (const Operator& op : graph.operators) {
      const OperatorShape& shape = graph.kernels[op.kernel].parts[0];
      if (shape.pass == Pass::Forward || shape.pass == Pass::Optimizer) continue;
      ASSERT_NE(op.mirror, kNone);
      const Operator& forward = graph.operators[op.mirror];
      EXPECT_EQ(forward.layer, op.layer);
      bool same_kind = false;
      for (const OperatorShape& part : graph.kernels[forward.kernel].parts)
        same_kind = same_kind || part.kind == shape.kind;
      if (shape.kind == OperatorKind::Gemm || shape.kind == OperatorKind::Attention) {
        EXPECT_TRUE(same_kind) << graph.names[op.name];
        EXPECT_EQ(graph.names[op.name], graph.names[forward.name]);
      }
    }
  }
}

TEST(Transformer, fusion_keeps_the_products_and_moves_fewer_bytes) {
  for (const char* name :
       {"llama-3.1-8b", "gpt2-xl", "opt-1.3b", "bert-large", "mixtral-8x7b", "deepseek-v2-lite"}) {
    for (Workload work : workloads(find_model(name))) {
      if (!work.fuse) continue;
      Graph fused = build_graph(find_model(name), work);
      work.fuse = false;
      Graph eager = build_graph(find_model(name), work);
      EXPECT_EQ(matrix_flops(fused).value(), matrix_flops(eager).value()) << name;
      auto moved = [](const Graph& graph) {
        double bytes = 0;
        for (const Operator& op : graph.operators) {
          Traffic t = traffic(graph.kernels[op.kernel]);
          bytes += t.read.value() + t.written.value();
        }
        return bytes;
      };
      EXPECT_LT(moved(fused), moved(eager)) << name;
      EXPECT_LT(fused.operators.size(), eager.operators.size()) << name;
    }
  }
}

TEST(Transformer, a_fused_residual_norm_reads_two_and_writes_two) {
  Workload work;
  work.batch = 1;
  work.sequence = 128;
  Graph graph = build_graph(find_model("llama-3.1-8b"), work);
  for (const Operator& op : graph.operators) {
    if (op.layer != 3 || graph.names[op.name] != "feed_forward.norm") continue;
    Traffic moved = traffic(graph.kernels[op.kernel]);
    double tensor = 128 * 4096 * 2;
    EXPECT_EQ(moved.read.value(), 2 * tensor + 4096 * 2);
    EXPECT_EQ(moved.written.value(), 2 * tensor);
  }
}

TEST(Transformer, quantized_modules_alone_are_narrow) {
  ModelConfig model = find_model("llama-3.1-8b");
  model.quantization = Quantization{
      .method = "fp8", .weights = DataType::FP8, .activations = DataType::FP8, .kv_cache = DataType::FP8};
  model.quantization->ignored = {"lm_head", "model.layers.4.mlp"};
  Workload work;
  work.mode = Mode::Decode;
  work.batch = 8;
  work.sequence = 512;
  Graph graph = build_graph(model, work);
  EXPECT_EQ(broken_invariant(graph), "");
  for (const Operator& op : graph.operators) {
    const std::string& name = graph.names[op.name];
    for (const OperatorShape& part : graph.kernels[op.kernel].parts) {
      if (part.kind == OperatorKind::Gemm) {
        bool wide = name == "head" || (op.layer == 4 && name.starts_with("feed_forward"));
        EXPECT_EQ(part.type, wide ? DataType::BF16 : DataType::FP8) << name;
        EXPECT_EQ(part.stored, part.type);
      }
      if (part.kind == OperatorKind::Attention) {
        EXPECT_EQ(part.stored, DataType::FP8);
      }
    }
  }
  auto quantize = [](const Operator& op, const OperatorShape& part) {
    return part.kind == OperatorKind::Quantize && op.layer == 3;
  };
  EXPECT_EQ(parts(graph, quantize).size(), 4u);  // before QKV, output, gate and up, down
  // 4-bit weights alone: nothing is quantized on the way.
  model.quantization =
      Quantization{.method = "awq", .weights = DataType::INT4, .activations = DataType::BF16};
  graph = build_graph(model, work);
  EXPECT_TRUE(parts(graph, quantize).empty());
  EXPECT_EQ(
      parts(graph, [](const Operator&, const OperatorShape& part) { return part.stored == DataType::INT4; })
          .size(),
      4u * 32);
}

TEST(Transformer, latent_attention_is_absorbed_in_decode_and_naive_before) {
  ModelConfig model = find_model("deepseek-v3");
  Workload work;
  work.batch = 4;
  work.sequence = 1000;
  work.mode = Mode::Decode;
  auto attention = [](const Operator& op, const OperatorShape& part) {
    return part.kind == OperatorKind::Attention && op.layer == 10;
  };
  AttentionSize decode = attention_size(parts(build_graph(model, work), attention).at(0));
  EXPECT_EQ(decode.heads, 128);
  EXPECT_EQ(decode.kv_heads, 1);
  EXPECT_EQ(decode.head_dim, 576);
  EXPECT_EQ(decode.value_dim, 512);
  EXPECT_EQ(decode.shared, 1);
  EXPECT_EQ(decode.cached, 1000);
  work.mode = Mode::Prefill;
  AttentionSize prefill = attention_size(parts(build_graph(model, work), attention).at(0));
  EXPECT_EQ(prefill.kv_heads, 128);
  EXPECT_EQ(prefill.head_dim, 192);
  EXPECT_EQ(prefill.value_dim, 128);
}

TEST(Transformer, experts_are_grouped_and_exchanged) {
  ModelConfig model = find_model("qwen3-30b-a3b");  // 128 experts, 8 a token
  Workload work;
  work.mode = Mode::Decode;
  work.batch = 32;
  work.sequence = 256;
  auto grouped = [](const Operator& op, const OperatorShape& part) {
    return part.kind == OperatorKind::GroupedGemm && op.layer == 7;
  };
  std::vector<OperatorShape> products = parts(build_graph(model, work), grouped);
  ASSERT_EQ(products.size(), 2u);  // gate and up together, down
  GroupedGemmSize first = grouped_gemm_size(products[0]);
  EXPECT_EQ(first.m, 32 * 8);
  EXPECT_EQ(first.n, 2 * 768);
  EXPECT_EQ(first.k, 2048);
  EXPECT_EQ(first.experts, 112);  // 128 · (1 − (1 − 1/16)^32)
  EXPECT_GE(first.heaviest, 6);
  EXPECT_LE(first.heaviest, 7);
  // Whole experts over a tensor-parallel group: each device has all tokens and a part of the experts.
  work.parallel.tensor = work.parallel.expert = 4;
  first = grouped_gemm_size(parts(build_graph(model, work), grouped).at(0));
  EXPECT_EQ(first.m, 32 * 8 / 4);
  EXPECT_EQ(first.n, 2 * 768);
  EXPECT_EQ(first.experts, 28);
  // Eight groups with tokens of their own exchange them.
  work.parallel.tensor = 1;
  work.parallel.expert = 8;
  Graph graph = build_graph(model, work);
  EXPECT_EQ(broken_invariant(graph), "");
  first = grouped_gemm_size(parts(graph, grouped).at(0));
  EXPECT_EQ(first.m, 32 * 8);
  EXPECT_EQ(first.experts, 16);
  auto exchange = [](const Operator& op, const OperatorShape& part) {
    return part.kind == OperatorKind::AllToAll && op.layer == 7;
  };
  std::vector<OperatorShape> exchanges = parts(graph, exchange);
  ASSERT_EQ(exchanges.size(), 2u);
  EXPECT_EQ(collective_size(exchanges[0]).bytes, 32 * 8 * 2048 * 2);
  EXPECT_EQ(collective_size(exchanges[0]).participants, 8);
}

TEST(Transformer, wrong_requests_are_refused_in_one_line) {
  auto refusal = [](const char* name, auto change) -> std::string {
    Workload work;
    work.sequence = 128;
    change(work);
    try {
      build_graph(find_model(name), work);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("llama-3.1-8b", [](Workload& w) { w.parallel.tensor = 12; }),
            "llama-3.1-8b: 32 attention heads do not divide over 12 devices; use --tensor-parallel 8 or 16");
  EXPECT_EQ(refusal("bert-base", [](Workload& w) { w.mode = Mode::Decode; }),
            "bert-base: a bert model has no decode step; use --mode prefill or --mode train");
  EXPECT_EQ(refusal("gpt2", [](Workload& w) { w.batch = 0; }),
            "gpt2: the batch is 0; expected 1 to 2147483648");
  EXPECT_NE(refusal("gpt2", [](Workload& w) { w.batch = w.sequence = int64_t{1} << 31; }), "");
  EXPECT_NE(refusal("gpt2", [](Workload& w) { w.parallel.pipeline = 2; }), "");
}
}  // namespace
}  // namespace orrery::graph
