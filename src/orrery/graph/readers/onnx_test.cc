#include "orrery/graph/readers/onnx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <random>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"

namespace orrery::graph {
namespace {

using testing::Contains;
using testing::HasSubstr;

// A model written by hand: what a test needs of ONNX.
class Model {
 public:
  Model& input(const std::string& name, std::initializer_list<int64_t> shape) {
    auto* value = graph().add_input();
    value->set_name(name);
    auto* type = value->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape();
    for (int64_t size : shape) type->mutable_shape()->add_dim()->set_dim_value(size);
    return *this;
  }
  Model& symbolic(const std::string& name, std::initializer_list<const char*> dims, int64_t last) {
    input(name, {});
    auto* shape = graph()
                      .mutable_input(graph().input_size() - 1)
                      ->mutable_type()
                      ->mutable_tensor_type()
                      ->mutable_shape();
    for (const char* dim : dims) shape->add_dim()->set_dim_param(dim);
    shape->add_dim()->set_dim_value(last);
    return *this;
  }
  Model& weight(const std::string& name, std::initializer_list<int64_t> shape) {
    auto* tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->set_data_location(onnx::TensorProto::EXTERNAL);  // the numbers are elsewhere, and not needed
    for (int64_t size : shape) tensor->add_dims(size);
    return *this;
  }
  Model& numbers(const std::string& name, std::initializer_list<int64_t> values, bool scalar = false) {
    auto* tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    if (!scalar) tensor->add_dims(static_cast<int64_t>(values.size()));
    for (int64_t value : values) tensor->add_int64_data(value);
    return *this;
  }
  Model& node(const std::string& type, std::initializer_list<const char*> inputs,
              std::initializer_list<const char*> outputs,
              std::initializer_list<std::pair<const char*, std::vector<int64_t>>> attributes = {}) {
    auto* node = graph().add_node();
    node->set_op_type(type);
    for (const char* name : inputs) node->add_input(name);
    for (const char* name : outputs) node->add_output(name);
    for (const auto& [name, values] : attributes) {
      auto* attribute = node->add_attribute();
      attribute->set_name(name);
      attribute->set_i(values[0]);
      for (int64_t value : values) attribute->add_ints(value);
    }
    return *this;
  }
  Model& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  std::string bytes() const { return proto_.SerializeAsString(); }
  OnnxModel read(const OnnxOptions& options = {}) const {
    return parse_onnx_model(bytes(), "tiny.onnx", options);
  }
  std::string error(const OnnxOptions& options = {}) const {
    try {
      read(options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

 private:
  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }
  onnx::ModelProto proto_;
};

std::vector<OperatorShape> shapes(const OnnxModel& model) {
  std::vector<OperatorShape> all;
  for (const Operator& op : model.graph.operators) {
    for (const OperatorShape& part : model.graph.kernels[op.kernel].parts) all.push_back(part);
  }
  return all;
}

struct Published {
  const char* name;
  double parameters, multiply_adds;
};
// Parameters and multiply-adds of the papers' networks at 224 × 224. DenseNet's file keeps the scale of each
// batch norm in operators of its own, beside the norm's: 2 · 41,824 more than the published 7,978,856.
constexpr Published kPublished[] = {
    {"bvlc_alexnet", 60965224, 654560384}, {"densenet121", 7978856 + 2 * 41824, 2834161664},
    {"inception_v1", 6998552, 1431556352}, {"inception_v2", 11214888, 2018851840},
    {"resnet50", 25557032, 4089184256},    {"squeezenet", 1235496, 349151936},
    {"vgg19", 143667240, 19632062464},
};

TEST(Onnx, published_networks_have_their_published_parameters_and_multiply_adds) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "ORRERY_DATA is not set";
  for (const Published& network : kPublished) {
    std::string path = std::string(data) + "/wham/onnx/light_" + network.name + ".onnx";
    OnnxModel model = read_onnx(path, {});
    EXPECT_EQ(model.parameters, network.parameters) << network.name;
    EXPECT_EQ(model.multiply_adds, network.multiply_adds) << network.name;
    EXPECT_EQ(broken_invariant(model.graph), "") << network.name;
    EXPECT_TRUE(model.notes.empty()) << network.name << ": " << model.notes[0];
    // Backward: one product for each weight and one for each input, but for the image.
    OnnxModel trained = read_onnx(path, {.dims = {}, .train = true});
    EXPECT_EQ(broken_invariant(trained.graph), "") << network.name;
    double forward = matrix_flops(model.graph).value(), all = matrix_flops(trained.graph).value();
    OperatorShape first = shapes(model)[0];
    EXPECT_EQ(all, 3 * forward - matrix_flops(first).value()) << network.name;
  }
}

TEST(Onnx, products_translate_their_asymmetric_sizes) {
  Model model;
  model.input("a", {3, 5})
      .weight("w", {7, 5})
      .weight("c", {7})
      .input("p", {2, 4, 3, 11})
      .input("q", {4, 11, 6})
      .weight("v", {11, 9});
  model.node("Gemm", {"a", "w", "c"}, {"y"}, {{"transB", {1}}})
      .node("MatMul", {"p", "q"}, {"z"})
      .node("MatMul", {"p", "v"}, {"u"});
  std::vector<OperatorShape> all = shapes(model.read());
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], make(GemmSize{.m = 3, .n = 7, .k = 5}, DataType::FP32, DataType::FP32));
  EXPECT_EQ(all[1], make(GemmSize{.batch = 8, .m = 3, .n = 6, .k = 11}, DataType::FP32, DataType::FP32));
  EXPECT_EQ(all[2], make(GemmSize{.m = 24, .n = 9, .k = 11}, DataType::FP32, DataType::FP32));
}

TEST(Onnx, convolutions_count_uneven_padding_dilation_and_groups) {
  Model model;
  model.input("x", {2, 8, 31, 17}).weight("w", {12, 4, 3, 5});
  model
      .node("Conv", {"x", "w"}, {"y"},
            {{"pads", {0, 2, 1, 2}}, {"strides", {2, 1}}, {"dilations", {1, 2}}, {"group", {2}}})
      .output("y");
  OnnxModel read = model.read();
  // Height (31 + 1 − 3)/2 + 1 = 15, width 17 + 4 − 9 + 1 = 13.
  EXPECT_EQ(read.multiply_adds, 2.0 * 12 * 15 * 13 * 4 * 3 * 5);
}

TEST(Onnx, chains_of_shape_operators_steer_a_reshape) {
  Model model;
  model.symbolic("x", {"batch", "tokens"}, 12)
      .numbers("one", {1}, true)
      .numbers("zero", {0})
      .numbers("heads", {3})
      .numbers("rest", {-1});
  model.numbers("first", {0}, true).weight("w", {4, 4});
  model.node("Shape", {"x"}, {"s"})
      .node("Gather", {"s", "one"}, {"t"})
      .node("Unsqueeze", {"t", "zero"}, {"u"});
  model.node("Gather", {"s", "first"}, {"b"}).node("Unsqueeze", {"b", "zero"}, {"c"});
  model.node("Concat", {"c", "u", "heads", "rest"}, {"target"}, {{"axis", {0}}});
  model.node("Reshape", {"x", "target"}, {"y"}).node("MatMul", {"y", "w"}, {"z"}).output("z");
  OnnxModel read = model.read({.dims = {{"batch", 2}, {"tokens", 7}}});
  std::vector<OperatorShape> all = shapes(read);
  ASSERT_EQ(all.size(), 1u);  // the rest is free
  EXPECT_EQ(all[0], make(GemmSize{.m = 2 * 7 * 3, .n = 4, .k = 4}, DataType::FP32, DataType::FP32));
  EXPECT_THAT(model.error({.dims = {{"batch", 2}}}),
              HasSubstr("dimension 'tokens' has no size; give --dim tokens=N"));
  EXPECT_THAT(model.read({.dims = {{"tokens", 7}}}).notes,
              Contains("dimension 'batch' is taken as 1; --dim batch=N sets it"));
}

TEST(Onnx, operators_that_are_not_priced_are_named_with_their_bytes) {
  Model model;
  model.input("x", {10, 100})
      .node("FancyThing", {"x"}, {"y"})
      .node("Relu", {"x"}, {"z"})
      .node("Relu", {"y"}, {"v"});
  OnnxModel read = model.read();
  EXPECT_THAT(read.notes, Contains(HasSubstr("not priced: FancyThing (1 time")));
  EXPECT_THAT(read.notes, Contains(HasSubstr("not priced: Relu (1 time")));  // its input has no known size
  EXPECT_EQ(shapes(read).size(), 1u);
}

TEST(Onnx, wrong_files_are_refused_in_one_line_that_names_the_place) {
  EXPECT_THAT(Model().error(), HasSubstr("tiny.onnx: "));
  Model cycle;
  cycle.input("x", {2}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"});
  EXPECT_THAT(cycle.error(), HasSubstr("part of a cycle"));
  Model missing;
  missing.node("Relu", {"nowhere"}, {"y"});
  EXPECT_THAT(missing.error(), HasSubstr("Relu 'y' reads 'nowhere', which nothing defines"));
  Model twice;
  twice.input("x", {2}).node("Relu", {"x"}, {"y"}).node("Tanh", {"x"}, {"y"});
  EXPECT_THAT(twice.error(), HasSubstr("'y' is defined twice"));
  Model negative;
  negative.input("x", {2}).weight("w", {-4, 3}).node("MatMul", {"x", "w"}, {"y"});
  EXPECT_THAT(negative.error(), HasSubstr("a size of -4"));
  Model huge;
  huge.input("x", {2}).weight("w", {int64_t{1} << 40, int64_t{1} << 40}).node("MatMul", {"x", "w"}, {"y"});
  EXPECT_THAT(huge.error(), HasSubstr("more than 2^50 elements"));
  Model mismatch;
  mismatch.input("x", {2, 3}).weight("w", {4, 5}).node("MatMul", {"x", "w"}, {"y"});
  EXPECT_THAT(mismatch.error(), HasSubstr("MatMul 'y': inner sizes 3 and 4 differ"));
  // Eight million empty nodes in sixteen megabytes: refused before they are parsed.
  std::string nodes;
  for (int i = 0; i < 8'000'000; ++i) nodes += std::string("\x0a\x00", 2);
  std::string bomb = "\x3a";
  for (size_t rest = nodes.size(); rest > 0; rest >>= 7)
    bomb += static_cast<char>((rest & 127) | (rest > 127 ? 128 : 0));
  EXPECT_THROW(parse_onnx_model(bomb + nodes, "x.onnx", {}), InputError);
  EXPECT_THROW(parse_onnx_model("not a model", "x.onnx", {}), InputError);
  EXPECT_THROW(parse_onnx_model("", "x.onnx", {}), InputError);
}

TEST(Onnx, cut_and_flipped_files_never_crash) {
  Model model;
  model.input("x", {2, 8, 31, 17})
      .weight("w", {12, 8, 3, 5})
      .numbers("shape", {2, -1})
      .weight("v", {12 * 29 * 13, 10});
  model.node("Conv", {"x", "w"}, {"y"}, {{"strides", {1, 1}}})
      .node("Relu", {"y"}, {"z"})
      .node("Reshape", {"z", "shape"}, {"f"});
  model.node("MatMul", {"f", "v"}, {"o"}).output("o");
  std::string whole = model.bytes();
  EXPECT_EQ(model.read().graph.operators.size(), 3u);
  auto survives = [](const std::string& bytes) {
    try {
      OnnxModel read = parse_onnx_model(bytes, "x.onnx", {.dims = {}, .train = true});
      EXPECT_EQ(broken_invariant(read.graph), "");
    } catch (const InputError&) {
    }
  };
  for (size_t length = 0; length < whole.size(); ++length) survives(whole.substr(0, length));
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
    survives(bytes);
  }
}

}  // namespace
}  // namespace orrery::graph
