#include "orrery/graph/readers/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/graph/network_builder.h"
#include "orrery/graph/single_block.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

constexpr int64_t kMostSize = 1 << 20, kMostCount = 4096, kMostLayers = 10'000;

struct NamedActivation {
  std::string_view name;
  Kind kind;
};
constexpr NamedActivation kActivations[] = {
    {"none", Kind::View},           {"relu", Kind::Relu},
    {"hardswish", Kind::HardSwish}, {"hardsigmoid", Kind::HardSigmoid},
    {"silu", Kind::Silu},           {"sigmoid", Kind::Sigmoid},
    {"tanh", Kind::Tanh},           {"gelu", Kind::Gelu},
};

class Reader {
 public:
  Reader(const Node& root, const NetworkOptions& options)
      : root_(root), options_(options), builder_(options.batch, options.type, options.train) {}

  Network run() {
    root_.allow_only({"network", "input", "layers", "decoder", "published", "sources", "notes"});
    Network network;
    network.name = root_.at("network").as_string();
    read_input();
    layers(root_.at("layers"));
    if (const Node* decoder = root_.find("decoder")) decode(*decoder);
    builder_.block().outputs = {is_image_ ? image_.value : rows_.value};
    if (const Node* published = root_.find("published")) {
      published->allow_only({"parameters", "multiply_adds"});
      if (const Node* n = published->find("parameters")) network.published_parameters = n->as_number(0, 1e15);
      if (const Node* n = published->find("multiply_adds"))
        network.published_multiply_adds = n->as_number(0, 1e18);
    }
    network.parameters = builder_.parameters();
    network.multiply_adds = builder_.multiply_adds();
    network.graph = single_block_graph(builder_.block(), {.train = options_.train,
                                                          .optimizer = options_.optimizer,
                                                          .type = options_.type,
                                                          .fuse = options_.fuse});
    return network;
  }

 private:
  static int64_t size(const Node& layer, std::string_view key, int64_t absent, int64_t low = 1,
                      int64_t high = kMostSize) {
    const Node* value = layer.find(key);
    return value ? value->as_integer(low, high) : absent;
  }
  static bool flag(const Node& layer, std::string_view key, bool absent) {
    const Node* value = layer.find(key);
    return value ? value->as_bool() : absent;
  }
  static Kind activation(const Node& layer, Kind absent) {
    const Node* value = layer.find("activation");
    if (!value) return absent;
    for (const NamedActivation& row : kActivations) {
      if (row.name == value->as_string()) return row.kind;
    }
    std::vector<std::string_view> known;
    for (const NamedActivation& row : kActivations) known.push_back(row.name);
    value->fail(fmt::format("unknown activation '{}'{}", printable(value->as_string(), 40),
                            did_you_mean(value->as_string(), known)));
  }

  void read_input() {
    const Node& input = root_.at("input");
    if (input.find("channels")) {
      input.allow_only({"channels", "height", "width"});
      is_image_ = true;
      image_ = builder_.image(input.at("channels").as_integer(1, kMostSize),
                              input.at("height").as_integer(1, kMostSize),
                              input.at("width").as_integer(1, kMostSize));
      return;
    }
    input.allow_only({"tokens", "vocabulary", "width"});
    tokens_ = input.at("tokens").as_integer(1, kMostSize);
    vocabulary_ = input.at("vocabulary").as_integer(1, int64_t{1} << 24);
    width_ = input.at("width").as_integer(1, kMostSize);
    table_ = builder_.weight(static_cast<double>(vocabulary_) * static_cast<double>(width_));
    rows_ = builder_.embedding(table_, tokens_, vocabulary_, width_);
  }

  void decode(const Node& decoder) {
    if (tokens_ == 0)
      decoder.fail("a decoder needs an input of tokens; expected input: {tokens, vocabulary, width}");
    encoded_ = rows_;
    rows_ = builder_.embedding(table_, tokens_, vocabulary_, width_);
    layers(decoder);
  }

  void layers(const Node& list) {
    if (list.items().empty()) list.fail("no layers; expected a list of them");
    for (const Node& layer : list.items()) {
      int64_t count = size(layer, "count", 1, 1, kMostCount);
      layers_ += count;
      if (layers_ > kMostLayers) layer.fail(fmt::format("more than {} layers in all", kMostLayers));
      for (int64_t i = 0; i < count; ++i) one(layer, i == 0);
    }
  }

  void one(const Node& layer, bool first) {
    struct Row {
      std::string_view kind;
      void (Reader::*read)(const Node&, bool first);
    };
    static constexpr Row kKinds[] = {
        {"conv", &Reader::convolution},      {"pool", &Reader::pool},
        {"bottleneck", &Reader::bottleneck}, {"inverted_residual", &Reader::inverted_residual},
        {"linear", &Reader::linear},         {"lstm", &Reader::lstm},
        {"attention", &Reader::attention},
    };
    if (!layer.is_map() || layer.entries().empty())
      layer.fail("expected a layer such as {conv: 64, kernel: 3}");
    for (const Row& row : kKinds) {
      if (layer.find(row.kind)) return (this->*row.read)(layer, first);
    }
    std::vector<std::string_view> known;
    for (const Row& row : kKinds) known.push_back(row.kind);
    const std::string& word = layer.entries().front().first;
    layer.fail(fmt::format("unknown layer '{}'{}", printable(word, 40), did_you_mean(word, known)));
  }

  void need_image(const Node& layer) const {
    if (!is_image_)
      layer.fail("this layer needs an image; expected it before linear layers and not on tokens");
  }
  void need_tokens(const Node& layer) const {
    if (tokens_ == 0) layer.fail("this layer needs a sequence; expected input: {tokens, vocabulary, width}");
  }

  ImageValue convolved(const Node& layer, ImageValue x, const ConvolutionLayer& c) {
    if (x.channels % c.groups != 0 || c.channels % c.groups != 0)
      layer.fail(
          fmt::format("{} groups do not divide {} channels into {}", c.groups, x.channels, c.channels));
    int64_t pad = c.pad < 0 ? (c.kernel - 1) / 2 : c.pad;
    if (std::min(x.height, x.width) + 2 * pad < c.kernel)
      layer.fail(fmt::format("a window of {0}×{0} over an image of {1}×{2}", c.kernel, x.height, x.width));
    return builder_.convolution(x, c);
  }

  void convolution(const Node& layer, bool first) {
    layer.allow_only({"conv", "kernel", "stride", "pad", "groups", "norm", "bias", "activation", "count"});
    need_image(layer);
    ConvolutionLayer c;
    c.channels = layer.at("conv").as_integer(1, kMostSize);
    c.kernel = size(layer, "kernel", 1);
    c.stride = first ? size(layer, "stride", 1) : 1;
    c.pad = size(layer, "pad", -1, 0);
    c.groups = size(layer, "groups", 1);
    if (const Node* norm = layer.find("norm")) {
      if (norm->as_string() != "batch" && norm->as_string() != "none") norm->fail("expected batch or none");
      c.norm = norm->as_string() == "batch";
    }
    c.bias = flag(layer, "bias", !c.norm);
    c.activation = activation(layer, Kind::View);
    image_ = convolved(layer, image_, c);
  }

  void pool(const Node& layer, bool) {
    layer.allow_only({"pool", "kernel", "stride", "pad", "height", "width"});
    need_image(layer);
    const Node& kind = layer.at("pool");
    if (kind.as_string() == "average") {
      int64_t height = size(layer, "height", 1), width = size(layer, "width", 1);
      if (height > image_.height || width > image_.width)
        layer.fail(
            fmt::format("{}×{} are more than the image's {}×{}", height, width, image_.height, image_.width));
      image_ = builder_.average(image_, height, width);
      return;
    }
    if (kind.as_string() != "max") kind.fail("expected max or average");
    int64_t kernel = size(layer, "kernel", 2), stride = size(layer, "stride", kernel),
            pad = size(layer, "pad", 0, 0);
    if (std::min(image_.height, image_.width) + 2 * pad < kernel)
      layer.fail(
          fmt::format("a window of {0}×{0} over an image of {1}×{2}", kernel, image_.height, image_.width));
    image_ = builder_.pool(image_, kernel, stride, pad);
  }

  void bottleneck(const Node& layer, bool first) {
    layer.allow_only({"bottleneck", "width", "groups", "stride", "count"});
    need_image(layer);
    const int64_t out = layer.at("bottleneck").as_integer(1, kMostSize),
                  width = size(layer, "width", out / 4), stride = first ? size(layer, "stride", 1) : 1;
    ImageValue x = image_;
    ImageValue y = convolved(layer, x, {.channels = width, .activation = Kind::Relu});
    y = convolved(layer, y,
                  {.channels = width,
                   .kernel = 3,
                   .stride = stride,
                   .groups = size(layer, "groups", 1),
                   .activation = Kind::Relu});
    y = convolved(layer, y, {.channels = out});
    if (stride != 1 || x.channels != out) x = convolved(layer, x, {.channels = out, .stride = stride});
    image_ = builder_.activate(builder_.add(y, x), Kind::Relu);
  }

  void inverted_residual(const Node& layer, bool first) {
    layer.allow_only({"inverted_residual", "expand", "kernel", "stride", "squeeze", "activation", "count"});
    need_image(layer);
    const int64_t out = layer.at("inverted_residual").as_integer(1, kMostSize),
                  expand = size(layer, "expand", image_.channels), squeeze = size(layer, "squeeze", 0, 0),
                  stride = first ? size(layer, "stride", 1) : 1;
    const Kind bend = activation(layer, Kind::Relu);
    ImageValue x = image_, y = x;
    if (expand != x.channels) y = convolved(layer, y, {.channels = expand, .activation = bend});
    y = convolved(layer, y,
                  {.channels = expand,
                   .kernel = size(layer, "kernel", 3),
                   .stride = stride,
                   .groups = expand,
                   .activation = bend});
    if (squeeze > 0) y = builder_.squeeze_and_excite(y, squeeze, Kind::HardSigmoid);
    y = convolved(layer, y, {.channels = out});
    image_ = stride == 1 && x.channels == out ? builder_.add(y, x) : y;
  }

  void linear(const Node& layer, bool) {
    layer.allow_only({"linear", "bias", "activation"});
    if (is_image_) rows_ = builder_.flatten(image_);
    is_image_ = false;
    rows_ = builder_.linear(rows_, options_.batch * std::max<int64_t>(1, tokens_),
                            layer.at("linear").as_integer(1, int64_t{1} << 24), flag(layer, "bias", true),
                            activation(layer, Kind::View));
  }

  void lstm(const Node& layer, bool) {
    layer.allow_only({"lstm", "bidirectional", "residual", "context", "count"});
    need_tokens(layer);
    const int64_t hidden = layer.at("lstm").as_integer(1, kMostSize);
    RowsValue before = rows_, x = rows_;
    if (flag(layer, "context", false)) {
      if (context_.value == kNone) layer.fail("context needs an attention layer before this one");
      x = builder_.concatenate(x, context_, tokens_);
    }
    RowsValue y = builder_.lstm(x, tokens_, hidden);
    if (flag(layer, "bidirectional", false))
      y = builder_.concatenate(y, builder_.lstm(x, tokens_, hidden), tokens_);
    if (flag(layer, "residual", false)) {
      if (before.columns != y.columns)
        layer.fail(fmt::format("a residual between rows of {} and of {}", before.columns, y.columns));
      y = builder_.add(before, y, tokens_);
    }
    rows_ = y;
  }

  void attention(const Node& layer, bool) {
    layer.allow_only({"attention"});
    if (encoded_.value == kNone)
      layer.fail("attention reads what an encoder returns; expected it in decoder:");
    const int64_t width = layer.at("attention").as_integer(1, kMostSize);
    if (rows_.columns != width || encoded_.columns != width)
      layer.fail(fmt::format("attention of {} over rows of {} and of {}; expected them alike", width,
                             rows_.columns, encoded_.columns));
    context_ = builder_.additive_attention(rows_, tokens_, encoded_, tokens_);
  }

  const Node& root_;
  const NetworkOptions& options_;
  NetworkBuilder builder_;
  bool is_image_ = false;
  ImageValue image_;
  RowsValue rows_, encoded_, context_;
  ValueId table_ = kNone;
  int64_t tokens_ = 0, vocabulary_ = 0, width_ = 0, layers_ = 0;
};

}  // namespace

bool is_network(const Node& root) {
  return root.is_map() && root.find("network") && root.find("layers");
}

Network read_network(const Node& root, const NetworkOptions& options) {
  return Reader(root, options).run();
}

std::vector<std::string> shipped_networks() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder() + "/models")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::optional<std::string> find_network(const std::string& name_or_path) {
  std::string name = lower_case(name_or_path);
  bool plain = !name.empty() && name.size() <= 100 && name[0] != '.' && name.find('/') == std::string::npos;
  std::string shipped = data_folder() + "/models/" + name + ".yaml";
  if (plain && file_exists(shipped)) return shipped;
  bool yaml = name.ends_with(".yaml") || name.ends_with(".yml");
  return yaml && file_exists(name_or_path) ? std::optional(name_or_path) : std::nullopt;
}

}  // namespace orrery::graph
