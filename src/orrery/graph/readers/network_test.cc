#include "orrery/graph/readers/network.h"

#include <gtest/gtest.h>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"

namespace orrery::graph {
namespace {

Network shipped(const std::string& name, NetworkOptions options = {}) {
  std::string path = *find_network(name);
  return read_network(read_document(path), options);
}

Network parsed(const std::string& text, NetworkOptions options = {}) {
  return read_network(parse_yaml(text, "net.yaml"), options);
}

TEST(Network, shipped_ones_have_the_published_parameters_and_multiplications) {
  ASSERT_EQ(shipped_networks(),
            (std::vector<std::string>{"gnmt-4", "mobilenet-v3", "resnext-101", "vgg-16"}));
  for (const std::string& name : shipped_networks()) {
    Network network = shipped(name);
    ASSERT_GT(network.published_parameters, 0) << name;
    EXPECT_EQ(network.parameters, network.published_parameters) << name;
    if (name == "gnmt-4") continue;  // no multiplications are published
    EXPECT_EQ(network.multiply_adds, network.published_multiply_adds) << name;
    EXPECT_EQ(broken_invariant(network.graph), "") << name;
  }
}

// Products of a four-layer GNMT, 50 tokens, by hand: each weight of a layer once a token and direction, the
// attention's pairs beside them.
TEST(Network, a_recurrent_network_multiplies_each_weight_once_a_token) {
  constexpr double kHidden = 1024, kTokens = 50, kVocabulary = 32320;
  double square = kHidden * kHidden;
  double lstm = 4 * square * (2 + 2 + 3 + 2 + 2) + 4 * square * (2 + 3 + 3 + 3);  // encoder, decoder
  double attention = 2 * square * kTokens + 2 * kTokens * kTokens * kHidden;
  EXPECT_EQ(shipped("gnmt-4").multiply_adds, kTokens * (lstm + kHidden * kVocabulary) + attention);
}

TEST(Network, training_multiplies_three_times_but_for_the_first_input) {
  for (const std::string& name : shipped_networks()) {
    Network forward = shipped(name, {.batch = 2}), trained = shipped(name, {.batch = 2, .train = true});
    EXPECT_EQ(broken_invariant(trained.graph), "") << name;
    double first = 0;  // images and indices take no gradient
    for (const Operator& op : forward.graph.operators) {
      const OperatorShape& shape = forward.graph.kernels[op.kernel].parts[0];
      if (name != "gnmt-4" && shape.kind == OperatorKind::Convolution) {
        first = matrix_flops(shape).value();
        break;
      }
    }
    double once = matrix_flops(forward.graph).value();
    if (name == "gnmt-4") {
      const Network again = shipped(name, {.batch = 2});
      EXPECT_EQ(matrix_flops(again.graph).value(), once);
    }
    EXPECT_EQ(matrix_flops(trained.graph).value(), 3 * once - first) << name;
  }
}

TEST(Network, batches_multiply_the_work) {
  EXPECT_EQ(shipped("resnext-101", {.batch = 8}).multiply_adds, 8 * shipped("resnext-101").multiply_adds);
}

TEST(Network, bad_layers_are_named_with_their_place) {
  const std::string head = "network: t\ninput: {channels: 3, height: 8, width: 8}\nlayers:\n";
  EXPECT_EQ(error_of([&] { parsed(head + "  - {convo: 3}\n"); }).find("net.yaml:4:5: unknown layer 'convo'"),
            0u);
  EXPECT_NE(error_of([&] { parsed(head + "  - {conv: 4, kernel: 11, pad: 0}\n"); }).find("a window of 11×11"),
            std::string::npos);
  EXPECT_NE(error_of([&] { parsed(head + "  - {conv: 4, groups: 2}\n"); }).find("2 groups do not divide"),
            std::string::npos);
  EXPECT_NE(error_of([&] { parsed(head + "  - {conv: 4, activation: rely}\n"); }).find("did you mean 'relu'"),
            std::string::npos);
  EXPECT_NE(error_of([&] { parsed(head + "  - {linear: 4}\n  - {conv: 4}\n"); }).find("needs an image"),
            std::string::npos);
  EXPECT_NE(error_of([&] { parsed(head + "  - {lstm: 4}\n"); }).find("needs a sequence"), std::string::npos);
  EXPECT_NE(error_of([&] { parsed(head + "  - {conv: 0}\n"); }).find("net.yaml:4:12"), std::string::npos);
}

}  // namespace
}  // namespace orrery::graph
