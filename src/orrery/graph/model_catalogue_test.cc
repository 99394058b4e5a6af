#include "orrery/graph/model_catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"

namespace orrery::graph {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

std::string error_of(const std::string& name) {
  return orrery::error_of([&] { find_model(name); });
}

TEST(ModelCatalogue, every_shipped_model_reads_without_a_note) {
  std::vector<std::string> names = shipped_models();
  EXPECT_GE(names.size(), 90u);
  for (const std::string& name : names) {
    ModelConfig model = find_model(name);
    EXPECT_EQ(model.name, name);
    EXPECT_THAT(model.notes, IsEmpty()) << name;
  }
}

TEST(ModelCatalogue, every_alias_leads_to_a_shipped_model) {
  CsvTable aliases = read_csv(data_folder() + "/models/aliases.csv");
  for (size_t row = 0; row < aliases.rows(); ++row) {
    EXPECT_EQ(find_model(std::string(aliases.cell(row, 0))).name, aliases.cell(row, 1));
  }
  EXPECT_EQ(find_model("META-LLAMA/llama-3.1-8b-instruct").name, "llama-3.1-8b");
  EXPECT_THAT(aliases_of("llama-3.1-8b"), testing::Contains("meta-llama/llama-3.1-8b-instruct"));
}

TEST(ModelCatalogue, a_path_works_like_a_name) {
  EXPECT_EQ(find_model(data_folder() + "/models/gpt2.json").name, "gpt2");
}

TEST(ModelCatalogue, an_unknown_name_gets_the_nearest_and_the_other_way_in) {
  EXPECT_THAT(error_of("lama-3.1-8b"),
              AllOf(HasSubstr("did you mean 'llama-3.1-8b'?"), HasSubstr("a path to a config.json")));
  EXPECT_THAT(error_of("someone/Qwen3-8b"), HasSubstr("did you mean 'qwen3-8b'?"));
  EXPECT_THAT(error_of(""), HasSubstr("no model of this name"));
  EXPECT_THAT(error_of("../models/gpt2"), HasSubstr("no model of this name"));
  EXPECT_THAT(error_of("parameters"), HasSubstr("no model of this name"));
}

}  // namespace
}  // namespace orrery::graph
