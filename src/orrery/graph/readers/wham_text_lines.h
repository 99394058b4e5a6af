// The lines of WHAM's graph text as values that know their places; what they mean is wham_text.cc's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/error.h"

namespace orrery::graph {

using WhamShape = std::vector<int64_t>;

struct WhamNode {
  std::string id, op;  // op without "fused ~~ "
  int line = 0, op_column = 0;
  std::string_view text;  // the line
  struct Field {
    std::string_view value;
    int column = 0;
  };
  std::map<std::string, Field, std::less<>> fields;
  std::vector<size_t> predecessors;  // indices of nodes, in file order of the edges
};

struct WhamGraph {
  std::string path;
  std::vector<WhamNode> nodes;
  std::vector<size_t> order;  // topological; among ready ones the first in the file comes first

  [[noreturn]] void fail(const WhamNode& node, int column, const std::string& what) const;
  // Shapes of a field, empty where it is absent; throws for what is no list of lists of positive sizes.
  std::vector<WhamShape> shapes(const WhamNode& node, std::string_view field) const;
  // The first number of a field such as stride=(2, 2); `absent` where there is none.
  int64_t first_number(const WhamNode& node, std::string_view field, int64_t absent) const;
};

WhamGraph parse_wham_lines(std::string_view text, const std::string& path);
// "[[8, 64, 56, 56], [64]]" or "(1, 2)": lists of sizes; a flat list is one shape. Throws
// std::invalid_argument.
std::vector<WhamShape> parse_wham_shapes(std::string_view text);

}  // namespace orrery::graph
