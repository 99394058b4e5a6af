// How PyTorch runs a model without a compiler: a table of what each kind of operator becomes, and what
// differs between the families of Hugging Face models.
#pragma once

#include <string_view>

#include "orrery/graph/block.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

enum class ScoreScale : uint8_t { None, Divide, Multiply, MultiplyQuery };
enum class ScoreMask : uint8_t { None, Where, Add };

struct EagerDialect {
  std::string_view family;  // model_type; "" ends the table: all others
  bool fused_qkv;           // one product gives Q, K and V
  ScoreScale scale;
  ScoreMask mask;
  bool decomposed_gelu;  // the tanh form as eight operators (NewGELUActivation)
  bool wide_softmax;     // scores go to FP32 and back
};
const EagerDialect& eager_dialect(std::string_view family);

// Replaces, in the forward steps, the kinds that the table lists by the operators that PyTorch launches for
// them.
void expand_eager(Block& block, const EagerDialect& dialect, Activation activation);

}  // namespace orrery::graph
