// How PyTorch runs a model without a compiler: a table of what each kind of operator becomes, and what
// differs between the families of Hugging Face models.
#pragma once

#include <string_view>

#include "orrery/graph/block.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

enum class ScoreScale : uint8_t {
  None,
  Divide,
  DivideByTensor,  // by a tensor of one element
  Multiply,
  MultiplyQuery
};
enum class ScoreMask : uint8_t {
  None,
  Where,
  Add,     // queries × keys of each sequence
  AddKeys  // keys of each sequence
};
// Whether the heads of Q, K and V are copied apart before the products.
enum class HeadCopies : uint8_t {
  None,
  Written,  // by calls of contiguous(); the attention's result is joined by reshape()
  ByMatmul  // by matmul(), whose four dimensions do not fold into three when there are several sequences
};

struct EagerDialect {
  std::string_view family;  // model_type; "" ends the table: all others
  bool fused_qkv;           // one product gives Q, K and V
  ScoreScale scale;
  ScoreMask mask;
  bool decomposed_gelu;  // the tanh form as eight operators (NewGELUActivation)
  bool wide_softmax;     // scores go to FP32 and back
  HeadCopies head_copies = HeadCopies::None;
  bool attention_dropout = true;    // training: of the scores
  bool embedding_dropout = false;   // training: dropout behind the embeddings
  bool inner_dropout = false;       // and behind the activation of the feed-forward
  bool contiguous_logits = false;   // contiguous() on what already is
  bool counted_positions = false;   // position ids are counted over the attention mask
  bool sequential_experts = false;  // one expert after another, on buffers of its capacity
  bool key_mask = false;            // the mask of keys is made additive by a multiplication
};
const EagerDialect& eager_dialect(std::string_view family);

// Replaces, in the forward steps, the kinds that the table lists by the operators that PyTorch launches for
// them.
// `one_operand`: the last product of a decomposed GELU counts as one by a scalar
// (EagerOptions::repeated_score_shapes).
void expand_eager(Block& block, const EagerDialect& dialect, Activation activation, bool one_operand = false);

}  // namespace orrery::graph
