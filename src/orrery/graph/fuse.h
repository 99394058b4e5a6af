// Fusion as tables of rules: which products of one input become one, and which neighbours run as one kernel,
// as serving engines (vLLM, TensorRT-LLM) and compilers do. Products are never fused with what follows them:
// libraries keep them apart.
#pragma once

#include "orrery/graph/block.h"

namespace orrery::graph {

// Joins forward products that read the same activation, have the same formats and rows and carry one merge
// group: their outputs become views of one result. To be called before add_backward. Weights that one of them
// keeps in another format stay apart.
void merge_products(Block& block);

// Joins every vector operator, embeddings and dropout among them, with the one step that reads its result, if
// that is of the same sort and nobody else reads it, until nothing changes (NeuSight, arXiv 2407.13853): only
// the first inputs and the last result move. Products, masks and copies stay apart. For blocks without a
// backward pass.
void fuse_sole_consumers(Block& block);

// Joins each step with the one before it where a rule allows and the second reads the first's result. A
// result that nothing else reads stays on chip: its part then counts no output, and the reader no input.
// Called last.
void fuse_kernels(Block& block);

}  // namespace orrery::graph
