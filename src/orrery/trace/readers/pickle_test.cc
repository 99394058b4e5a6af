#include "orrery/trace/readers/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::trace {
namespace {

using testing::HasSubstr;
using Kind = PickleValue::Kind;
using namespace std::literals;

constexpr std::string_view kAllowed[] = {"collections.OrderedDict", "torch.IntStorage"};

Pickle load(std::string_view bytes) {
  return Pickle(bytes, "x.pt: data.pkl", kAllowed);
}
std::string refusal(std::string_view bytes) {
  return error_of([&] { load(bytes); });
}

// pickle.dumps({'a': [1, -2, 2**40, 1.5, None, True], 'b': ('x', ())}, protocol) for protocols 0, 2 and 4.
constexpr std::string_view kSame[] = {
    "(dp0\nVa\np1\n(lp2\nI1\naI-2\naL1099511627776L\naF1.5\naNaI01\nasVb\np3\n(Vx\np4\n(ttp5\ns."sv,
    "\x80\x02}q\x00(X\x01\x00\x00\x00"
    "aq\x01]q\x02(K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00N\x88"
    "eX\x01\x00\x00\x00"
    "bq\x03X\x01\x00\x00\x00xq\x04)\x86q\x05u."sv,
    "\x80\x04\x95\x33\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
    "a\x94]\x94(K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00N\x88"
    "e\x8c\x01"
    "b\x94\x8c\x01x\x94)\x86\x94u."sv};

TEST(Pickle, every_protocol_gives_the_same_values) {
  for (std::string_view bytes : kSame) {
    Pickle pickle = load(bytes);
    const PickleValue* list = pickle.find(pickle.root(), "a");
    ASSERT_TRUE(list);
    const auto& items = pickle.items(*list);
    ASSERT_EQ(items.size(), 6u);
    EXPECT_EQ(items[0].integer, 1);
    EXPECT_EQ(items[1].integer, -2);
    EXPECT_EQ(items[2].integer, int64_t{1} << 40);
    EXPECT_EQ(items[3].real, 1.5);
    EXPECT_EQ(items[4].kind, Kind::None);
    EXPECT_EQ(items[5].kind, Kind::Bool);
    const PickleValue* tuple = pickle.find(pickle.root(), "b");
    ASSERT_TRUE(tuple);
    EXPECT_EQ(tuple->kind, Kind::Tuple);
    EXPECT_EQ(pickle.text(pickle.items(*tuple)[0]), "x");
    EXPECT_EQ(pickle.find(pickle.root(), "c"), nullptr);
  }
}

// Whatever would import, call or rebuild is refused by the name of what it asked for.
TEST(Pickle, a_hostile_pickle_is_refused_by_what_it_asked_for) {
  EXPECT_THAT(refusal("cos\nsystem\n(X\x02\x00\x00\x00lstR."sv), HasSubstr("asks for 'os.system'"));
  EXPECT_THAT(refusal("cos\nsystem\n(X\x02\x00\x00\x00lstR."sv), HasSubstr("nothing was run"));
  EXPECT_THAT(refusal("\x80\x04\x8c\x05posix\x8c\x06system\x93."sv), HasSubstr("asks for 'posix.system'"));
  EXPECT_THAT(refusal("cbuiltins\ngetattr\n."sv), HasSubstr("'builtins.getattr'"));
  EXPECT_THAT(refusal("cbuiltins\neval\n."sv), HasSubstr("'builtins.eval'"));
  EXPECT_THAT(refusal("(ios\nsystem\n."sv), HasSubstr("'os.system'"));                     // INST
  EXPECT_THAT(refusal("ccollections\nOrderedDict\n)\x81."sv), HasSubstr("an object of"));  // NEWOBJ
  EXPECT_THAT(refusal("(ccollections\nOrderedDict\no."sv), HasSubstr("an object of"));     // OBJ
  EXPECT_THAT(refusal("ctorch.IntStorage\nfrombuffer\n."sv), HasSubstr("'torch.IntStorage.frombuffer'"));
  EXPECT_THAT(refusal("ctorch\nIntStorage.x\n."sv), HasSubstr("'torch.IntStorage.x'"));
  EXPECT_THAT(refusal("}}b."sv), HasSubstr("BUILD"));
  EXPECT_THAT(refusal("\x82\x01."sv), HasSubstr("EXT1"));
  EXPECT_THAT(refusal("Pos\n."sv), HasSubstr("PERSID"));
  EXPECT_THAT(refusal("ctorch\nIntStorage\n)R)R."sv),
              HasSubstr("a call of"));  // a call's result is not called again
  EXPECT_THAT(refusal("c\x1b[31mos\nsystem\n."sv), Not(HasSubstr("\x1b")));  // nothing reaches the terminal
}

TEST(Pickle, damage_is_one_line_that_says_where) {
  EXPECT_THAT(refusal(""), HasSubstr("x.pt: data.pkl at byte 0: the pickle is cut short"));
  EXPECT_THAT(refusal("K"), HasSubstr("cut short"));
  EXPECT_THAT(refusal("X\xff\xff\xff\xff"sv), HasSubstr("cut short"));
  EXPECT_THAT(refusal("\x8e\xff\xff\xff\xff\xff\xff\xff\xff"sv), HasSubstr("cut short"));
  EXPECT_THAT(refusal("."), HasSubstr("empty stack"));
  EXPECT_THAT(refusal("t."), HasSubstr("never opened"));
  EXPECT_THAT(refusal("}(K\x01u."sv), HasSubstr("key without a value"));
  EXPECT_THAT(refusal("K\x01(K\x01K\x02u."sv), HasSubstr("not a map"));
  EXPECT_THAT(refusal("h\x05."sv), HasSubstr("never stored"));
  EXPECT_THAT(refusal("Nr\xff\xff\xff\x7f."sv), HasSubstr("memo entry 2147483647"));
  EXPECT_THAT(refusal("\x80\x09N."sv), HasSubstr("protocol 9"));
  EXPECT_THAT(refusal("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."sv), HasSubstr("9 bytes"));
  EXPECT_THAT(refusal("L99999999999999999999L\n."), HasSubstr("64 bits"));
  EXPECT_THAT(refusal("\x01"), HasSubstr("0x01"));
  EXPECT_THAT(refusal(std::string(20'000, '(')), HasSubstr("nested too deep"));
}

TEST(Pickle, a_list_that_holds_itself_costs_no_copies) {
  std::string bytes = "]q";
  bytes += '\0';
  for (int round = 0; round < 8; ++round) {
    bytes += "(";
    for (int i = 0; i < 100'000; ++i) bytes += "h\0"sv;
    bytes += "e";
  }
  Pickle pickle = load(bytes + ".");
  EXPECT_EQ(pickle.items(pickle.root()).size(), 800'000u);
  EXPECT_EQ(pickle.describe(pickle.root()), "a list of 800000");
}

TEST(Pickle, a_stack_that_only_grows_is_refused) {
  EXPECT_THAT(refusal(std::string(4'000'001, 'N')), HasSubstr("4 million values at a time"));
}

TEST(Pickle, an_ordered_map_is_a_map) {
  Pickle pickle = load("ccollections\nOrderedDict\n)RVk\nI5\ns."sv);
  ASSERT_TRUE(pickle.find(pickle.root(), "k"));
  EXPECT_EQ(pickle.find(pickle.root(), "k")->integer, 5);
}

}  // namespace
}  // namespace orrery::trace
