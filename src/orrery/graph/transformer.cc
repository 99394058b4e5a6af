#include "orrery/graph/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <optional>

#include "orrery/base/error.h"
#include "orrery/graph/attention_block.h"
#include "orrery/graph/backward.h"
#include "orrery/graph/ends.h"
#include "orrery/graph/feed_forward_block.h"
#include "orrery/graph/fuse.h"
#include "orrery/graph/optimizer_step.h"

namespace orrery::graph {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;
constexpr int kMostLayers = 4096, kMostWidth = 1 << 24;

// One layer: attention, cross-attention, feed-forward, each behind its norm (or before it) and beside the
// residual stream.
Block layer(const Setting& s) {
  BlockBuilder b(s);
  const Tower& t = s.tower;
  auto size = static_cast<double>(s.rows()) * t.hidden;
  ValueId x = b.input(size);
  if (s.adds_before) x = b.add("residual", x, b.input(size));
  bool crosses = t.cross_attention && t.role == TowerRole::Decoder;
  ValueId encoded = kNone;
  if (crosses && s.query > 0 && !(s.cache && s.cached > 0))
    encoded = b.input(static_cast<double>(s.batch * s.cross) * t.hidden);
  auto normalized = [&](std::string_view name, ValueId v) {
    return t.post_norm ? v : b.normalize(name, v, s.rows(), t.hidden);
  };
  auto closed = [&](std::string_view name, ValueId stream, ValueId delta) {
    ValueId sum = b.add("residual", stream, delta);
    return t.post_norm ? b.normalize(name, sum, s.rows(), t.hidden) : sum;
  };
  auto widened = [&](ValueId v) { return s.sparse ? mixture_of_experts(b, v) : feed_forward(b, v); };

  auto dropped = [&](std::string_view name, ValueId v) { return b.dropout(name, v, s.rows(), t.hidden); };
  auto sandwiched = [&](std::string_view name, ValueId v) {
    return t.sandwich_norm ? b.normalize(name, v, s.rows(), t.hidden) : v;
  };

  ValueId first = normalized("attention.norm", x);
  ValueId attended = t.latent ? latent_attention(b, first) : self_attention(b, first);
  attended = dropped("attention.output_dropout", sandwiched("attention.post_norm", attended));
  ValueId delta;
  if (t.parallel_residual) {
    delta =
        dropped("feed_forward.dropout", widened(t.shared_norm ? first : normalized("feed_forward.norm", x)));
    x = b.add("residual.attention", x, attended);
  } else {
    x = closed("attention.norm", x, attended);
    if (crosses)
      x = closed("cross_attention.norm", x,
                 dropped("cross_attention.output_dropout",
                         cross_attention(b, normalized("cross_attention.norm", x), encoded)));
    delta = sandwiched("feed_forward.post_norm", widened(normalized("feed_forward.norm", x)));
    delta = dropped("feed_forward.dropout", delta);
  }
  if (s.work.fuse && !t.post_norm) {
    b.block().outputs = {x, delta};
  } else {
    b.block().outputs = {closed("feed_forward.norm", x, delta)};
  }
  return std::move(b.block());
}

// Where an input of a block comes from.
struct Source {
  size_t instance, output;
};

class TransformerBuilder {
 public:
  TransformerBuilder(const ModelConfig& model, const Workload& work) : model_(model), work_(work) {}

  Graph build() {
    std::vector<Source> last_outputs;
    std::vector<Source> projections;
    for (const Tower& tower : model_.towers) {
      TowerTokens tokens = tokens_of(model_, tower, work_);
      if (tokens.query > 0) {
        last_outputs = add_tower(tower, tokens, last_outputs);
        if (tower.projection > 0) projections.push_back(last_outputs[0]);
      }
      first_layer_ += tower.layers;
    }
    if (projections.size() == 2) {
      Setting s = setting(model_.towers.back(), {1, 0, 0});
      Kind kind;
      kind.part = Part::Contrast;
      kind.trainable = s.trainable = true;
      add(kind, first_layer_, projections, [&] { return contrast(s); });
    }
    if (work_.mode == Mode::Train) add_backward_pass();
    return assembler_.take(first_layer_);
  }

 private:
  enum class Part : uint8_t { Embedding, Layer, Head, Contrast };
  // Blocks of one kind are equal.
  struct Kind {
    Part part = Part::Layer;
    const Tower* tower = nullptr;
    bool sparse = false, windowed = false, adds_before = false, trainable = false;
    std::vector<uint8_t> input_needs, input_running, output_given;  // training
    uint32_t quantized = 0;
    bool operator==(const Kind&) const = default;
  };
  struct Template {
    Kind kind;
    Block block;
  };
  struct Placed {
    Kind kind;
    int layer = 0;
    std::vector<Source> inputs;
    std::vector<uint8_t> needs;  // of each output: whether a gradient flows to it
    Instance instance;
  };

  Setting setting(const Tower& tower, const TowerTokens& tokens) const {
    Setting s{model_, tower, work_, eager_dialect(model_.family), share_of(model_, tower, work_.parallel)};
    s.batch = work_.batch;
    s.query = tokens.query;
    s.cached = tokens.cached;
    s.cross = tokens.cross;
    bool clip_text = tower.projection > 0 && tower.role != TowerRole::Vision;
    s.causal = tower.role == TowerRole::Decoder || clip_text;
    s.cache = tower.role == TowerRole::Decoder &&
              (work_.mode == Mode::Decode || (work_.mode == Mode::Prefill && work_.keep_cache));
    s.type = model_.type;
    return s;
  }

  std::vector<Source> add_tower(const Tower& tower, const TowerTokens& tokens,
                                const std::vector<Source>& encoder) {
    Setting s = setting(tower, tokens);
    bool vision = tower.role == TowerRole::Vision;
    ends_trainable_ = work_.frozen_layers == 0;  // frozen first layers stand on frozen embeddings
    bool tied = model_.tied_embeddings && model_.head && &tower == &model_.towers.back();
    bool takes_table = table_.has_value();  // T5: both towers look up in one
    bool offers_table = !takes_table && !vision && (tied || model_.towers.back().cross_attention);
    Kind kind;
    kind.part = Part::Embedding;
    kind.tower = &tower;
    kind.trainable = ends_trainable_;
    s.trainable = kind.trainable;
    std::vector<Source> held;
    if (takes_table) held.push_back(*table_);
    size_t embedding = add(kind, first_layer_ - 1, held, [&] {
      return vision ? patch_embedding(s) : token_embedding(s, offers_table, takes_table);
    });
    if (offers_table) table_ = Source{embedding, 1};
    std::vector<Source> stream = {{embedding, 0}};

    bool by_layer = ignores_single_layers(model_);
    uint32_t quantized = quantized_modules(model_, 0);
    for (int l = 0; l < tower.layers; ++l) {
      kind = {};
      kind.tower = &tower;
      kind.sparse = tower.sparse(l);
      kind.windowed = tower.windowed(l);
      kind.adds_before = stream.size() == 2;
      kind.trainable = first_layer_ + l >= work_.frozen_layers;
      kind.quantized = by_layer ? quantized_modules(model_, l) : quantized;
      std::vector<Source> inputs = stream;
      if (tower.cross_attention && !encoder.empty()) inputs.push_back(encoder[0]);
      size_t placed = add(kind, first_layer_ + l, inputs, [&] {
        s.sparse = kind.sparse;
        s.windowed = kind.windowed;
        s.adds_before = kind.adds_before;
        s.trainable = kind.trainable;
        s.quantized = kind.quantized;
        return layer(s);
      });
      stream.clear();
      for (size_t o = 0; o < placed_[placed].instance.block->outputs.size(); ++o)
        stream.push_back({placed, o});
    }

    kind = {};
    kind.part = Part::Head;
    kind.tower = &tower;
    kind.adds_before = stream.size() == 2;
    kind.trainable = true;
    std::vector<Source> inputs = stream;
    if (tied) inputs.push_back(*table_);
    size_t at = add(kind, first_layer_ + tower.layers, inputs, [&] {
      s.adds_before = kind.adds_before;
      s.trainable = true;
      s.quantized = 0;
      return head(s, tied);
    });
    return {{at, 0}};
  }

  // Emits a block of this kind, or finds the one that was emitted, and stamps it.
  template <class Emit>
  size_t add(const Kind& kind, int layer, const std::vector<Source>& inputs, Emit emit) {
    Kind full = kind;
    for (Source source : inputs)
      full.input_needs.push_back(work_.mode == Mode::Train ? placed_[source.instance].needs[source.output]
                                                           : 0);
    if (work_.mode == Mode::Train) decide_gradients(full, inputs, layer);
    Template* found = nullptr;
    for (Template& known : templates_) {
      if (known.kind == full) found = &known;
    }
    if (found == nullptr) found = &emit_template(full, emit());
    Placed placed{full, layer, inputs, {}, {}};
    placed.needs = outputs_that_need(found->block, full.input_needs);
    std::vector<TensorId> tensors;
    for (Source source : inputs) {
      const Instance& from = placed_[source.instance].instance;
      tensors.push_back(from.tensors[from.block->outputs[source.output]]);
    }
    placed.instance = assembler_.forward(found->block, layer, tensors);
    placed_.push_back(std::move(placed));
    return placed_.size() - 1;
  }

  // Which users already gave gradients is known before they are placed: a tower's encoder output is read by
  // every decoder layer, of which the last gives first; a tied table is read by the head and gives the first
  // gradient there.
  void decide_gradients(Kind& kind, const std::vector<Source>& inputs, int layer) {
    kind.input_running.assign(inputs.size(), 0);
    bool decoder_layer = kind.part == Part::Layer && kind.tower->cross_attention;
    if (kind.part == Part::Embedding && !inputs.empty())
      kind.input_running[0] = model_.tied_embeddings && model_.head;
    if (decoder_layer) kind.input_running.back() = layer != first_layer_ + kind.tower->layers - 1;
  }

  Template& emit_template(const Kind& kind, Block block) {
    if (work_.fuse || eager_dialect(model_.family).fused_qkv) merge_products(block);
    if (!work_.fuse && kind.tower != nullptr)
      expand_eager(block, eager_dialect(model_.family), kind.tower->activation,
                   work_.eager.repeated_score_shapes && work_.parallel.tensor > 1);
    if (work_.mode == Mode::Train) {
      BackwardOptions options;
      options.input_needs = kind.input_needs;
      options.input_running = kind.input_running;
      bool loss = work_.loss && kind.part == Part::Head && has_loss(model_, *kind.tower);
      loss = loss || (work_.loss && kind.part == Part::Contrast);
      options.output_given.assign(block.outputs.size(), loss ? 0 : 1);
      options.recompute_all = work_.recompute == Recompute::Full && kind.part == Part::Layer;
      options.recompute_core =
          work_.recompute == Recompute::Selective && work_.attention == AttentionKernel::Eager;
      options.accumulate = work_.accumulate_gradients;
      options.data_parallel = work_.parallel.data;
      options.table = backward_table(work_.eager, kind.tower != nullptr && work_.parallel.tensor > 1
                                                      ? share_of(model_, *kind.tower, work_.parallel).heads
                                                      : 0);
      add_backward(block, options);
      add_optimizer(block, work_.optimizer, model_.type);
    }
    if (work_.fuse) fuse_kernels(block);
    if (work_.eager.fuse_sole_consumers && work_.mode != Mode::Train) fuse_sole_consumers(block);
    templates_.push_back({kind, std::move(block)});
    return templates_.back();
  }

  void add_backward_pass() {
    std::vector<std::vector<TensorId>> gradients(placed_.size());
    for (size_t i = 0; i < placed_.size(); ++i)
      gradients[i].assign(placed_[i].instance.block->outputs.size(), kNone);
    for (size_t i = placed_.size(); i-- > 0;) {
      Placed& placed = placed_[i];
      const Block& block = *placed.instance.block;
      for (size_t o = 0; o < block.outputs.size(); ++o) {
        if (block.output_gradients[o] != kNone && gradients[i][o] == kNone)
          gradients[i][o] = start_gradient(block, o);
      }
      std::vector<TensorId> running;
      for (Source source : placed.inputs) running.push_back(gradients[source.instance][source.output]);
      assembler_.backward(placed.instance, gradients[i], running);
      for (size_t k = 0; k < placed.inputs.size(); ++k) {
        ValueId value = block.input_gradients[k];
        if (value != kNone)
          gradients[placed.inputs[k].instance][placed.inputs[k].output] = placed.instance.tensors[value];
      }
    }
    for (Placed& placed : placed_) assembler_.optimizer(placed.instance);
  }

  // Without a loss the gradient of the result comes from outside.
  TensorId start_gradient(const Block& block, size_t output) {
    return assembler_.input(block.values[block.outputs[output]].bytes());
  }

  const ModelConfig& model_;
  const Workload& work_;
  Assembler assembler_;
  std::list<Template> templates_;  // blocks keep their addresses
  std::vector<Placed> placed_;
  std::optional<Source> table_;  // of tokens, where several blocks read it
  int first_layer_ = 0;
  bool ends_trainable_ = true;
};

void check_size(const ModelConfig& model, std::string_view what, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw InputError(fmt::format("{}: {} is {}; expected {} to {}", model.name, what, value, low, high));
  }
}

void check_tower(const ModelConfig& model, const Tower& t) {
  check_size(model, "the number of layers", t.layers, 1, kMostLayers);
  check_size(model, "the hidden size", t.hidden, 1, kMostWidth);
  check_size(model, "the number of attention heads", t.heads, 1, kMostWidth);
  check_size(model, "the number of key-value heads", t.kv_heads, 1, t.heads);
  if (!t.latent) check_size(model, "the head size", t.head_dim, 1, kMostWidth);
  check_size(model, "the feed-forward size", t.feed_forward, t.moe ? 0 : 1, kMostWidth);
  if (t.heads % t.kv_heads != 0) {
    throw InputError(fmt::format("{}: {} attention heads do not divide over {} key-value heads", model.name,
                                 t.heads, t.kv_heads));
  }
  if (t.role == TowerRole::Vision) {
    check_size(model, "the image size", t.image_size, 1, 1 << 16);
    check_size(model, "the patch size", t.patch_size, 1, t.image_size);
  }
  if (t.moe) {
    check_size(model, "the number of experts", t.moe->experts, 1, 1 << 16);
    check_size(model, "experts per token", t.moe->experts_per_token, 1, t.moe->experts);
    check_size(model, "the expert size", t.moe->feed_forward, 1, kMostWidth);
  }
}

}  // namespace

TowerTokens tokens_of(const ModelConfig& model, const Tower& tower, const Workload& work) {
  if (tower.role == TowerRole::Vision) {
    if (work.mode == Mode::Decode) return {};
    int64_t side = tower.image_size / tower.patch_size;
    return {side * side + (tower.class_token ? 1 : 0), 0, 0};
  }
  bool encoder_decoder = std::ranges::any_of(model.towers, [](const Tower& t) { return t.cross_attention; });
  bool decodes = work.mode == Mode::Decode;
  if (!encoder_decoder) {
    if (decodes) return tower.role == TowerRole::Decoder ? TowerTokens{1, work.sequence, 0} : TowerTokens{};
    // CLIP: a text is never longer than its tower's positions.
    int64_t query = tower.projection > 0 && tower.tokens > 0 ? std::min<int64_t>(work.sequence, tower.tokens)
                                                             : work.sequence;
    return {query, work.mode == Mode::Prefill ? work.cached : 0, 0};
  }
  int64_t output = work.output_sequence > 0 ? work.output_sequence : work.sequence;
  if (tower.role != TowerRole::Decoder) return decodes ? TowerTokens{} : TowerTokens{work.sequence, 0, 0};
  return decodes ? TowerTokens{1, output, work.sequence} : TowerTokens{output, 0, work.sequence};
}

void check_workload(const ModelConfig& model, const Workload& work) {
  if (model.towers.empty()) throw InputError(fmt::format("{}: the model has no layers", model.name));
  check_size(model, "the vocabulary", model.vocabulary, 0, int64_t{1} << 32);
  for (const Tower& tower : model.towers) check_tower(model, tower);
  check_size(model, "the batch", work.batch, 1, kMostTokens);
  check_size(model, "the sequence", work.sequence, 1, kMostTokens);
  check_size(model, "the number of cached tokens", work.cached, 0, kMostTokens);
  check_size(model, "the output sequence", work.output_sequence, 0, kMostTokens);
  if (work.batch > kMostTokens / std::max(work.sequence, work.output_sequence)) {
    throw InputError(fmt::format("{}: {} sequences of {} tokens are more than {} tokens; use a smaller batch",
                                 model.name, work.batch, work.sequence, kMostTokens));
  }
  const Parallelism& p = work.parallel;
  for (auto [what, value] : {std::pair<std::string_view, int>{"--tensor-parallel", p.tensor},
                             {"--expert-parallel", p.expert},
                             {"--data-parallel", p.data},
                             {"--pipeline-parallel", p.pipeline},
                             {"--sequence-parallel", p.sequence}}) {
    check_size(model, what, value, 1, 1 << 16);
  }
  if (p.pipeline > 1 || p.sequence > 1) {
    throw InputError(fmt::format(
        "{}: a graph is one device's share of all layers and whole sequences; use --tensor-parallel, "
        "--expert-parallel or --data-parallel",
        model.name));
  }
  bool decoder = std::ranges::any_of(
      model.towers, [](const Tower& t) { return t.role == TowerRole::Decoder && t.projection == 0; });
  if (work.mode == Mode::Decode && !decoder) {
    throw InputError(fmt::format("{}: a {} model has no decode step; use --mode prefill or --mode train",
                                 model.name, model.family.empty() ? "encoder" : model.family));
  }
}

Graph build_graph(const ModelConfig& model, const Workload& work) {
  check_workload(model, work);
  return TransformerBuilder(model, work).build();
}

}  // namespace orrery::graph
