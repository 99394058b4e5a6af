// Cycles of vector operators on `lanes` lanes, by a table of cycles an element.
//
// Released: the table of WHAM's and PHAZE's releases. Norms cost one cycle, data movement nothing, softmax
// over rows of n is 10·⌈E/P⌉ + ⌈rows/P⌉·n. Revised: norms need their statistics (4 forward, 6 backward),
// copies, gathers and fills move an element a cycle, SiLU has its multiplication, softmax and mean reduce
// each row by itself: rows·⌈n/P⌉ + 10 + 10·⌈E/P⌉ and rows·(⌈n/P⌉ + 10).
#pragma once

#include <optional>
#include <string_view>

#include "orrery/graph/operator_shape.h"

namespace orrery::cost {

enum class VectorCosts : uint8_t { Revised, Released };
std::string_view name(VectorCosts);  // "revised", "released"
std::optional<VectorCosts> parse_vector_costs(std::string_view);

// Cycles an element on one lane, in the shape's pass; of softmax and mean without their reductions.
double cycles_per_element(const graph::OperatorShape&, VectorCosts);

// Elements that are computed: of pooling the result's, of an optimizer step the parameters.
double vector_elements(const graph::OperatorShape&);

// Issue cycles on lanes of one or several cores together; 0 for operators of other engines.
double vector_cycles(const graph::OperatorShape&, double lanes, VectorCosts);

// The cycles that softmax scores of one attention take: rows·heads of `keys`.
double attention_softmax_cycles(const graph::AttentionSize&, graph::Pass, double lanes, VectorCosts);

}  // namespace orrery::cost
