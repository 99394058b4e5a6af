"""Matrix FLOP of the shipped models: Orrery's graphs beside PyTorch's own counter (torch.utils.flop_counter), which runs each
model of the transformers library from the same configuration on the meta device (shapes only, no weights), eager attention,
forward alone and forward with backward.

    pip install torch transformers
    cmake --preset release -DORRERY_BENCHMARKS=ON && ninja -C build/release count_flops
    python bench/flops/compare_with_torch.py [MODEL...]

Prints one row a model and exits with 1 when a difference is not zero. Left out of the library's count: tables of rotary
positions, which it forms anew in each pass as an outer product (module rotary_emb).
"""

import csv
import json
import pathlib
import subprocess
import sys

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCH, SEQUENCE, OUTPUT = 2, 64, 48
DEFAULT = """llama-3.1-8b llama-2-7b llama-3.2-1b mistral-7b qwen2.5-0.5b qwen2.5-7b qwen3-0.6b qwen3-8b gemma-2b gemma-2-2b gemma-3-1b
phi-3-mini gpt2 gpt2-xl gpt3-xl gpt-neo-1.3b gpt-neox-20b gpt-j-6b opt-125m opt-1.3b bloom-7b1 falcon-7b falcon-40b bert-base bert-large
roberta-base distilbert-base t5-small t5-large vit-base vit-large clip-vit-b-32 clip-vit-l-14 mixtral-8x7b qwen1.5-moe-a2.7b qwen3-30b-a3b
deepseek-v2-lite gpt-oss-20b""".split()


def inputs_of(config):
    kind = config.model_type
    ids = torch.zeros(BATCH, SEQUENCE, dtype=torch.long, device="meta")
    if kind == "vit":
        return {"pixel_values": torch.zeros(BATCH, config.num_channels, config.image_size, config.image_size, device="meta")}
    if kind == "clip":
        size = config.vision_config.image_size
        ids = torch.zeros(BATCH, min(SEQUENCE, config.text_config.max_position_embeddings), dtype=torch.long, device="meta")
        return {"input_ids": ids, "pixel_values": torch.zeros(BATCH, 3, size, size, device="meta")}
    if kind in ("t5", "mt5"):
        return {"input_ids": ids, "decoder_input_ids": torch.zeros(BATCH, OUTPUT, dtype=torch.long, device="meta"), "use_cache": False}
    if kind in ("bert", "roberta", "distilbert"):
        return {"input_ids": ids}
    if kind == "opt":
        return {"input_ids": ids, "use_cache": False}
    if kind == "bloom":
        return {"input_ids": ids, "use_cache": False, "attention_mask": torch.ones(BATCH, SEQUENCE, dtype=torch.long, device="meta")}
    # A mask and positions that are given spare the library from looking into tensors that hold no numbers.
    mask = torch.zeros(BATCH, 1, SEQUENCE, SEQUENCE, dtype=torch.bfloat16, device="meta")
    return {"input_ids": ids, "use_cache": False, "attention_mask": mask}


def results_of(output):
    """What a loss would be formed of."""
    names = ("logits", "prediction_logits", "seq_relationship_logits", "logits_per_image", "pooler_output", "last_hidden_state")
    found = [getattr(output, name) for name in names if getattr(output, name, None) is not None]
    return found[:2] if hasattr(output, "prediction_logits") else found[:1]


def counted(counter):
    total = counter.get_total_flops()
    tables = sum(sum(ops.values()) for module, ops in counter.get_flop_counts().items() if module.endswith("rotary_emb"))
    return total - tables


def library_flops(path):
    values = json.loads(path.read_text())
    values.pop("quantization_config", None)
    config = transformers.AutoConfig.for_model(**values)
    config._attn_implementation = "eager"
    config._experts_implementation = "batched_mm"  # the counter knows products and batches of them, not grouped ones
    architecture = getattr(transformers, values["architectures"][0])
    with torch.device("meta"):
        model = architecture._from_config(config, attn_implementation="eager", dtype=torch.bfloat16)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    inputs = inputs_of(config)
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    with torch.no_grad(), FlopCounterMode(display=False) as forward:
        model.eval()(**inputs)
    with FlopCounterMode(display=False) as both:
        results = results_of(model.eval()(**inputs))
        sum(result.float().sum() for result in results).backward()
    return counted(forward), counted(both)


def main():
    program = ROOT / "build" / "release" / "bin" / "count_flops"
    names = sys.argv[1:] or DEFAULT
    command = [str(program), str(BATCH), str(SEQUENCE), str(OUTPUT), *names]
    rows = list(csv.DictReader(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()))
    differing = 0
    print(f"{'model':16} {'forward, ours':>20} {'torch':>20} {'diff.':>8}   {'with backward, ours':>20} {'torch':>20} {'diff.':>8}")
    for row in rows:
        forward, both = int(row["forward"]), int(row["train"])
        try:
            their_forward, their_both = library_flops(ROOT / "data" / "models" / f"{row['model']}.json")
        except Exception as error:  # a model that the library cannot run on the meta device
            print(f"{row['model']:16} not counted by the library: {str(error).splitlines()[0][:100]}", flush=True)
            continue
        differing += forward != their_forward or both != their_both
        print(f"{row['model']:16} {forward:20,} {their_forward:20,} {forward - their_forward:8,}   "
              f"{both:20,} {their_both:20,} {both - their_both:8,}", flush=True)
    print(f"{differing} of {len(rows)} differ (torch {torch.__version__}, transformers {transformers.__version__})")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
