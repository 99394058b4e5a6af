#include "orrery/graph/traced_operator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {
namespace {

ModelConfig measured(const std::string& name, bool train) {
  ModelConfig model = find_model(name);
  model.type = DataType::FP32;
  model.tied_embeddings = false;
  if (model.family == "bert") {
    model.pooler = true;
    model.classes = 2;
    model.head = model.head_transform = model.head_bias = train;
  }
  return model;
}

Workload plain_pass(bool train, int64_t sequence, int64_t batch, const EagerOptions& eager) {
  Workload work;
  work.mode = train ? Mode::Train : Mode::Prefill;
  work.batch = batch;
  work.sequence = sequence;
  work.attention = AttentionKernel::Eager;
  work.fuse = work.last_token_only = work.loss = work.keep_cache = false;
  work.optimizer = Optimizer::None;
  work.accumulate_gradients = train;
  work.eager = eager;
  return work;
}

struct Sum {
  double tera = 0;
  int64_t count = 0;
};
Sum sum_of(const std::map<TracedOperator, int64_t>& operators, std::string_view name) {
  Sum sum;
  for (const auto& [op, times] : operators) {
    if (op.name != name) continue;
    double product = 2e-12 * static_cast<double>(times);
    for (int64_t size : op.dims) product *= static_cast<double>(std::max<int64_t>(1, size));
    sum.tera += product;
    sum.count += times;
  }
  return sum;
}

// FLOP and number of products that NeuSight's graph files hold for whole models.
struct Checksum {
  std::string model;
  bool train;
  int64_t sequence, batch;
  double linear, bmm;
  int64_t linears, bmms;
};
const Checksum kChecksums[] = {
    {"bert-large", false, 512, 8, 2.4739, .2062, 146, 48},
    {"bert-large", false, 512, 16, 4.9478, .4123, 146, 48},
    {"bert-large", true, 512, 2, 2.0539, .1546, 444, 144},
    {"bert-large", true, 512, 8, 8.2156, .6185, 444, 144},
    {"gpt2-large", false, 1024, 4, 6.3252, .7731, 145, 72},
    {"gpt2-large", false, 1024, 8, 12.6504, 1.5462, 145, 72},
    {"gpt2-large", true, 1024, 1, 4.7439, .5798, 435, 216},
    {"gpt2-large", true, 1024, 4, 18.9756, 2.3193, 435, 216},
    {"gpt3-2.9b", false, 2048, 2, 23.5299, 2.4739, 97, 48},
    {"gpt3-2.9b", false, 2048, 8, 94.1195, 9.8956, 97, 48},
    {"gpt3-2.9b", true, 2048, 1, 35.2948, 3.7109, 291, 144},
    {"gpt3-2.9b", true, 2048, 2, 70.5896, 7.4217, 291, 144},
    {"gpt3-2.7b", false, 2048, 2, 21.6698, 2.7488, 129, 64},
    {"gpt3-2.7b", false, 2048, 8, 86.6792, 10.9951, 129, 64},
    {"gpt3-2.7b", true, 2048, 1, 32.5047, 4.1232, 387, 192},
    {"gpt3-2.7b", true, 2048, 2, 65.0094, 8.2463, 387, 192},
    {"opt-1.3b", false, 2048, 2, 10.7390, 1.6493, 145, 48},
    {"opt-1.3b", false, 2048, 8, 42.9561, 6.5971, 145, 48},
    {"opt-1.3b", true, 2048, 1, 16.1085, 2.4739, 435, 144},
    {"opt-1.3b", true, 2048, 2, 32.2171, 4.9478, 435, 144},
};

class Checksums : public testing::TestWithParam<EagerOptions> {};

TEST_P(Checksums, products_of_whole_models_have_the_published_flop_and_number) {
  for (const Checksum& c : kChecksums) {
    Graph graph =
        build_graph(measured(c.model, c.train), plain_pass(c.train, c.sequence, c.batch, GetParam()));
    EXPECT_EQ(broken_invariant(graph), "");
    auto operators = traced_operators(graph);
    Sum linear = sum_of(operators, "Linear"), bmm = sum_of(operators, "BMM");
    EXPECT_NEAR(linear.tera, c.linear, 5.1e-5) << c.model << " " << c.sequence << " " << c.batch;
    EXPECT_NEAR(bmm.tera, c.bmm, 5.1e-5) << c.model << " " << c.sequence << " " << c.batch;
    EXPECT_EQ(linear.count, c.linears) << c.model;
    EXPECT_EQ(bmm.count, c.bmms) << c.model;
  }
}
INSTANTIATE_TEST_SUITE_P(Eager, Checksums, testing::Values(EagerOptions{}, traced(), traced_with_faults()));

// The tracer took some of Switch's batched products for linear ones, so that only sums hold.
TEST(TracedOperator, switch_has_the_published_products_in_sum) {
  struct Case {
    bool train;
    int64_t batch;
    double tera;
    int64_t count;
  };
  for (const Case& c :
       {Case{false, 1, 2.5313 + .2856, 564 + 133}, Case{false, 2, 5.0626 + .5712, 564 + 133},
        Case{true, 1, 7.5939 + .8568, 1692 + 399}, Case{true, 2, 15.1879 + 1.7137, 1692 + 399}}) {
    for (const EagerOptions& eager : {EagerOptions{}, traced()}) {
      Graph graph = build_graph(measured("switch-xl-4", c.train), plain_pass(c.train, 512, c.batch, eager));
      EXPECT_EQ(broken_invariant(graph), "");
      int64_t count = 0;
      for (const Operator& op : graph.operators)
        count += graph.kernels[op.kernel].parts.front().kind == OperatorKind::Gemm;
      EXPECT_NEAR(matrix_flops(graph).value() * 1e-12, c.tera, 1.1e-4) << c.batch;
      EXPECT_EQ(count, c.count);
    }
  }
}

TEST(TracedOperator, products_carry_the_contraction_in_the_middle) {
  EXPECT_EQ(to_string(traced_operator(make(GemmSize{1, 5, 7, 11}, DataType::FP32, DataType::FP32))),
            "Linear(5, 11, 7)");
  EXPECT_EQ(to_string(traced_operator(make(GemmSize{3, 5, 7, 11}, DataType::FP32, DataType::FP32))),
            "BMM(3, 5, 11, 7)");
}

TEST(TracedOperator, a_scalar_operand_makes_another_operator_than_a_tensor) {
  auto name = [](const VectorSize& size) {
    return traced_operator(make(OperatorKind::Multiply, size, DataType::FP32)).name;
  };
  EXPECT_EQ(name({.rows = 2, .columns = 3}), "VECmulu");
  EXPECT_EQ(name({.rows = 2, .columns = 3, .inputs = 2}), "VECmul");
  EXPECT_EQ(name({.rows = 2, .columns = 3, .broadcast = 1}), "VECmul");
}

TEST(TracedOperator, what_has_no_name_there_is_refused) {
  EXPECT_THROW(traced_operator(make(AttentionSize{}, DataType::FP32, DataType::FP32)), InputError);
}

// Each fault moves what it names, and nothing of the products.
TEST(EagerOptions, faults_show_alone) {
  auto graph_with = [](const std::string& model, const EagerOptions& eager, int tensor = 1) {
    Workload work = plain_pass(true, 128, 4, eager);
    work.parallel.tensor = tensor;
    return build_graph(measured(model, true), work);
  };
  auto kinds = [](const Graph& graph, std::string_view name, Pass pass) {
    std::map<OperatorKind, int> count;
    for (const Operator& op : graph.operators) {
      const OperatorShape& shape = graph.kernels[op.kernel].parts.front();
      if (graph.names[op.name] == name && shape.pass == pass) ++count[shape.kind];
    }
    return count;
  };
  auto norms = [&](const EagerOptions& eager) {
    return kinds(graph_with("bert-large", eager), "embedding.norm", Pass::InputGradient);
  };
  EXPECT_TRUE(norms({}).contains(OperatorKind::LayerNorm));
  EXPECT_TRUE(norms({.norm_gradient_is_product = true}).contains(OperatorKind::Multiply));

  auto pooler = [&](const EagerOptions& eager) {
    return kinds(graph_with("bert-large", eager), "head.pooler_activation", Pass::Forward);
  };
  EXPECT_TRUE(pooler({}).contains(OperatorKind::Tanh));
  EXPECT_TRUE(pooler({.pooler_relu = true}).contains(OperatorKind::Relu));

  auto scale = [&](const EagerOptions& eager) {
    return kinds(graph_with("gpt2-large", eager), "attention.scale", Pass::InputGradient);
  };
  EXPECT_EQ(scale({})[OperatorKind::Divide], 36);
  EXPECT_EQ(scale({.needless_gradients = true})[OperatorKind::Divide], 72);

  Graph right = graph_with("gpt2-large", {}, 4);
  Graph wrong = graph_with("gpt2-large", {.repeated_score_shapes = true}, 4);
  EXPECT_EQ(matrix_flops(right).value(), matrix_flops(wrong).value());
  auto values = [](const Graph& graph) {
    for (const Operator& op : graph.operators) {
      if (graph.names[op.name] == "attention.values") return gemm_size(graph.kernels[op.kernel].parts[0]);
    }
    return GemmSize{};
  };
  EXPECT_EQ(values(right).n, 64);
  EXPECT_EQ(values(right).k, 128);
  EXPECT_EQ(values(wrong).n, 128);
  EXPECT_EQ(values(wrong).k, 64);
}

TEST(EagerOptions, dropout_runs_in_training_alone) {
  auto dropouts = [](bool train) {
    Graph graph = build_graph(measured("gpt2-large", train), plain_pass(train, 64, 2, {.dropout = true}));
    int count = 0;
    for (const Operator& op : graph.operators) {
      const OperatorShape& shape = graph.kernels[op.kernel].parts.front();
      count += shape.kind == OperatorKind::Dropout && shape.pass == Pass::Forward;
    }
    return count;
  };
  EXPECT_EQ(dropouts(true), 1 + 3 * 36);
  EXPECT_EQ(dropouts(false), 0);
}

}  // namespace
}  // namespace orrery::graph
