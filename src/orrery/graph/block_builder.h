// Emits the forward steps of a block: what all parts of a network share (products, vector operators,
// residuals).
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "orrery/graph/block.h"
#include "orrery/graph/eager.h"
#include "orrery/graph/module_format.h"
#include "orrery/graph/split.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

// What a block is built for. Sizes are those of one device.
struct Setting {
  const ModelConfig& model;
  const Tower& tower;
  const Workload& work;
  const EagerDialect& dialect;
  Share share;
  int64_t batch = 1, query = 1, cached = 0;  // `query` new tokens a sequence, behind `cached` earlier ones
  int64_t cross = 0;                         // tokens of the encoder that cross-attention reads
  bool causal = true;
  bool cache = false;  // keys and values go to a cache, and earlier ones come from it
  bool trainable = false;
  bool sparse = false, windowed = false;
  bool adds_before = false;  // the block begins with the residual addition that the one before it left open
  uint32_t quantized = 0;    // bits of Module
  DataType type = DataType::BF16;

  int64_t rows() const { return batch * query; }
  bool train() const { return work.mode == Mode::Train; }
  DataType cache_type() const {
    return model.quantization && model.quantization->kv_cache ? *model.quantization->kv_cache : type;
  }
};

struct Product {
  int64_t n = 1, k = 1;  // this device's share
  ProductRole role = ProductRole::Replicated;
  Module module = Module::Plain;
  bool bias = false;
  uint8_t merge = 0;
  std::string_view merged_name = {};
  int64_t rows = 0;    // 0: all of the setting's
  bool reduce = true;  // false: the caller reduces partial sums itself
};

class BlockBuilder {
 public:
  explicit BlockBuilder(const Setting& setting) : setting_(setting) {}
  const Setting& setting() const { return setting_; }
  Block& block() { return block_; }

  ValueId input(double elements);  // from an earlier block
  ValueId weight(double elements, DataType stored);
  ValueId weight(double elements) { return weight(elements, setting_.type); }
  ValueId activation(double elements) { return block_.add_value(elements, setting_.type); }

  // General form: outputs must have been made.
  void step(std::string_view name, const OperatorShape& shape, std::vector<ValueId> inputs,
            std::vector<ValueId> outputs);
  // One output of rows × columns in the setting's type.
  ValueId vector(std::string_view name, OperatorKind kind, const VectorSize& size,
                 std::vector<ValueId> inputs);
  // x · W, in the module's formats, with what its role asks of the group.
  ValueId product(std::string_view name, ValueId x, const Product& product);
  // A product of two activations, out[m, n] of each of `size.batch`.
  ValueId product(std::string_view name, const GemmSize& size, ValueId lhs, ValueId rhs);
  // x in the formats of narrow products (FP8, FP4, INT8), quantized once for all that read it; x itself for
  // wide types.
  ValueId narrowed(ValueId x, int64_t rows, int64_t columns, DataType type);
  ValueId normalize(std::string_view name, ValueId x, int64_t rows, int64_t columns);
  ValueId add(std::string_view name, ValueId a, ValueId b);
  // x itself where dropout does not run.
  ValueId dropout(std::string_view name, ValueId x, int64_t rows, int64_t columns);
  // Marks where replicated activations enter divided products: free forwards, an all-reduce of the gradient
  // backwards.
  ValueId enter_group(ValueId x);
  ValueId all_reduce(std::string_view name, ValueId x);

  // Steps emitted until end_core belong to the attention's core.
  void begin_core() { core_from_ = block_.forward.size(); }
  void end_core();

 private:
  Setting setting_;
  Block block_;
  size_t core_from_ = 0;
  std::vector<std::pair<ValueId, ValueId>> narrow_;  // activations and their quantized form
};

OperatorKind kind_of(Activation activation);

}  // namespace orrery::graph
