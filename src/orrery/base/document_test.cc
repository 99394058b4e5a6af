#include "orrery/base/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"

namespace orrery {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string place_of(const Node& node) {
  return std::to_string(node.place().line) + ":" + std::to_string(node.place().column);
}

// Both parsers promise the same: a value stands where its first byte does, counted from 1.
TEST(Json, every_value_knows_its_first_byte) {
  Node root = parse_json(
      "{\n  \"a\": 12,\n\t\"bee\" : [true, null,\n -3.5e2, \"x\\ny\" ,{}],\"c\":{\"d\":[]}}", "f.json");
  EXPECT_EQ(place_of(root), "1:1");
  EXPECT_EQ(place_of(root.at("a")), "2:8");
  const Node& list = root.at("bee");
  EXPECT_EQ(place_of(list), "3:10");
  EXPECT_EQ(place_of(list.items()[0]), "3:11");
  EXPECT_EQ(place_of(list.items()[1]), "3:17");
  EXPECT_EQ(place_of(list.items()[2]), "4:2");
  EXPECT_EQ(place_of(list.items()[3]), "4:10");
  EXPECT_EQ(place_of(list.items()[4]), "4:18");
  EXPECT_EQ(place_of(root.at("c")), "4:26");
  EXPECT_EQ(place_of(root.at("c").at("d")), "4:31");
}

TEST(Json, a_line_of_a_longer_file_keeps_its_number) {
  EXPECT_EQ(place_of(parse_json("[1, 2]", "f.jsonl", 7).items()[1]), "7:5");
  EXPECT_THAT(error_of([] { parse_json("[1, x]", "f.jsonl", 7); }),
              StartsWith("f.jsonl:7:5: not valid JSON"));
  EXPECT_THAT(error_of([] { parse_json("[1, 2]", "f.jsonl", 7).fail("no"); }), HasSubstr("[1, 2]\n"));
}

TEST(Json, a_number_before_a_bracket_does_not_shift_what_follows) {
  Node root = parse_json("[[1],[22],{\"k\":3},4]", "f.json");
  EXPECT_EQ(place_of(root.items()[1]), "1:6");
  EXPECT_EQ(place_of(root.items()[1].items()[0]), "1:7");
  EXPECT_EQ(place_of(root.items()[2]), "1:11");
  EXPECT_EQ(place_of(root.items()[2].at("k")), "1:16");
  EXPECT_EQ(place_of(root.items()[3]), "1:19");
}

TEST(Yaml, every_value_knows_its_first_byte) {
  Node root =
      parse_yaml("# note\na: 12\nlist:\n  - x\n  - {b: 80 GB, c: [1, 2]}\nquoted: 'it''s'\n", "f.yaml");
  EXPECT_EQ(place_of(root), "2:1");
  EXPECT_EQ(place_of(root.at("a")), "2:4");
  EXPECT_EQ(place_of(root.at("list").items()[0]), "4:5");
  const Node& map = root.at("list").items()[1];
  EXPECT_EQ(place_of(map), "5:5");
  EXPECT_EQ(place_of(map.at("b")), "5:9");
  EXPECT_EQ(place_of(map.at("c").items()[1]), "5:23");
  EXPECT_EQ(root.at("quoted").as_string(), "it's");
}

TEST(Document, an_error_shows_the_line_with_a_caret) {
  std::string json =
      error_of([] { parse_json("{\n  \"layers\": \"many\"\n}", "m.json").at("layers").as_integer(1, 9); });
  EXPECT_EQ(json, "m.json:2:13: expected a number, found a text\n    \"layers\": \"many\"\n              ^");
  std::string yaml = error_of(
      [] { parse_yaml("gpu:\n  memory: 80\n", "g.yaml").at("gpu").at("memory").as_quantity(Unit::Bytes); });
  EXPECT_THAT(yaml, StartsWith("g.yaml:2:11: '80' has no unit"));
  EXPECT_THAT(yaml, HasSubstr("\n    memory: 80\n            ^"));
}

TEST(Document, a_long_line_is_cut_round_the_caret) {
  std::string text = "[" + std::string(5000, ' ') + "7]";
  std::string message = error_of([&] { parse_json(text, "f.json").items()[0].as_string(); });
  EXPECT_THAT(message, StartsWith("f.json:1:5002: expected a text, found a number"));
  EXPECT_LT(message.size(), 500u);
  size_t line = message.find('\n') + 1, caret = message.rfind('\n') + 1;
  EXPECT_EQ(message[line + (message.size() - 1 - caret)], '7');
}

TEST(Document, control_bytes_do_not_reach_the_terminal) {
  std::string message = error_of([] { parse_json("{\"a\": \x1b[31m}", "f.json"); });
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_THAT(message, HasSubstr("f.json:1:"));
}

TEST(Json, a_syntax_error_stands_where_it_is) {
  EXPECT_THAT(error_of([] { parse_json("{\n \"a\": 1,\n}", "f.json"); }),
              StartsWith("f.json:3:1: not valid JSON"));
  EXPECT_THAT(error_of([] { parse_json("{\"a\": 1} x", "f.json"); }),
              StartsWith("f.json:1:10: not valid JSON"));
  EXPECT_THAT(error_of([] { parse_json("", "f.json"); }), StartsWith("f.json:1:1: not valid JSON"));
  EXPECT_THAT(error_of([] { parse_json("[1e999]", "f.json"); }),
              HasSubstr("not valid JSON: number overflow"));
}

TEST(Document, a_key_that_stands_twice_is_refused) {
  EXPECT_THAT(error_of([] { parse_json("{\"a\": 1,\n \"a\": 2}", "f.json"); }),
              StartsWith("f.json:2:2: key 'a' stands twice"));
  EXPECT_THAT(error_of([] { parse_yaml("a: 1\nb: 2\na: 3\n", "f.yaml"); }),
              StartsWith("f.yaml:3:1: key 'a' stands twice"));
}

TEST(Document, keys_that_stand_twice_are_found_in_large_maps_in_linear_time) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"model.layers." + std::to_string(i) + ".weight\":1,";
  EXPECT_EQ(parse_json(text + "\"z\":1}", "index.json").entries().size(), 200'001u);
  EXPECT_THAT(error_of([&] { parse_json(text + "\"model.layers.7.weight\":1}", "index.json"); }),
              HasSubstr("stands twice"));
}

TEST(Document, a_nesting_bomb_is_refused) {
  for (size_t depth : {size_t{201}, size_t{100'000}}) {
    EXPECT_THAT(error_of([&] { parse_json(std::string(depth, '['), "f.json"); }),
                StartsWith("f.json:1:201: nested deeper"));
    EXPECT_THAT(error_of([&] { parse_yaml(std::string(depth, '[') + std::string(depth, ']'), "f.yaml"); }),
                HasSubstr("nested deeper"));
  }
  EXPECT_NO_THROW(parse_json(std::string(200, '[') + std::string(200, ']'), "f.json"));
}

TEST(Yaml, aliases_anchors_and_second_documents_are_refused) {
  EXPECT_THAT(error_of([] { parse_yaml("a: &x [1]\nb: 2\n", "f.yaml"); }), StartsWith("f.yaml:1:4: anchors"));
  EXPECT_THAT(error_of([] { parse_yaml("a: *x\n", "f.yaml"); }), StartsWith("f.yaml:1:4: "));
  EXPECT_THAT(error_of([] { parse_yaml("a: 1\n---\nb: 2\n", "f.yaml"); }), HasSubstr("second document"));
  EXPECT_NO_THROW(parse_yaml("---\na: 1\n...\n", "f.yaml"));
}

TEST(Yaml, plain_scalars_follow_the_core_schema) {
  Node root = parse_yaml("[yes, true, ~, 1.5, +2, 1e3, .5, inf, nan, '7', 0x10, +-3, '']", "f.yaml");
  using enum Node::Kind;
  std::vector<Node::Kind> expected = {String, Bool,   Null,   Number, Number, Number, Number,
                                      String, String, String, String, String, String};
  ASSERT_EQ(root.items().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(root.items()[i].kind(), expected[i]) << i;
  EXPECT_EQ(root.items()[4].as_number(), 2);
}

TEST(Document, an_absent_key_and_a_null_are_both_missing) {
  Node root = parse_json("{\"a\": null, \"b\": 1}", "f.json");
  EXPECT_EQ(root.find("a"), nullptr);
  EXPECT_EQ(root.find("c"), nullptr);
  EXPECT_THAT(error_of([&] { root.at("a"); }), StartsWith("f.json:1:1: field 'a' is missing"));
}

TEST(Document, an_unknown_field_gets_a_suggestion) {
  Node root = parse_yaml("memry: 80 GB\n", "g.yaml");
  EXPECT_THAT(error_of([&] {
                root.allow_only({"memory", "clock"});
              }),
              AllOf(StartsWith("g.yaml:1:8: unknown field 'memry'"), HasSubstr("'memory'")));
}

TEST(Document, numbers_are_checked_against_their_range) {
  Node root = parse_json("[3, 2.5, 1e300, -1, 9223372036854775807, 1e-400]", "f.json");
  EXPECT_EQ(root.items()[0].as_integer(0, 10), 3);
  EXPECT_THAT(error_of([&] { root.items()[1].as_integer(0, 10); }),
              HasSubstr("expected a whole number, found 2.5"));
  EXPECT_THAT(error_of([&] { root.items()[2].as_integer(0, 10); }),
              HasSubstr("out of range; expected 0 to 10"));
  EXPECT_THAT(error_of([&] { root.items()[3].as_integer(0, 10); }), HasSubstr("-1 is out of range"));
  EXPECT_EQ(root.items()[4].as_integer(0, INT64_MAX), INT64_MAX);
  EXPECT_EQ(root.items()[5].as_number(), 0);
}

TEST(Document, the_extension_chooses_the_parser_and_compressed_files_are_unpacked) {
  TemporaryFolder folder("document");
  write_file(folder.file("a.json"), "{\"k\": 1}");
  write_file(folder.file("a.yaml"), "k: 1\n");
  EXPECT_EQ(read_document(folder.file("a.json")).at("k").as_integer(0, 9), 1);
  EXPECT_EQ(read_document(folder.file("a.yaml")).at("k").as_integer(0, 9), 1);
  EXPECT_THAT(error_of([&] { read_document(folder.file("none.yaml")); }),
              HasSubstr("none.yaml: cannot be read"));
}

}  // namespace
}  // namespace orrery
