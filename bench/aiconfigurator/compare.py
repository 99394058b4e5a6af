#!/usr/bin/env python3
"""Orrery beside aiconfigurator on the same measured kernels.

aiconfigurator (PyPI, Apache-2.0, NVIDIA) answers from tables of measured kernels. The rows of the measured data come from
an earlier edition of the same tables, so on a GPU that it has it looks up what it is asked for; the question that matters
for a GPU that nobody measured is what remains when that GPU's tables are taken away.

    pip install aiconfigurator
    orrery validate latency --only gemm,fp8,attention --output build/validation
    bench/aiconfigurator/compare.py --data $ORRERY_DATA --orrery build/release/bin/orrery --validation build/validation/validation.json

Prints a Markdown table. Peer: GPU in = mode HYBRID with its tables; GPU taken away = the first of HYBRID, EMPIRICAL and SOL
that answers from a copy of its systems folder without that GPU's tables. Ours: GPU in = the shipped weights; GPU taken
away = weights fitted without that GPU's rows (mean and median over all rows, from validation.json). Seconds: pricing alone for
the peer (tables loaded); the whole command for ours, reading and writing included.
"""
import argparse
import collections
import csv
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow

logging.disable(logging.CRITICAL)
from aiconfigurator_core.sdk import common, operations, perf_database  # noqa: E402
from aiconfigurator_core.sdk.engine import EngineHandle, build_ops_json  # noqa: E402

# GPU of the measured rows: the peer's system and the newest edition of its vLLM tables for it.
SYSTEMS = {
    "A100-SXM4-80GB": ("a100_sxm", "0.14.0"),
    "H100-SXM5-80GB": ("h100_sxm", "0.24.0"),
    "L40S": ("l40s", "0.24.0"),
}
MODES = ("HYBRID", "EMPIRICAL", "SOL")
WIDEST_HEAD = 256  # wider ones run another kernel, and stand in no error of ours
BF16 = common.KVCacheQuantMode.bfloat16


def read_rows(path):
    with pyarrow.input_stream(path, compression="zstd") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")))


def classes(data, every):
    """{(class, gpu): rows}: every `every`-th row of each, in the file's order."""
    found = collections.defaultdict(list)
    for row in read_rows(os.path.join(data, "neusight", "tensorcore_gemm.csv.zst")):
        if row["dtype"] in ("bfloat16", "fp8"):
            found["bf16 GEMM" if row["dtype"] == "bfloat16" else "fp8 GEMM", row["gpu"]].append(row)
    for row in read_rows(os.path.join(data, "neusight", "attention.csv.zst")):
        if int(row["head_dim"]) > WIDEST_HEAD:
            continue
        found["prefill attention" if row["phase"] == "context" else "decode attention", row["gpu"]].append(row)
    return {key: rows[::every] for key, rows in found.items() if key[1] in SYSTEMS}


def question(kind, row):
    """What the peer is asked: (arguments of one evaluation, the operation in it)."""
    if kind.endswith("GEMM"):
        quant = common.GEMMQuantMode.bfloat16 if kind == "bf16 GEMM" else common.GEMMQuantMode.fp8
        n, k = int(row["n"]), int(row["k"])
        return (True, 1, 1, int(row["m"])), (n, k), lambda name: operations.GEMM(name, 1, n, k, quant)
    heads, kv_heads, head = (int(row[c]) for c in ("num_heads", "num_key_value_heads", "head_dim"))
    if kind == "prefill attention":
        make = lambda name: operations.ContextAttention(  # noqa: E731
            name, 1, heads, kv_heads, BF16, common.FMHAQuantMode.bfloat16, head_size=head)
        return (True, int(row["batch_size"]), int(row["input_length"]), None), (heads, kv_heads, head), make
    make = lambda name: operations.GenerationAttention(name, 1, heads, kv_heads, BF16, head_size=head)  # noqa: E731
    return (False, int(row["batch_size"]), int(row["step"]) + int(row["input_length"]), None), (heads, kv_heads, head), make


def open_peer(gpu, root, mode):
    system, version = SYSTEMS[gpu]
    database = perf_database.get_database(system, "vllm", version, systems_paths=[root], database_mode=mode,
                                          allow_missing_data=True)
    database.set_default_database_mode(common.DatabaseMode[mode])
    return EngineHandle.for_database(database, systems_path=root)


def ask_peer(handle, kind, rows):
    """(predicted ms with nan where it has no answer, seconds)."""
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    make = {}
    for index, row in enumerate(rows):
        shape, inner, maker = question(kind, row)
        groups[shape][inner].append(index)
        make[inner] = maker
    names = {inner: "/".join(map(str, inner)) for inner in make}
    operators = {inner: maker(names[inner]) for inner, maker in make.items()}
    predicted = np.full(len(rows), np.nan)
    spent = 0.0
    for (is_context, batch, length, tokens), inners in groups.items():
        arguments = dict(is_context=is_context, batch_size=batch, s=length, x=tokens)
        chosen = list(inners)
        queries = [build_ops_json([operators[inner] for inner in chosen])]
        started = time.perf_counter()
        try:
            answers = handle.evaluate_ops_json(queries[0], **arguments)
        except Exception:  # one shape without an answer fails the list: ask for each alone
            answers = []
            for inner in chosen:
                try:
                    answers += handle.evaluate_ops_json(build_ops_json([operators[inner]]), **arguments)
                except Exception as error:
                    ask_peer.last_error = str(error)
        spent += time.perf_counter() - started
        by_name = {name: milliseconds for name, milliseconds, _, _ in answers}
        for inner in chosen:
            for index in inners[inner]:
                predicted[index] = by_name.get(names[inner], np.nan)
    return predicted, spent


ask_peer.last_error = ""


def ask_orrery(program, rows):
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = os.path.join(folder, "rows.csv"), os.path.join(folder, "priced.csv")
        with open(asked, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows({**row, "latency_ms": ""} for row in rows)
        started = time.perf_counter()
        subprocess.run([program, "predict", "latency", "--kernels", asked, "--output", answered], check=True)
        spent = time.perf_counter() - started
        with open(answered, encoding="utf-8") as file:
            return np.array([float(row["latency_ms"]) for row in csv.DictReader(file)]), spent


def errors(predicted, measured):
    error = np.abs(predicted / measured - 1)
    return error[~np.isnan(error)]


def text(error):
    return f"{100 * np.mean(error):.1f} / {100 * np.median(error):.1f}" if len(error) else "no answer"


def without(root, system, folder):
    """A systems folder as the peer's, in which nothing measured on `system` is left."""
    os.makedirs(os.path.join(folder, "data"))
    for name in os.listdir(root):
        if name != "data":
            os.symlink(os.path.join(root, name), os.path.join(folder, name))
    for name in os.listdir(os.path.join(root, "data")):
        if name != system:
            os.symlink(os.path.join(root, "data", name), os.path.join(folder, "data", name))
    return folder


def left_out(validation):
    """{(class, gpu in lower case): (mean, median)} of ours, GPU left out of the fit."""
    with open(validation, encoding="utf-8") as file:
        series = json.load(file)["series"]
    return {(s["what"], s["device"].lower()): (s["mean_error"], s["median_error"]) for s in series
            if s["held_out"] == "GPU left out"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ORRERY_DATA"), help="folder of the measured data [$ORRERY_DATA]")
    parser.add_argument("--orrery", default="build/release/bin/orrery", help="the program")
    parser.add_argument("--validation", help="validation.json of `orrery validate latency --output FOLDER`")
    parser.add_argument("--every", type=int, default=1, help="take every N-th row of each class [1]")
    options = parser.parse_args()
    if not options.data:
        parser.error("set ORRERY_DATA to the folder of the measured data, or give --data")
    if options.every > 1 and options.validation:
        parser.error("--validation holds errors over all rows: leave --every at 1")
    ours_left_out = left_out(options.validation) if options.validation else {}
    root = os.path.join(os.path.dirname(os.path.dirname(perf_database.__file__)), "systems")

    print("| kernels | GPU | rows | peer, GPU in | ours, GPU in | peer, GPU taken away | ours, GPU taken away | seconds peer | seconds ours |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (kind, gpu), rows in classes(options.data, options.every).items():
        measured = np.array([float(row["latency_ms"]) for row in rows])
        known, peer_seconds = ask_peer(open_peer(gpu, root, "HYBRID"), kind, rows)
        with tempfile.TemporaryDirectory() as folder:
            copy = without(root, SYSTEMS[gpu][0], os.path.join(folder, "systems"))
            for mode in MODES:
                try:
                    unknown, _ = ask_peer(open_peer(gpu, copy, mode), kind, rows)
                except Exception:  # this mode cannot load without the tables
                    continue
                if not np.all(np.isnan(unknown)):
                    break
        ours, our_seconds = ask_orrery(options.orrery, rows)
        mean_median = ours_left_out.get((kind, gpu.lower()))
        away = f"{100 * mean_median[0]:.1f} / {100 * mean_median[1]:.1f}" if mean_median else "–"
        answered = errors(known, measured)
        note = "" if len(answered) == len(rows) else f" ({len(answered):,} rows answered)"
        print(f"| {kind} | {gpu} | {len(rows):,} | {text(answered)}{note} | {text(errors(ours, measured))} | "
              f"{text(errors(unknown, measured))} ({mode}) | {away} | {peer_seconds:.1f} | {our_seconds:.1f} |", flush=True)
    print("\nMean / median error in %. " + f"aiconfigurator {version()}.")
    return 0


def version():
    from importlib import metadata
    return metadata.version("aiconfigurator")


if __name__ == "__main__":
    sys.exit(main())
