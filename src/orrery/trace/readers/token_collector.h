// Rows of (token, layer, experts) in any order, gathered into a TokenTrace: the part that the readers of
// token files share.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "orrery/base/error.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::trace {

// Experts a layer where nobody says how many there are: a larger id is taken for damage, not for a model.
inline constexpr int kMostExpertsUnasked = 4096;
// Throws InputError where transitions of `layers` layers of `experts` experts would not fit in memory.
void check_profile_size(const std::string& file, size_t layers, int experts);

// What a row may tell of its token beside its experts.
struct TokenMark {
  std::optional<uint64_t> step;  // the forward pass
  Phase phase = Phase::Unknown;
  bool operator==(const TokenMark&) const = default;
};

class TokenCollector {
 public:
  TokenCollector(std::string file, int experts) : file_(std::move(file)), experts_(experts) {}
  // Throws InputError at `line` for a wrong expert, a repeated one, another k than before, a row given twice,
  // another step or phase than earlier rows of the token have.
  void add(uint64_t sequence, uint64_t token, int64_t layer, std::span<const int64_t> experts, int line,
           const TokenMark& mark = {});
  // Tokens in order of their steps, or of first appearance. Leaves out tokens that lack a layer, noting how
  // many; throws InputError above 1 %.
  RoutingProfile finish(const RoutingOptions& options);

 private:
  [[noreturn]] void fail(int line, const std::string& message) const {
    throw InputError(Place{file_, line, 0}, message);
  }
  struct Row {
    uint32_t token, layer;
  };
  std::string file_;
  int experts_;
  int top_k_ = 0, largest_ = -1;
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> token_index_;
  std::vector<std::pair<uint64_t, uint64_t>> tokens_;  // in order of first appearance
  std::vector<TokenMark> marks_;                       // of each
  std::map<int64_t, uint32_t> layer_index_;
  std::vector<Row> rows_;
  std::vector<uint16_t> chosen_;  // [row][k]
};

// From whole arrays: choice [token][layer][k] with layers 0 .. L−1. Checks ids and repeats like add().
RoutingProfile profile_array(std::vector<uint16_t> choice, size_t tokens, int layers, int top_k,
                             const std::string& file, const RoutingOptions& options);

// "prefill" or "decode" in a recording; Unknown for anything else.
Phase phase_of(std::string_view text);

std::string profile_name(const std::string& path);
RoutingProfile read_routing_tsv(const std::string& text, const std::string& path, const RoutingOptions&);
RoutingProfile read_routing_npy(const std::string& text, const std::string& path, const RoutingOptions&);
RoutingProfile read_routing_jsonl(const std::string& text, const std::string& path, const RoutingOptions&);
RoutingProfile read_routing_json(std::string text, const std::string& path, const RoutingOptions&);

}  // namespace orrery::trace
