#!/usr/bin/env python3
"""Write small recordings in the layouts of SGLang's expert-distribution recorder (python/sglang/srt/eplb/expert_distribution.py,
Apache-2.0, read July 2026): what the readers' tests read. Values are made up; the layouts, types and names are the recorder's.

    python bench/experts/make_recordings.py src/orrery/trace/readers/testdata       # needs torch
"""
import pathlib, sys

import torch

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(7)
layers, logical, physical, ranks, top_k, recorded_k = 3, 4, 6, 2, 2, 8
# Layer 0 has no experts: its counts stay zero.
physical_to_logical = torch.tensor([[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 0, 3], [1, 1, 0, 2, 3, 2]])

torch.save(dict(rank=0, logical_count=torch.tensor([[[0] * 4, [5, 1, 0, 2], [2, 2, 2, 2]], [[0] * 4, [1, 7, 0, 0], [3, 3, 1, 1]],
                                                    [[0] * 4] * 3], dtype=torch.int32),
                average_utilization_rate_over_window=None), out / "stat.pt")
torch.save(dict(rank=0, logical_count=torch.tensor([[5, 1, 0, 2], [2, 2, 2, 2]]), average_utilization_rate_over_window=.75),
           out / "stat-one-step.pt")

for rank in range(ranks):
    passes, tokens = [], []
    for forward_pass in (11, 12):
        n = 3 + rank
        chosen = torch.full((layers, n, recorded_k), -1, dtype=torch.int32)
        for layer in (1, 2):
            for t in range(n):
                chosen[layer, t, :top_k] = torch.randperm(4)[:top_k].to(torch.int32)  # slots 0..3 hold distinct experts in layer 1
                if layer == 2:
                    chosen[layer, t, :top_k] = torch.tensor([0, 2]) if (t + rank) % 2 else torch.tensor([4, 5])
        count = torch.zeros(layers, physical, dtype=torch.int32)
        for layer in range(layers):
            for slot in chosen[layer].flatten().tolist():
                if slot >= 0:
                    count[layer, slot] += 1
        head = dict(forward_pass_id=forward_pass, rank=rank, gatherer_key="primary")
        passes.append(dict(**head, global_physical_count=count))
        tokens.append(dict(**head, input_ids=list(range(100, 100 + n)), positions=list(range(n)), extend_seq_lens=[n], forward_mode=1,
                           topk_ids_of_layer=chosen, misc_objects=[], global_physical_count=count))
    torch.save(dict(records=passes, last_physical_to_logical_map=physical_to_logical), out / f"per-pass-rank{rank}.pt")
    torch.save(dict(records=tokens, last_physical_to_logical_map=physical_to_logical), out / f"per-token-rank{rank}.pt")

# Prompts and answers: a pass of one prompt, a pass of two answers, and one that extends a prompt by two tokens beside two answers.
records = []
for forward_pass, (mode, lengths, n) in enumerate([(1, [3], 3), (2, None, 2), (3, [2, 1, 1], 4)]):
    chosen = torch.full((layers, n, recorded_k), -1, dtype=torch.int32)
    count = torch.zeros(layers, physical, dtype=torch.int32)
    for layer in (1, 2):
        for t in range(n):
            chosen[layer, t, :top_k] = torch.tensor([(t + mode) % 3, 3], dtype=torch.int32)
            for slot in chosen[layer, t, :top_k].tolist():
                count[layer, slot] += 1
    records.append(dict(forward_pass_id=forward_pass, rank=0, gatherer_key="primary", input_ids=list(range(n)), positions=list(range(n)),
                        extend_seq_lens=lengths, forward_mode=mode, topk_ids_of_layer=chosen, misc_objects=[], global_physical_count=count))
torch.save(dict(records=records, last_physical_to_logical_map=torch.tensor([[0, 1, 2, 3, 0, 1]] * 3)), out / "per-token-phases.pt")
