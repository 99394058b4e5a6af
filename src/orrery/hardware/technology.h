// What silicon costs: areas of processing elements and memories, energies of accesses. Tables are facts in
// data/technologies, one a file, each with its source.
//
// The area law is exact for the tables' sources (Accelergy and CACTI at 22 nm, 29,360 designs to 6e-8 um2):
// memories by capacity, processing elements linear in operand bits and register bytes. Capacities between the
// table's are interpolated on logarithms of both (leaving a row out errs up to 11 % for private buffers, 4 %
// for the global one); beyond its ends the last slope goes on. Other nodes scale logic with the square of the
// node and memories with its power 1.6.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/base/units.h"

namespace orrery::hardware {

// Area of a memory by its capacity; points ascend.
class CapacityTable {
 public:
  struct Point {
    Bytes capacity;
    SquareMetres area;
  };
  CapacityTable() = default;
  explicit CapacityTable(std::vector<Point> points) : points_(std::move(points)) {}

  SquareMetres area(Bytes capacity) const;
  bool holds(Bytes capacity) const;  // a row of the table: not interpolated
  const std::vector<Point>& points() const { return points_; }

 private:
  std::vector<Point> points_;
};

struct AreaTable {
  struct Element {
    int bits;
    Bytes registers;
    SquareMetres area;
  };
  std::string name;
  double process_nm = 22;
  int operand_bits = 16;  // of the memories
  SquareMetres per_operand_bit, per_register_byte;
  std::vector<Element> exact;  // elements that the source rounds differently from the line
  CapacityTable buffer, global_buffer;
  double logic_factor = 1, memory_factor = 1;  // to another node
  std::vector<std::string> notes;

  SquareMetres element(int bits, Bytes registers) const;
};

// Energy of one access to a word; per word of `word_bits`, others in proportion.
struct EnergyTable {
  std::string name;
  double process_nm = 22;
  int word_bits = 16;
  Joules multiply_accumulate, registers, buffer, dram;
  double register_accesses = 3;  // of one multiply-accumulate
  Joules global_at_reference;    // at `reference`
  Bytes reference;               // 0: the same at every capacity
  double leakage = 0;            // W per square metre

  Joules global_buffer(Bytes capacity) const;  // grows with the square root of the capacity
};

AreaTable read_area_table(const Node& root, const std::string& name);
EnergyTable read_energy_table(const Node& root, const std::string& name);
// Shipped tables by name, files by path (as Catalogue tells them apart). Throws InputError, naming the known
// ones.
AreaTable area_table(const std::string& name_or_path);
EnergyTable energy_table(const std::string& name_or_path);

// The table scaled to another node, with a note that says so, and a warning below 7 nm where scaling has
// stalled.
AreaTable at_process(AreaTable table, double nanometres);

}  // namespace orrery::hardware
