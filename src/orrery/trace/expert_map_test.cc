#include "orrery/trace/expert_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::trace {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const ExpertMap kMap{{{0, 1, 2, 3, 0, 1}, {3, 2, 1, 0, 3, 2}}, 2};  // 4 experts, 2 GPUs of 3 slots

TEST(ExpertMap, every_form_reads_back_what_was_written) {
  for (ExpertMapForm form : {ExpertMapForm::Sglang, ExpertMapForm::Vllm, ExpertMapForm::Ascend}) {
    ExpertMap back = parse_expert_map(write_expert_map(kMap, form), "m.json");
    EXPECT_EQ(back.slot_to_expert, kMap.slot_to_expert) << name(form);
    EXPECT_EQ(back.gpus, form == ExpertMapForm::Ascend ? 2 : 0);
    EXPECT_EQ(find_expert_map_form(name(form)), form);
  }
  EXPECT_FALSE(find_expert_map_form("tensorrt"));
}

TEST(ExpertMap, a_sglang_map_is_indexed_by_the_layers_of_the_model) {
  const int at[] = {1, 3};
  std::string text = write_expert_map(kMap, ExpertMapForm::Sglang, at, 5);
  ExpertMap all = parse_expert_map(text, "m.json");
  ASSERT_EQ(all.layers(), 5);
  EXPECT_EQ(all.slot_to_expert[0], (std::vector<int>{0, 1, 2, 3, 0, 1}));  // no experts there: the identity
  EXPECT_EQ(all.slot_to_expert[3], kMap.slot_to_expert[1]);
  EXPECT_EQ(parse_expert_map(text, "m.json", at).slot_to_expert, kMap.slot_to_expert);
  const int beyond[] = {1, 7};
  EXPECT_THAT(error_of([&] { parse_expert_map(text, "m.json", beyond); }), HasSubstr("layer 7 has experts"));
}

TEST(ExpertMap, a_flat_list_is_one_map_for_all_layers) {
  const int at[] = {0, 1, 2};
  EXPECT_EQ(parse_expert_map("[1, 0]", "m.json", at).slot_to_expert,
            (std::vector<std::vector<int>>{{1, 0}, {1, 0}, {1, 0}}));
}

TEST(ExpertMap, a_map_that_no_engine_could_load_is_refused) {
  auto refused = [](ExpertMap map, int experts) {
    return error_of([&] { check_expert_map(map, experts, "m.json"); });
  };
  EXPECT_EQ(refused(kMap, 4), "");
  EXPECT_THAT(refused(kMap, 5), HasSubstr("layer 0 places expert 4 nowhere"));
  EXPECT_THAT(refused(kMap, 3), HasSubstr("places expert 3; the model has 3"));
  EXPECT_THAT(refused({kMap.slot_to_expert, 4}, 4), HasSubstr("6 slots do not divide over 4 GPUs"));
  EXPECT_THAT(refused({{{0, 1}, {0}}, 0}, 2), HasSubstr("layer 1 has 1 slots"));
  EXPECT_THAT(refused({}, 2), StartsWith("m.json: the expert map is empty"));
}

TEST(ExpertMap, errors_name_file_line_and_column) {
  auto refused = [](const std::string& text) { return error_of([&] { parse_expert_map(text, "m.json"); }); };
  EXPECT_THAT(refused("{}"), StartsWith("m.json:1:1: expected an expert map"));
  EXPECT_THAT(refused("3"), StartsWith("m.json:1:1: expected an expert map"));
  EXPECT_THAT(refused("[]"), HasSubstr("empty"));
  EXPECT_THAT(refused("[[0, 1],\n [0]]"), StartsWith("m.json:2:2: 1 slots here, 2 in the first"));
  EXPECT_THAT(refused("[[0, -1]]"), StartsWith("m.json:1:6"));
  EXPECT_THAT(refused("{\"physical_to_logical_map\": [[]]}"), HasSubstr("found none"));
  EXPECT_THAT(
      refused(
          R"({"moe_layer_count": 2, "layer_list": [{"layer_id": 0, "device_count": 1, "device_list": []}]})"),
      HasSubstr("2 layers claimed"));
  EXPECT_THAT(
      refused(
          R"({"moe_layer_count": 1, "layer_list": [{"layer_id": 0, "device_count": 2, "device_list": []}]})"),
      HasSubstr("device_count is 2, device_list holds 0"));
}

}  // namespace
}  // namespace orrery::trace
