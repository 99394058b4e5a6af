#include <fmt/format.h>

#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/validate/wham_parts.h"

namespace orrery::validate {
namespace {

constexpr double kSquareMicrometres = 1e12;

void accelergy(WhamWork& work) {
  const CsvTable rows = read_csv(work.request.data_folder + "/wham/accelergy-areas.csv.gz");
  const hardware::AreaTable table = hardware::area_table("cacti22-w16");
  double worst = 0, worst_relative = 0;
  for (size_t row = 0; row < rows.rows(); ++row) {
    auto of = [&](const char* column) {
      return static_cast<int>(rows.integer(row, rows.at(column), 1, 1 << 20));
    };
    hardware::Accelerator chip;
    chip.matrix_cores = of("num_tc");
    chip.columns = of("tc_width");
    chip.rows = of("tc_depth");
    chip.vector_cores = of("num_vc");
    chip.lanes = of("vc_width");
    chip.global_buffer = Bytes(of("glb_MiB") * 1048576.0);
    const double theirs = rows.number(row, rows.at("area_um2"));
    const double apart = std::abs(hardware::core_area(chip, table).value() * kSquareMicrometres - theirs);
    worst = std::max(worst, apart);
    worst_relative = std::max(worst_relative, apart / theirs);
  }
  constexpr double kAsked = 1e-3;
  work.ask("2: Accelergy's areas, largest difference", "at most 1e-3 um2",
           fmt::format("{:.1e} um2 over {} designs", worst, rows.rows()), worst <= kAsked);
  report::Table out;
  out.title = "Accelergy and CACTI at 22 nm: the area law";
  out.columns = {{"designs", ""}, {"largest difference", "um2"}, {"relative", ""}};
  out.rows = {{report::number(static_cast<double>(rows.rows()), 0), report::number(worst),
               report::number(worst_relative)}};
  work.out.tables.push_back(std::move(out));
}

void silicon(WhamWork& work) {
  // TPUv1 (Jouppi et al., ISCA 2017): the matrix unit takes 24 % of a die of at most 331 mm2 at 28 nm.
  constexpr double kDie = 331e-6, kShare = .24, kMultipliers = 65536, kNode = 28, kOurs = 22, kRegisters = 32;
  const double silicon =
      kDie * kShare / kMultipliers * (kOurs / kNode) * (kOurs / kNode) * kSquareMicrometres;
  const hardware::AreaTable table = hardware::area_table("cacti22-w16");
  report::Table out;
  out.title = "TPUv1's multiplier: silicon scaled to 22 nm beside the law's element";
  out.columns = {{"element", ""}, {"area", "um2"}, {"over silicon", ""}};
  out.rows = {{"TPUv1, 8 bits, silicon", report::number(silicon, 0), report::number(1, 2)}};
  for (int bits : {8, 16}) {
    const double area = table.element(bits, Bytes(kRegisters)).value() * kSquareMicrometres;
    out.rows.push_back(
        {fmt::format("the law, {} bits", bits), report::number(area, 0), report::number(area / silicon, 2)});
  }
  out.notes = {"Equal only when our 16 bits stand beside its 8: at equal width the law is half of silicon."};
  work.out.tables.push_back(std::move(out));
  const double sixteen = table.element(16, Bytes(kRegisters)).value() * kSquareMicrometres;
  work.ask(
      "12: TPUv1's multiplier, 16 bits beside its 8", "within 10 %",
      fmt::format("{:+.1f} % (8 bits {:+.0f} %)", 100 * (sixteen / silicon - 1),
                  100 * (table.element(8, Bytes(kRegisters)).value() * kSquareMicrometres / silicon - 1)),
      std::abs(sixteen / silicon - 1) <= .1);
}

}  // namespace

void validate_wham_area(WhamWork& work) {
  accelergy(work);
  silicon(work);
}

}  // namespace orrery::validate
