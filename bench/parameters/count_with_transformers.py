"""Parameter counts of the shipped models: ours beside those of the transformers library, which builds each model from the
same configuration on torch's meta device (shapes only, no weights).

    pip install torch transformers
    cmake --preset release -DORRERY_BENCHMARKS=ON && ninja -C build/release count_parameters
    python bench/parameters/count_with_transformers.py [MODEL...]

Prints one row a model and exits with 1 when a difference is not zero. DeepSeek-V3's multi-token-prediction layers are left out
of the comparison: the library does not build them (it does count the routers' correction bias, a buffer).
"""

import csv
import json
import pathlib
import subprocess
import sys

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]


def library_count(path):
    """All parameters, shared ones once, and the routing biases that the library keeps as buffers."""
    values = json.loads(path.read_text())
    values.pop("quantization_config", None)
    if values["model_type"] == "kimi_k2":  # DeepSeek-V3's form under a name of its own
        values["model_type"] = "deepseek_v3"
    config = transformers.AutoConfig.for_model(**values)
    model_class = getattr(transformers, values["architectures"][0])
    with torch.device("meta"):
        model = model_class(config)
    model.tie_weights()
    total = sum(parameter.numel() for parameter in model.parameters())
    return total + sum(b.numel() for name, b in model.named_buffers() if name.endswith("e_score_correction_bias"))


def main():
    program = ROOT / "build" / "release" / "bin" / "count_parameters"
    rows = list(csv.DictReader(subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()))
    chosen = set(sys.argv[1:])
    differing = 0
    print(f"{'model':20} {'orrery':>16} {'transformers':>16} {'difference':>10}")
    for row in rows:
        if chosen and row["model"] not in chosen:
            continue
        ours = int(row["parameters"]) - int(row["next_token"])
        theirs = library_count(ROOT / "data" / "models" / f"{row['model']}.json")
        differing += ours != theirs
        print(f"{row['model']:20} {ours:16,} {theirs:16,} {ours - theirs:10,}", flush=True)
    print(f"{differing} of {len(chosen) or len(rows)} differ (torch {torch.__version__}, transformers {transformers.__version__})")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
