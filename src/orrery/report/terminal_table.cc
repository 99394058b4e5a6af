#include "orrery/report/terminal_table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>
#include <vector>

namespace orrery::report {
namespace {

constexpr int kGap = 2;  // spaces between columns

struct Range {
  char32_t first, last;
};
// Unicode's East Asian wide and fullwidth blocks, and emoji: two columns (UAX #11).
constexpr Range kWide[] = {{0x1100, 0x115F}, {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                           {0xF900, 0xFAFF}, {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                           {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD}};
// Combining marks, zero-width spaces and joiners, variation selectors: none.
constexpr Range kZero[] = {
    {0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}};

bool within(char32_t c, const Range* begin, const Range* end) {
  return std::any_of(begin, end, [c](const Range& r) { return c >= r.first && c <= r.last; });
}

// Decodes one character at `at` and moves behind it; a byte that begins none stands for itself.
char32_t next_character(std::string_view text, size_t& at) {
  unsigned char first = static_cast<unsigned char>(text[at++]);
  if (first < 0xC2 || first > 0xF4) return first;
  int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t c = first & (0x3F >> more);
  size_t from = at;
  for (int i = 0; i < more; ++i) {
    if (from >= text.size() || (static_cast<unsigned char>(text[from]) & 0xC0) != 0x80) return first;
    c = c << 6 | (static_cast<unsigned char>(text[from++]) & 0x3F);
  }
  at = from;
  return c;
}

// The first and last characters of a text with "…" between them, `width` columns in all.
std::string cut_middle(const std::string& text, int width) {
  std::vector<std::string> characters;
  for (size_t at = 0; at < text.size();) {
    size_t from = at;
    next_character(text, at);
    characters.push_back(text.substr(from, at - from));
  }
  size_t head = characters.size(), tail = characters.size();
  int used = 1;
  bool front = true;
  for (head = 0; head < tail; front = !front) {
    int wide = display_width(front ? characters[head] : characters[tail - 1]);
    if (used + wide > width) break;
    used += wide;
    front ? ++head : --tail;
  }
  std::string out;
  for (size_t i = 0; i < head; ++i) out += characters[i];
  out += "…";
  for (size_t i = tail; i < characters.size(); ++i) out += characters[i];
  return out;
}

std::string spaces(int count) {
  return std::string(static_cast<size_t>(std::max(0, count)), ' ');
}

// Lines behind the first moved right; without the newline at the end.
std::string indent_lines(std::string text, int indent) {
  while (text.ends_with('\n')) text.pop_back();
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    text.insert(at + 1, spaces(indent));
  return text;
}

// A cell ready to be aligned: a number's margin apart from its value.
struct Piece {
  std::string text, margin;
  bool number = false, span = false;
  int width() const { return display_width(text) + display_width(margin); }
};

Piece piece_of(const Cell& cell) {
  Piece piece;
  piece.text = show(cell);
  std::erase_if(piece.text, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
  piece.number = std::holds_alternative<Number>(cell);
  size_t split = piece.number ? piece.text.find(" ±") : std::string::npos;
  if (split != std::string::npos) {
    piece.margin = piece.text.substr(split);
    piece.text.resize(split);
  }
  return piece;
}

struct Layout {
  int value = 0, margin = 0, total = 0;
  bool right = false;  // numbers: on the right
};

class Renderer {
 public:
  Renderer(const Table& table, const TerminalStyle& style, const ToneOf& tone)
      : table_(table), style_(style), tone_(tone) {
    layout_.resize(table.columns.size());
    for (size_t c = 0; c < layout_.size(); ++c) headings_.push_back(heading(table.columns[c]));
    for (const auto& row : table.rows) {
      auto& pieces = pieces_.emplace_back();
      for (const Cell& cell : row) pieces.push_back(piece_of(cell));
      pieces.resize(std::min(pieces.size(), layout_.size()));
      if (!pieces.empty() && pieces.size() < layout_.size()) pieces.back().span = true;
    }
    for (size_t c = 0; c < layout_.size(); ++c) measure(c);
    shorten_first_column();
  }

  std::string render() const {
    std::string out;
    const size_t keys = std::min(std::max<size_t>(table_.keys, 1), layout_.size());
    int key_width = -kGap;
    for (size_t c = 0; c < keys; ++c) key_width += kGap + layout_[c].total;
    for (size_t begin = keys, block = 0; begin < layout_.size() || block == 0; ++block) {
      size_t end = begin;
      int width = key_width;
      while (end < layout_.size() && (end == begin || width + kGap + layout_[end].total <= style_.width)) {
        width += kGap + layout_[end++].total;
      }
      if (block > 0) out += "\n";
      out += lines(keys, begin, end);
      begin = end;
    }
    return out;
  }

 private:
  static std::string heading(const Column& column) {
    return column.unit.empty() ? column.name : column.name + " " + column.unit;
  }

  void measure(size_t c) {
    Layout& layout = layout_[c];
    int longest = 0;
    for (const auto& row : pieces_) {
      if (c >= row.size() || row[c].span) continue;
      if (row[c].number) {
        layout.value = std::max(layout.value, display_width(row[c].text));
        layout.margin = std::max(layout.margin, display_width(row[c].margin));
        layout.right = true;
      } else {
        longest = std::max(longest, row[c].width());
      }
    }
    layout.total = std::max({display_width(headings_[c]), longest, layout.value + layout.margin});
  }

  // Names give way, in their middle, where that lets the table stand in one block.
  void shorten_first_column() {
    constexpr int kShortestName = 16;
    int all = -kGap;
    for (const Layout& layout : layout_) all += kGap + layout.total;
    if (layout_.size() < 2 || layout_[0].right || all <= style_.width) return;
    int room = layout_[0].total - (all - style_.width);
    if (room < std::max(kShortestName, display_width(headings_[0]))) return;
    for (auto& row : pieces_) {
      if (!row.empty() && !row[0].span && row[0].width() > room) row[0].text = cut_middle(row[0].text, room);
    }
    layout_[0].total = room;
  }

  // The key columns and columns [begin, end).
  std::string lines(size_t keys, size_t begin, size_t end) const {
    std::vector<size_t> columns;
    for (size_t c = 0; c < keys; ++c) columns.push_back(c);
    for (size_t c = begin; c < end; ++c) columns.push_back(c);
    std::string out;
    std::string head;
    for (size_t c : columns) {
      int room = layout_[c].total - display_width(headings_[c]);
      head += (head.empty() ? "" : spaces(kGap)) +
              (layout_[c].right ? spaces(room) + headings_[c] : headings_[c] + spaces(room));
    }
    while (head.ends_with(' ')) head.pop_back();
    out += toned(head, Tone::Strong, style_) + "\n";
    for (size_t r = 0; r < pieces_.size(); ++r) {
      // A later block repeats only the rows that have something there.
      if (begin > keys && begin >= pieces_[r].size()) continue;
      out += line(r, columns);
    }
    return out;
  }

  std::string line(size_t r, const std::vector<size_t>& columns) const {
    const auto& row = pieces_[r];
    std::string out;
    int blank = 0;  // spaces owed before the next cell: none trail
    for (size_t i = 0; i < columns.size(); ++i) {
      size_t c = columns[i];
      if (i > 0) blank += kGap;
      if (c >= row.size()) break;
      const Piece& piece = row[c];
      Tone tone = tone_ ? tone_(r, c) : Tone::Plain;
      const Layout& layout = layout_[c];
      int before = 0, after = 0;
      std::string text = piece.text;
      if (piece.span) {
        int indent = 0;
        for (size_t before_it = 0; before_it < i; ++before_it)
          indent += layout_[columns[before_it]].total + kGap;
        constexpr int kNarrowest = 24;
        TerminalStyle rest{std::max(kNarrowest, style_.width - indent), false};
        text = indent_lines(paragraph(piece.text, rest), indent);
      } else {
        int room = layout.total - piece.width();
        after = room;
        if (layout.right) {
          after = piece.number ? layout.margin - display_width(piece.margin) : 0;
          before = room - after;
        }
      }
      out += spaces(blank + before) + toned(text, tone, style_) +
             (piece.margin.empty() ? std::string() : toned(piece.margin, Tone::Muted, style_));
      blank = after;
    }
    return out + "\n";
  }

  const Table& table_;
  const TerminalStyle& style_;
  const ToneOf& tone_;
  std::vector<std::string> headings_;
  std::vector<std::vector<Piece>> pieces_;
  std::vector<Layout> layout_;
};

}  // namespace

TerminalStyle terminal_style(int file_descriptor) {
  constexpr int kNarrowest = 40;
  TerminalStyle style;
  bool terminal = isatty(file_descriptor) != 0;
  if (terminal) {
    winsize size{};
    if (ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  }
  if (const char* columns = std::getenv("COLUMNS")) {
    int asked = std::atoi(columns);
    if (asked > 0) style.width = asked;
  }
  style.width = std::max(style.width, kNarrowest);
  const char* no_color = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  style.colour = terminal && !(no_color && *no_color) && !(kind && std::string_view(kind) == "dumb");
  return style;
}

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) {
    char32_t c = next_character(text, at);
    if (c < 32 || c == 127 || within(c, std::begin(kZero), std::end(kZero))) continue;
    width += within(c, std::begin(kWide), std::end(kWide)) ? 2 : 1;
  }
  return width;
}

std::string toned(std::string_view text, Tone tone, const TerminalStyle& style) {
  const char* code = tone == Tone::Strong  ? "\x1b[1m"
                     : tone == Tone::Good  ? "\x1b[32m"
                     : tone == Tone::Bad   ? "\x1b[1;31m"
                     : tone == Tone::Muted ? "\x1b[2m"
                                           : "";
  if (!style.colour || !*code || text.empty()) return std::string(text);
  return code + std::string(text) + "\x1b[0m";
}

std::string paragraph(std::string_view text, const TerminalStyle& style, int hanging) {
  std::string out;
  int used = 0;
  bool first = true;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find_first_of(" \n", at), text.size());
    std::string word(text.substr(at, end - at));
    std::erase_if(word, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
    at = end + 1;
    if (word.empty()) continue;
    int width = display_width(word);
    if (!first && used + 1 + width > style.width) {
      out += "\n" + spaces(hanging);
      used = hanging;
    } else if (!first) {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
    first = false;
  }
  return out + "\n";
}

std::string to_terminal(const Table& table, const TerminalStyle& style, const ToneOf& tone) {
  std::string out;
  if (!table.title.empty()) out += toned(paragraph(table.title, style), Tone::Strong, style);
  out += Renderer(table, style, tone).render();
  for (const std::string& note : table.notes) out += paragraph(note, style);
  return out;
}

}  // namespace orrery::report
