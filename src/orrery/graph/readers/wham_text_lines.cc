#include "orrery/graph/readers/wham_text_lines.h"

#include <fmt/format.h>

#include <charconv>
#include <queue>
#include <stdexcept>
#include <unordered_map>

#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

constexpr size_t kMostNodes = 1'000'000, kMostSizes = 64;
constexpr int64_t kMostSize = int64_t{1} << 31;
constexpr std::string_view kSeparator = " -- ";

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin + 1);
}

int column_of(std::string_view line, std::string_view part) {
  return static_cast<int>(part.data() - line.data()) + 1;
}

WhamNode node_of(const WhamGraph& graph, std::string_view line, int number) {
  WhamNode node;
  node.line = number;
  node.text = line;
  size_t first = line.find(kSeparator);
  if (first == std::string_view::npos)
    graph.fail(node, 1, "expected 'id -- operator -- field=value; ...', or an edge behind a tab");
  node.id = printable(trimmed(line.substr(0, first)), 60);
  std::string_view rest = line.substr(first + kSeparator.size());
  size_t second = rest.find(kSeparator);
  std::string_view op = trimmed(rest.substr(0, second));
  if (constexpr std::string_view kFused = "fused ~~ "; op.starts_with(kFused))
    op.remove_prefix(kFused.size());
  node.op = std::string(op);
  node.op_column = column_of(line, op.empty() ? rest : op);
  if (node.id.empty()) graph.fail(node, 1, "a node without an id");
  if (node.op.empty()) graph.fail(node, node.op_column, "a node without an operator");
  rest = second == std::string_view::npos ? std::string_view{} : rest.substr(second + kSeparator.size());
  while (!rest.empty()) {
    size_t end = std::min(rest.find(';'), rest.size());
    std::string_view field = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (field.empty()) continue;
    size_t equals = field.find('=');
    if (equals == std::string_view::npos)
      graph.fail(node, column_of(line, field),
                 fmt::format("'{}'; expected field=value", printable(field, 40)));
    std::string_view value = field.substr(equals + 1);
    node.fields[std::string(trimmed(field.substr(0, equals)))] = {
        value, column_of(line, field) + static_cast<int>(equals) + 1};
  }
  return node;
}

struct Edge {
  std::string from, to;
  int line = 0, from_column = 0, to_column = 0;
  std::string_view text;
};

Edge edge_of(const std::string& path, std::string_view line, int number) {
  size_t middle = line.find(kSeparator);
  if (middle == std::string_view::npos)
    throw InputError(Place{path, number, 1}, "expected an edge 'in -- out' behind the tab", line);
  std::string_view from = trimmed(line.substr(0, middle)),
                   to = trimmed(line.substr(middle + kSeparator.size()));
  return {printable(from, 60),
          printable(to, 60),
          number,
          from.empty() ? 1 : column_of(line, from),
          to.empty() ? static_cast<int>(middle + kSeparator.size()) : column_of(line, to),
          line};
}

// Kahn's order; where nodes are left over, one edge of a cycle is named.
void sort(WhamGraph& graph, const std::vector<std::pair<size_t, Edge>>& edges) {
  const size_t n = graph.nodes.size();
  std::vector<size_t> waits(n);
  std::vector<std::vector<size_t>> successors(n);
  for (size_t v = 0; v < n; ++v) {
    waits[v] = graph.nodes[v].predecessors.size();
    for (size_t p : graph.nodes[v].predecessors) successors[p].push_back(v);
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t v = 0; v < n; ++v) {
    if (waits[v] == 0) ready.push(v);
  }
  while (!ready.empty()) {
    size_t v = ready.top();
    ready.pop();
    graph.order.push_back(v);
    for (size_t s : successors[v]) {
      if (--waits[s] == 0) ready.push(s);
    }
  }
  if (graph.order.size() == n) return;
  // From a node that waits, predecessors that wait lead back into a cycle.
  size_t at = 0;
  while (waits[at] == 0) ++at;
  std::vector<uint8_t> seen(n);
  size_t before = at;
  while (seen[at] == 0) {
    seen[at] = 1;
    before = at;
    for (size_t p : graph.nodes[at].predecessors) {
      if (waits[p] > 0) {
        at = p;
        break;
      }
    }
  }
  for (const auto& [to, edge] : edges) {
    if (to == before && edge.from == graph.nodes[at].id)
      throw InputError(
          Place{graph.path, edge.line, edge.from_column},
          fmt::format("the edge {} -- {} lies on a cycle; expected a graph without one", edge.from, edge.to),
          edge.text);
  }
}

}  // namespace

void WhamGraph::fail(const WhamNode& node, int column, const std::string& what) const {
  throw InputError(Place{path, node.line, column}, what, node.text);
}

std::vector<WhamShape> parse_wham_shapes(std::string_view text) {
  std::vector<WhamShape> shapes;
  WhamShape current;
  int depth = 0, deepest = 0;
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '[' || c == '(') {
      deepest = std::max(deepest, ++depth);
      if (depth > 2) throw std::invalid_argument("nested deeper than a list of shapes");
      ++i;
    } else if (c == ']' || c == ')') {
      if (--depth < 0) throw std::invalid_argument("a bracket too many");
      if (depth == deepest - 1 && (!current.empty() || depth > 0)) shapes.push_back(std::move(current));
      current.clear();
      ++i;
    } else if (c == ',' || c == ' ' || c == '\t' || c == '\r') {
      ++i;
    } else {
      int64_t value = 0;
      auto [end, failure] = std::from_chars(text.data() + i, text.data() + text.size(), value);
      if (failure != std::errc() || depth == 0) throw std::invalid_argument("expected sizes in brackets");
      if (value < 0 || value > kMostSize) throw std::invalid_argument("a size outside 0 to 2^31");
      current.push_back(value);
      if (current.size() > kMostSizes || shapes.size() > kMostSizes)
        throw std::invalid_argument("too many sizes");
      i = static_cast<size_t>(end - text.data());
    }
  }
  if (depth != 0) throw std::invalid_argument("a bracket is not closed");
  return shapes;
}

std::vector<WhamShape> WhamGraph::shapes(const WhamNode& node, std::string_view field) const {
  auto found = node.fields.find(field);
  if (found == node.fields.end()) return {};
  std::string_view value = trimmed(found->second.value);
  if (value.empty() || value == "None") return {};
  try {
    return parse_wham_shapes(value);
  } catch (const std::invalid_argument& problem) {
    fail(node, found->second.column,
         fmt::format("{} '{}': {}; expected shapes such as [[8, 512, 1024]]", field, printable(value, 60),
                     problem.what()));
  }
}

int64_t WhamGraph::first_number(const WhamNode& node, std::string_view field, int64_t absent) const {
  std::vector<WhamShape> found = shapes(node, field);
  return found.empty() || found[0].empty() ? absent : found[0][0];
}

WhamGraph parse_wham_lines(std::string_view text, const std::string& path) {
  WhamGraph graph;
  graph.path = path;
  std::vector<Edge> written;
  std::unordered_map<std::string, size_t> index;
  int number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (trimmed(line).empty()) continue;
    if (line[0] == '\t') {
      written.push_back(edge_of(path, line, number));
      continue;
    }
    WhamNode node = node_of(graph, line, number);
    if (graph.nodes.size() >= kMostNodes) graph.fail(node, 1, fmt::format("more than {} nodes", kMostNodes));
    if (!index.emplace(node.id, graph.nodes.size()).second)
      graph.fail(node, 1, fmt::format("node '{}' stands twice", node.id));
    graph.nodes.push_back(std::move(node));
  }
  if (graph.nodes.empty())
    throw InputError(Place{path, 1, 1}, "no operators; expected lines 'id -- operator -- field=value; ...'");
  std::vector<std::pair<size_t, Edge>> edges;
  for (Edge& edge : written) {
    auto from = index.find(edge.from), to = index.find(edge.to);
    if (from == index.end() || to == index.end()) {
      bool first = from == index.end();
      throw InputError(Place{path, edge.line, first ? edge.from_column : edge.to_column},
                       fmt::format("an edge to node '{}', which is not there", first ? edge.from : edge.to),
                       edge.text);
    }
    graph.nodes[to->second].predecessors.push_back(from->second);
    edges.emplace_back(to->second, std::move(edge));
  }
  sort(graph, edges);
  return graph;
}

}  // namespace orrery::graph
