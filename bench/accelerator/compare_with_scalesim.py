#!/usr/bin/env python3
"""Runs SCALE-Sim 3 and `orrery predict latency --array scalesim` on the same random layers and compares cycles.

    pip install scalesim==3.0.0 "numpy<2" "pandas<3"
    python bench/accelerator/compare_with_scalesim.py build/release/bin/orrery [--layers 30] [--seed 6]

Layers are matrix products (some with fewer rows than the array, some in batches of products with weights of their own)
and convolutions (depthwise, stride 2, grouped windows) without padding, each on an array and a dataflow of its own; the
three dataflows take turns. SCALE-Sim knows neither batches nor groups: a batch is as many layers of its topology, a
depthwise convolution a layer that it expands by itself (its name starts with DP). It reports the last cycle's index, one
less than the count. Exit status 1 when any layer differs.
"""

import argparse
import contextlib
import csv
import io
import pathlib
import random
import subprocess
import sys
import tempfile

DATAFLOWS = ("ws", "os", "is")


def random_layers(count, seed):
    """Dictionaries: kind, sizes, array, dataflow."""
    rng = random.Random(seed)
    layers = []
    kinds = ("gemm", "few_rows", "batch", "conv", "stride2", "depthwise")
    for i in range(count):
        kind = kinds[i // len(DATAFLOWS) % len(kinds)]
        layer = {"kind": kind, "dataflow": DATAFLOWS[i % len(DATAFLOWS)],
                 "rows": rng.choice((8, 16, 32, 64)), "columns": rng.choice((8, 16, 32, 64))}
        if kind in ("gemm", "few_rows", "batch"):
            layer["m"] = rng.randint(1, layer["rows"] - 1) if kind == "few_rows" else rng.randint(1, 200)
            layer["n"], layer["k"] = rng.randint(1, 200), rng.randint(1, 200)
            layer["batch"] = rng.randint(2, 6) if kind == "batch" else 1
        else:
            window = rng.choice((1, 3, 5, 7))
            stride = 2 if kind == "stride2" else 1
            # SCALE-Sim rounds the output up where the stride does not divide: give it what divides.
            layer.update(window=window, stride=stride, image=window + stride * rng.randint(4, 14),
                         channels=rng.randint(2, 24), filters=rng.randint(1, 48))
            if kind == "depthwise":
                layer["filters"] = 1
        layers.append(layer)
    return layers


def scalesim_cycles(layer, folder):
    from scalesim.scale_sim import scalesim
    config = folder / "array.cfg"
    config.write_text(
        "[general]\nrun_name = run\n\n[architecture_presets]\n"
        f"ArrayHeight: {layer['rows']}\nArrayWidth: {layer['columns']}\n"
        "IfmapSramSzkB: 64\nFilterSramSzkB: 64\nOfmapSramSzkB: 64\nIfmapOffset: 0\nFilterOffset: 10000000\n"
        f"OfmapOffset: 20000000\nDataflow: {layer['dataflow']}\nBandwidth: 100\nMemoryBanks: 1\n"
        "ReadRequestBuffer: 32\nWriteRequestBuffer: 32\n\n"
        "[layout]\nIfmapCustomLayout: False\nFilterCustomLayout: False\nIfmapSRAMBankBandwidth: 10\n"
        "IfmapSRAMBankNum: 10\nIfmapSRAMBankPort: 2\nFilterSRAMBankBandwidth: 10\nFilterSRAMBankNum: 10\n"
        "FilterSRAMBankPort: 2\n\n"
        "[sparsity]\nSparsitySupport: false\nSparseRep: ellpack_block\nOptimizedMapping: false\nBlockSize: 8\n"
        "RandomNumberGeneratorSeed: 40\n\n[run_presets]\nInterfaceBandwidth: CALC\nUseRamulatorTrace: False\n")
    topology, layout = folder / "layers.csv", folder / "layout.csv"
    gemm = "m" in layer
    if gemm:
        rows = [f"L{i},{layer['m']},{layer['n']},{layer['k']}," for i in range(layer["batch"])]
        topology.write_text("Layer,M,N,K,\n" + "\n".join(rows) + "\n")
    else:
        name = "DP" if layer["kind"] == "depthwise" else "L"
        topology.write_text(
            "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
            f"{name},{layer['image']},{layer['image']},{layer['window']},{layer['window']},{layer['channels']},"
            f"{layer['filters']},{layer['stride']},\n")
    count = layer["batch"] if gemm else layer["channels"] if layer["kind"] == "depthwise" else 1
    header = "Layer name," + ",".join(f"c{i}" for i in range(19)) + ",\n"
    layout.write_text(header + "".join(f"L{i}," + ",".join(["1"] * 19) + ",\n" for i in range(count)))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        simulator = scalesim(save_disk_space=True, verbose=False, config=str(config), topology=str(topology),
                             layout=str(layout), input_type_gemm=gemm)
        simulator.run_scale(top_path=str(folder / "results"))
    report = folder / "results" / "run" / "COMPUTE_REPORT.csv"
    with open(report, newline="") as file:
        rows = [{k.strip(): v for k, v in row.items() if k} for row in csv.DictReader(file)]
    column = "Total Cycles" if "Total Cycles" in rows[0] else "Compute Cycles"
    stalls = sum(float(row["Stall Cycles"]) for row in rows)
    assert stalls == 0, f"SCALE-Sim stalled for {stalls} cycles"
    return sum(int(float(row[column])) + 1 for row in rows)


def orrery_cycles(orrery, layer, folder):
    device = folder / "array.yaml"
    device.write_text(
        f"name: array\nmatrix_cores: 1\nrows: {layer['rows']}\ncolumns: {layer['columns']}\nvector_cores: 1\nlanes: 8\n"
        "global_buffer: 2 MiB\nclock: 1 GHz\nmemory: 1 GiB\nmemory_bandwidth: 100 GB/s\nsources: {bench: random}\n")
    kernels = folder / "kernels.csv"
    if "m" in layer:
        kernels.write_text(f"m,n,k,batch,dtype\n{layer['m']},{layer['n']},{layer['k']},{layer['batch']},bf16\n")
    else:
        depthwise = layer["kind"] == "depthwise"
        filters = layer["channels"] if depthwise else layer["filters"]
        kernels.write_text("batch,in_channels,out_channels,kernel_size,input_size,stride,padding,groups\n"
                           f"1,{layer['channels']},{filters},{layer['window']},{layer['image']},{layer['stride']},0,"
                           f"{layer['channels'] if depthwise else 1}\n")
    answer = subprocess.run([orrery, "predict", "latency", "--kernels", kernels, "--device", device, "--array", "scalesim",
                             "--dataflow", layer["dataflow"]], check=True, capture_output=True, text=True).stdout
    return int(next(csv.DictReader(io.StringIO(answer)))["cycles"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orrery")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    unequal = 0
    print(f"{'layer':10} {'dataflow':8} {'array':>7} {'SCALE-Sim':>12} {'Orrery':>12}")
    for layer in random_layers(options.layers, options.seed):
        with tempfile.TemporaryDirectory() as folder:
            theirs = scalesim_cycles(layer, pathlib.Path(folder))
            ours = orrery_cycles(options.orrery, layer, pathlib.Path(folder))
        unequal += theirs != ours
        print(f"{layer['kind']:10} {layer['dataflow']:8} {layer['rows']:>3}x{layer['columns']:<3} {theirs:12} {ours:12}"
              f"{'' if theirs == ours else '  DIFFERS'}")
    print(f"{options.layers - unequal} of {options.layers} equal")
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
