#!/usr/bin/env python3
"""Runs SCALE-Sim 3 on the files that `orrery plan accelerator --output FOLDER` exported, and compares cycles.

    pip install scalesim==3.0.0 "numpy<2" "pandas<3"
    orrery plan accelerator --workload bert-base --batch 1 --sequence 64 --output found
    python bench/accelerator/check_export.py found [--most 5e7]

Layers of more than --most multiplications are left out: SCALE-Sim takes minutes for those. Exit status 1 when any differs.
"""

import argparse
import contextlib
import csv
import io
import pathlib
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--most", type=float, default=5e7)
    options = parser.parse_args()
    from scalesim.scale_sim import scalesim
    with open(options.folder / "scalesim-cycles.csv", newline="", encoding="utf-8") as file:
        expected = {row["layer"]: row for row in csv.DictReader(file)}
    small = {name for name, row in expected.items() if int(row["m"]) * int(row["n"]) * int(row["k"]) <= options.most}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part in ("topology", "layout"):
            lines = (options.folder / f"scalesim-{part}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
            (folder / f"{part}.csv").write_text(lines[0] + "".join(line for line in lines[1:] if line.split(",")[0] in small))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            scalesim(save_disk_space=True, verbose=False, config=str(options.folder / "scalesim.cfg"), topology=str(folder / "topology.csv"),
                     layout=str(folder / "layout.csv"), input_type_gemm=True).run_scale(top_path=str(folder / "results"))
        with open(folder / "results" / "orrery" / "COMPUTE_REPORT.csv", newline="", encoding="utf-8") as file:
            rows = [{key.strip(): value for key, value in row.items() if key} for row in csv.DictReader(file)]
    column = "Total Cycles" if "Total Cycles" in rows[0] else "Compute Cycles"
    unequal = 0
    for name, row in zip((n for n in expected if n in small), rows):
        theirs, ours = int(float(row[column])), int(expected[name]["reported_cycles"])
        unequal += theirs != ours
        sizes = "x".join(expected[name][key] for key in "mnk")
        print(f"{name:6} {sizes:>18} {theirs:12} {ours:12}{'' if theirs == ours else '  DIFFERS'}")
    print(f"{len(rows) - unequal} of {len(rows)} layers equal, {len(expected) - len(rows)} left out")
    return 1 if unequal or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
