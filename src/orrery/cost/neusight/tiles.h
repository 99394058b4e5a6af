// Which tile a library's kernel uses for an operator: the one that was recorded for the most similar row of
// the training table. Softmax and layer norm take a row a block and need no table.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/cost/neusight/law.h"

namespace orrery::cost {

class NeuSightTiles {
 public:
  struct Row {
    uint32_t device = 0;  // of the list given beside the rows
    NeuSightOperator op;
    NeuSightTile tile;
  };
  NeuSightTiles() = default;
  // Of rows with the same operator, sizes and device the first counts. Rows of softmax and layer norm are not
  // kept.
  NeuSightTiles(std::vector<NeuSightDevice> devices, const std::vector<Row>& rows);

  NeuSightTile find(const NeuSightOperator&, const NeuSightDevice&, NeuSightOptions::TileSearch) const;

  const std::vector<NeuSightDevice>& devices() const { return devices_; }
  std::string to_json() const;
  static NeuSightTiles from_json(const Node&);  // throws InputError

 private:
  // The rows of one operator: shapes in ascending order, and for each device the tile of each shape.
  struct Table {
    std::vector<NeuSightTile> tiles;  // the distinct ones
    std::vector<std::array<float, 4>> shapes;
    std::vector<std::vector<uint8_t>> tile_of;  // [device][shape], kNoTile where nothing was recorded
  };
  static constexpr uint8_t kNoTile = 255;
  std::vector<NeuSightDevice> devices_;
  std::array<Table, kNeuSightKinds> tables_;
};

}  // namespace orrery::cost
