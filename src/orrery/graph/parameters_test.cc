#include "orrery/graph/parameters.h"

#include <gtest/gtest.h>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/graph/model_catalogue.h"

namespace orrery::graph {
namespace {

TEST(Parameters, equal_the_published_counts) {
  CsvTable published = read_csv(data_folder() + "/models/parameters.csv");
  int model = published.at("model"), counts = published.at("counts"), parameters = published.at("parameters");
  for (size_t row = 0; row < published.rows(); ++row) {
    ModelConfig config = find_model(std::string(published.cell(row, model)));
    double ours =
        published.cell(row, counts) == "files" ? published_elements(config) : parameter_count(config).total();
    EXPECT_EQ(ours, published.number(row, parameters)) << config.name;
  }
}

}  // namespace
}  // namespace orrery::graph
