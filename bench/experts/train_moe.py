#!/usr/bin/env python3
"""Train a small mixture-of-experts language model on the CPU and record its true routing.

The model sees two kinds of text in equal parts, as large models see many: English reference prose (manual pages) and source code
(Python's standard library), both as Debian packages install them. It then reads held-out text of each kind; which experts every
token chose at every layer is written as a routing file in Orrery's `tokens` form. The text itself is never written.

    python3 -m venv venv && venv/bin/pip install torch==2.8.0 tokenizers==0.23.3 numpy
    venv/bin/python bench/experts/train_moe.py --output examples

One thread and a seed, so that the same packages give the same files; 20 minutes on one core of a small machine.
"""
import argparse, ast, gzip, hashlib, io, json, math, pathlib, random, re, subprocess, sys, time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

PROSE_PACKAGES = ["git-man", "manpages", "manpages-dev", "openssl", "systemd", "iproute2", "binutils-common", "bash", "util-linux",
                  "coreutils", "dpkg-dev", "curl", "openssh-client", "procps", "e2fsprogs", "apt"]
CODE_PACKAGES = ["libpython3.11-stdlib", "libpython3.11-minimal", "python3.11", "python3.11-minimal"]


def package_files(packages, pattern):
    """Files of installed Debian packages whose path matches, in order of path; each file once."""
    paths = set()
    for package in packages:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
        if listed.returncode:
            print(f"note: Debian package {package} is not installed; its text is left out", file=sys.stderr)
        paths.update(p for p in listed.stdout.split("\n") if re.search(pattern, p))
    return [p for p in map(pathlib.Path, sorted(paths)) if p.is_file() and not p.is_symlink()]


def manual_text(path):
    """A manual page without its typesetting: requests dropped, their words kept, escapes undone."""
    lines = []
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("\n"):
        if line.startswith((".\\\"", "'\\\"", ".de", ".ie", ".el", ".if", ".nr", ".ds", ".tr", "..", ".TH", ".so")):
            continue
        if line[:1] in (".", "'"):
            line = re.sub(r"^[.']\s*\S+\s*", "", line)
        line = re.sub(r"\\f(\[[^]]*\]|\(..|.)", "", line)
        line = re.sub(r"\\s[-+]?\d|\\[&|^/,%cd]|\\m\[[^]]*\]", "", line)
        for escape, character in ((r"\-", "-"), (r"\e", "\\"), (r"\(aq", "'"), (r"\(cq", "'"), (r"\(oq", "'"), (r"\(dq", '"'),
                                  (r"\(lq", '"'), (r"\(rq", '"'), (r"\(bu", "*"), (r"\(co", "(c)"), (r"\(em", "--"), (r"\ ", " ")):
            line = line.replace(escape, character)
        if line.strip():
            lines.append(line)
    return "\n".join(lines) + "\n"


class Experts(nn.Module):
    """Token-choice routing: softmax over all experts, the top k kept and renormalized; no capacity, nothing dropped."""

    def __init__(self, width, hidden, experts, top_k):
        super().__init__()
        self.experts, self.top_k = experts, top_k
        self.router = nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, width, hidden) / math.sqrt(width))
        self.down = nn.Parameter(torch.randn(experts, hidden, width) / math.sqrt(hidden) / 4)

    def forward(self, x):
        share = self.router(x).softmax(-1)
        gate, chosen = share.topk(self.top_k, dim=-1)
        gate = gate / gate.sum(-1, keepdim=True)
        order = chosen.flatten().argsort(stable=True)
        token = order // self.top_k
        counts = torch.bincount(chosen.flatten(), minlength=self.experts)
        out, begin = torch.zeros_like(x), 0
        parts = []
        for expert, count in enumerate(counts.tolist()):
            rows = x[token[begin:begin + count]]
            parts.append(F.gelu(rows @ self.up[expert]) @ self.down[expert])
            begin += count
        out = out.index_add(0, token, torch.cat(parts) * gate.flatten()[order].unsqueeze(1))
        # Switch Transformer's balance loss: 1 when the load is even.
        balance = self.experts * (counts / counts.sum() * share.mean(0)).sum()
        return out, balance, chosen


class Block(nn.Module):
    def __init__(self, width, heads, hidden, experts, top_k):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.experts = Experts(width, hidden, experts, top_k)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y, balance, chosen = self.experts(self.norm2(x).reshape(-1, width))
        return x + y.view_as(x), balance, chosen.view(batch, length, -1)


class Model(nn.Module):
    def __init__(self, vocabulary, length, layers, width, heads, hidden, experts, top_k):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        nn.init.normal_(self.token.weight, std=.02)
        nn.init.normal_(self.position.weight, std=.02)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, experts, top_k) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def forward(self, ids):
        x = self.token(ids) + self.position.weight[:ids.shape[1]]
        balance, choices = 0, []
        for block in self.blocks:
            x, b, chosen = block(x)
            balance = balance + b / len(self.blocks)
            choices.append(chosen)
        return self.norm(x) @ self.token.weight.T, balance, torch.stack(choices)  # (layer, sequence, position, choice)


def write_routing(path, header, steps):
    """`steps`: one array (layer, sequence, position, choice) a forward pass. The order of rows keeps them together."""
    out = io.StringIO()
    for line in header:
        out.write(f"# {line}\n")
    layers, _, _, top_k = steps[0].shape
    out.write("\t".join(["problem", "token", "layer"] + [f"expert_{r + 1}" for r in range(top_k)]) + "\n")
    first = 0
    for chosen in steps:
        _, sequences, length, _ = chosen.shape
        for s in range(sequences):
            for t in range(length):
                for layer in range(layers):
                    out.write(f"{first + s}\t{t}\t{layer}\t" + "\t".join(map(str, chosen[layer, s, t])) + "\n")
        first += sequences
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(out.getvalue().encode())
    return first


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("examples"))
    parser.add_argument("--seconds", type=float, default=0, help="stop training early after this many seconds (0: never)")
    parser.add_argument("--training-steps", type=int, default=420)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--experts", type=int, default=32)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--recorded-steps", type=int, default=24, help="forward passes recorded of each kind of text")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    length, batch, vocabulary = 128, 16, 2048
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)

    read = {"prose": (package_files(PROSE_PACKAGES, r"/man/man[1-8]/.*\.gz$"), manual_text),
            "code": (package_files(CODE_PACKAGES, r"/python3\.11/.*\.py$"), lambda p: p.read_text("utf-8", "replace"))}
    texts, digests = {}, {}
    for kind, (paths, text_of) in read.items():
        texts[kind] = [text_of(p) for p in paths]
        digests[kind] = hashlib.sha256("".join(texts[kind]).encode()).hexdigest()[:16]
        random.Random(options.seed).shuffle(texts[kind])
        print(f"{kind}: {len(paths)} files, {sum(map(len, texts[kind])) / 1e6:.1f} M characters, sha256 {digests[kind]}…", flush=True)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    sample = [t[:20000] for kind in texts for t in texts[kind][20:220]]
    tokenizer.train_from_iterator(sample, trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, special_tokens=["<end>"],
                                                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    held, train = {}, {}
    for kind in texts:
        # Whole files are held out: none of their text is trained on. As many are read as training will see, and half as much again.
        held_out = (options.recorded_steps + 2) * 8 * length + 1
        enough = held_out + int(.75 * options.training_steps * batch * length)
        ids, total, held_files = [], 0, 0
        for text in texts[kind]:
            ids.append(np.array(tokenizer.encode(text[:60000]).ids + [0], dtype=np.int64))
            total += len(ids[-1])
            held_files = held_files or (len(ids) if total >= held_out else 0)
            if total >= enough:
                break
        held[kind], train[kind] = np.concatenate(ids[:held_files]), np.concatenate(ids[held_files:])
        print(f"{kind}: {len(train[kind]) / 1e6:.2f} M tokens to train on, {len(held[kind]) / 1e3:.0f} k held out", flush=True)

    model = Model(vocabulary, length, options.layers, options.width, 4, options.width // 2, options.experts, options.top_k)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters", flush=True)
    peak, warm = 3e-3, 60
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(.9, .95), weight_decay=.05)
    draw, began = np.random.default_rng(options.seed), time.time()
    for step in range(options.training_steps):
        spent = (time.time() - began) / options.seconds if options.seconds else 0
        done = max(step / options.training_steps, spent)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1, (step + 1) / warm) * (.1 + .9 * .5 * (1 + math.cos(math.pi * done)))
        rows = []
        for s in range(batch):
            source = train["prose" if s % 2 else "code"]
            at = draw.integers(0, len(source) - length - 1)
            rows.append(source[at:at + length + 1])
        ids = torch.from_numpy(np.stack(rows))
        logits, balance, _ = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        (loss + .01 * balance).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        if step % 25 == 0:
            print(f"step {step} loss {loss.item():.3f} balance {balance.item():.3f} {time.time() - began:.0f} s", flush=True)
    trained = step + 1 if done < 1 else step

    options.output.mkdir(parents=True, exist_ok=True)
    model.eval()
    for kind, name in (("prose", "moe-routing.tsv.gz"), ("code", "moe-routing-code.tsv.gz")):
        steps, losses = [], []
        with torch.no_grad():
            for step in range(options.recorded_steps):
                at = step * 8 * length
                ids = torch.from_numpy(held[kind][at:at + 8 * length + 1])
                logits, _, chosen = model(ids[:-1].view(8, length))
                losses.append(F.cross_entropy(logits.flatten(0, 1), ids[1:]).item())
                steps.append(chosen.numpy())
        words = "English manual pages" if kind == "prose" else "Python source code"
        header = [f"Routing of a small mixture-of-experts language model on held-out {words}.",
                  f"{options.layers} layers, {options.experts} experts, top-{options.top_k}, width {options.width}; trained {trained} steps of "
                  f"{batch * length} tokens on manual pages and Python sources, seed {options.seed}.",
                  f"Held-out loss {np.mean(losses):.1f} nats a token. 8 sequences of {length} tokens, in order, are one forward pass: 1,024 tokens a step. Made by bench/experts/train_moe.py."]
        sequences = write_routing(options.output / name, header, steps)
        size = (options.output / name).stat().st_size
        print(f"{name}: {sequences} sequences, {sequences * length} tokens, held-out loss {np.mean(losses):.3f}, {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
