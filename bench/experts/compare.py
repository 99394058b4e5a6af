#!/usr/bin/env python3
"""Expert placements side by side: experts in order, random, LPT, EPLB, two stages, MoETuner's two integer programs under HiGHS, and ours.

    python3 -m venv venv && venv/bin/pip install torch==2.8.0 numpy scipy highspy
    venv/bin/pip download --no-deps -d wheels sglang
    venv/bin/python bench/experts/compare.py --orrery build/release/bin/orrery --wheels wheels --time 60 --document docs/moetuner.md

All planners see the first four fifths of each recording's tokens; all maps are judged by one replay, written here apart from Orrery's, of
the last fifth. EPLB is the published algorithm as SGLang's wheel carries it (a copy of deepseek-ai/EPLB). The programs of the paper run
as they stand: the first with half of the time, evenly over the layers, the second with the other half; where HiGHS has no map by then, the
table says so. `--exact` holds the planner's optimum of four layers against the joint integer program instead.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import zipfile

import highspy
import numpy as np
from scipy.optimize import linear_sum_assignment

HELD_OUT = .2
STEP = 256  # tokens
BEGIN, END = "<!-- peers -->", "<!-- peers end -->"


def read_tokens(path):
    """(sequence [T], choice [T, L, k], experts)"""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt") as file:
        lines = (line for line in file if not line.startswith("#"))
        head = next(lines).rstrip("\n").split("\t")
        columns = [i for i, name in enumerate(head) if name.startswith("expert_")]
        rows = [line.rstrip("\n").split("\t") for line in lines]
    problems, token_of, last = {}, {}, []
    layers = sorted({int(row[2]) for row in rows})
    at = {layer: i for i, layer in enumerate(layers)}
    for row in rows:
        key = (row[0], row[1])
        if key not in token_of:
            token_of[key] = len(last)
            last.append((problems.setdefault(row[0], len(problems)), np.full((len(layers), len(columns)), -1)))
        last[token_of[key]][1][at[int(row[2])]] = [int(row[c]) for c in columns]
    whole = [(s, c) for s, c in last if (c >= 0).all()]
    return np.array([s for s, _ in whole]), np.array([c for _, c in whole])


class Routing:
    def __init__(self, sequence, choice, experts):
        self.sequence, self.choice, self.experts = sequence, choice, experts
        self.tokens, self.layers, self.k = choice.shape
        self.load = np.array([np.bincount(choice[:, l].ravel(), minlength=experts) for l in range(self.layers)], float)

    def transitions(self, l):
        """All pairs at weight 1/k, so that row sums are loads."""
        w = np.zeros((self.experts, self.experts))
        for a in range(self.k):
            for b in range(self.k):
                np.add.at(w, (self.choice[:, l, a], self.choice[:, l + 1, b]), 1 / self.k)
        return w


# --- maps: rank_of[layer][expert]

def contiguous(routing, ranks):
    return np.tile(np.arange(routing.experts) // (routing.experts // ranks), (routing.layers, 1))


def random_map(routing, ranks, rng):
    return np.array([rng.permutation(contiguous(routing, ranks)[0]) for _ in range(routing.layers)])


def lpt(routing, ranks):
    result = np.zeros((routing.layers, routing.experts), int)
    for l in range(routing.layers):
        weight, room = np.zeros(ranks), np.full(ranks, routing.experts // ranks)
        for e in np.argsort(-routing.load[l], kind="stable"):
            g = min((g for g in range(ranks) if room[g]), key=lambda g: weight[g])
            result[l, e] = g
            weight[g] += routing.load[l, e]
            room[g] -= 1
    return result


def match_clusters(routing, clusters, ranks):
    """Clusters renamed layer by layer so that the most transitions stay: the optimum of the second stage for alike links."""
    result = clusters.copy()
    for l in range(1, routing.layers):
        flow = cluster_flow(routing.transitions(l - 1), result[l - 1], clusters[l], ranks)
        before, after = linear_sum_assignment(-flow)
        name = np.zeros(ranks, int)
        name[after] = before
        result[l] = name[clusters[l]]
    return result


def cluster_flow(w, before, after, ranks):
    flow = np.zeros((ranks, ranks))
    np.add.at(flow, (before[:, None], after[None, :]), w)
    return flow


def eplb(routing, ranks, wheels):
    found = sorted(pathlib.Path(wheels).glob("sglang-*.whl"))
    if not found:
        return None
    import torch
    with zipfile.ZipFile(found[-1]) as wheel:
        module = types.ModuleType("eplb")
        exec(wheel.read("sglang/srt/eplb/eplb_algorithms/deepseek.py").decode(), module.__dict__)  # noqa: S102 - the published code itself
    # The wheel's signature adds whether groups are kept on nodes.
    slots, *_ = module.rebalance_experts(torch.tensor(routing.load), routing.experts, 1, 1, ranks, False)
    result = np.zeros((routing.layers, routing.experts), int)
    per_rank = routing.experts // ranks
    for l in range(routing.layers):
        result[l, slots[l].numpy()] = np.arange(routing.experts) // per_rank
    return result


def ours(orrery, path, ranks, dispatch, seconds, *more):
    command = [orrery, "plan", "experts", str(path), "--gpus", str(ranks), "--dispatch", dispatch, "--time", str(seconds), "--threads", "1", "--json", *more]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    result = np.zeros((len(document["map"]), document["experts"]), int)
    for l, slots in enumerate(document["map"]):
        result[l, slots] = np.arange(len(slots)) // (len(slots) // ranks)
    return result, document


# --- the paper's integer programs

class Program:
    """min c x, rows lower <= a x <= upper, for HiGHS."""

    def __init__(self):
        self.cost, self.low, self.high, self.whole = [], [], [], []
        self.row_low, self.row_high, self.start, self.index, self.value = [], [], [0], [], []

    def column(self, low, high, cost=0., whole=False):
        self.cost.append(cost), self.low.append(low), self.high.append(high), self.whole.append(whole)
        return len(self.cost) - 1

    def row(self, low, high, terms):
        self.row_low.append(low), self.row_high.append(high)
        for index, value in terms:
            self.index.append(index), self.value.append(value)
        self.start.append(len(self.index))

    def solve(self, seconds, gap=0.):
        """(values or None, objective, bound, status)"""
        h = highspy.Highs()
        h.silent()
        h.setOptionValue("time_limit", float(seconds))
        h.setOptionValue("mip_rel_gap", float(gap))
        h.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.row_low)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = np.array(self.cost), np.array(self.low, float), np.array(self.high, float)
        lp.row_lower_, lp.row_upper_ = np.array(self.row_low, float), np.array(self.row_high, float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = np.array(self.start), np.array(self.index), np.array(self.value, float)
        lp.integrality_ = [highspy.HighsVarType.kInteger if w else highspy.HighsVarType.kContinuous for w in self.whole]
        h.passModel(lp)
        h.run()
        info = h.getInfo()
        found = info.primal_solution_status == 2
        return (np.array(h.getSolution().col_value) if found else None, info.objective_function_value, info.mip_dual_bound,
                h.modelStatusToString(h.getModelStatus()))


def ilp_clusters(routing, l, ranks, seconds, gap):
    """ILP1 of a layer: least sum of deviations from the mean load, no cluster empty."""
    p, n = Program(), routing.load[l]
    mean = n.sum() / ranks
    u = [[p.column(0, 1, whole=True) for _ in range(ranks)] for _ in range(routing.experts)]
    for c in range(ranks):
        delta = p.column(0, highspy.kHighsInf, 1.)
        load = [(u[i][c], n[i]) for i in range(routing.experts)]
        p.row(-highspy.kHighsInf, mean, load + [(delta, -1.)])
        p.row(mean, highspy.kHighsInf, load + [(delta, 1.)])
        p.row(1, highspy.kHighsInf, [(u[i][c], 1.) for i in range(routing.experts)])
    for i in range(routing.experts):
        p.row(1, 1, [(u[i][c], 1.) for c in range(ranks)])
    x, *_ = p.solve(seconds, gap)
    return None if x is None else np.array([np.argmax([x[u[i][c]] for c in range(ranks)]) for i in range(routing.experts)])


def ilp_ranks(routing, clusters, ranks, seconds, gap):
    """ILP2: clusters on ranks, least sum over layer steps of the largest flow between two ranks; equal memory over all layers. Products by the
    rows of Adams and Johnson."""
    p = Program()
    layers = routing.layers
    y = [[[p.column(0, 1, whole=True) for _ in range(ranks)] for _ in range(ranks)] for _ in range(layers)]
    for l in range(layers):
        for c in range(ranks):
            p.row(1, 1, [(y[l][c][g], 1.) for g in range(ranks)])
            p.row(1, 1, [(y[l][g][c], 1.) for g in range(ranks)])
    sizes = [np.bincount(clusters[l], minlength=ranks) for l in range(layers)]
    for g in range(ranks):
        p.row(layers * routing.experts / ranks, layers * routing.experts / ranks,
              [(y[l][c][g], float(sizes[l][c])) for l in range(layers) for c in range(ranks)])
    for l in range(layers - 1):
        flow = cluster_flow(routing.transitions(l), clusters[l], clusters[l + 1], ranks)
        tau = p.column(0, highspy.kHighsInf, 1.)
        q = np.array([[[[p.column(0, 1) for _ in range(ranks)] for _ in range(ranks)] for _ in range(ranks)] for _ in range(ranks)])  # c g d h
        for c in range(ranks):
            for g in range(ranks):
                for d in range(ranks):
                    # Given c on g: d is on one rank, and rank d holds one cluster; and the same seen from the next layer.
                    p.row(0, 0, [(q[c, g, d, k], 1.) for k in range(ranks)] + [(y[l][c][g], -1.)])
                    p.row(0, 0, [(q[c, g, k, d], 1.) for k in range(ranks)] + [(y[l][c][g], -1.)])
                    p.row(0, 0, [(q[d, k, c, g], 1.) for k in range(ranks)] + [(y[l + 1][c][g], -1.)])
                    p.row(0, 0, [(q[k, d, c, g], 1.) for k in range(ranks)] + [(y[l + 1][c][g], -1.)])
        for g in range(ranks):
            for h in range(ranks):
                if g != h:
                    p.row(-highspy.kHighsInf, 0, [(q[c, g, d, h], flow[c, d]) for c in range(ranks) for d in range(ranks)] + [(tau, -1.)])
    x, _, _, status = p.solve(seconds, gap)
    if x is None:
        return None, status
    return np.array([[np.argmax([x[y[l][c][g]] for g in range(ranks)]) for c in range(ranks)] for l in range(layers)]), status


def paper(routing, ranks, seconds, gap=.025):
    """(map or None, what happened)"""
    clusters = []
    for l in range(routing.layers):
        found = ilp_clusters(routing, l, ranks, seconds / 2 / routing.layers, gap)
        if found is None:
            return None, f"ILP1 of layer {l}: no clusters in time"
        clusters.append(found)
    clusters = np.array(clusters)
    names, status = ilp_ranks(routing, clusters, ranks, seconds / 2, gap)
    if names is None:
        return clusters, f"ILP2 found no map ({status}); clusters as ILP1 names them"
    return np.array([names[l][clusters[l]] for l in range(routing.layers)]), f"ILP2: {status.lower()}"


def joint_program(routing, ranks, cap, seconds):
    """The joint problem with alike links: experts to ranks within load caps, the most transitions kept; strong rows."""
    p = Program()
    n, layers = routing.experts, routing.layers
    x = [[[p.column(1 if l == i == g == 0 else 0, 1, whole=True) for g in range(ranks)] for i in range(n)] for l in range(layers)]
    for l in range(layers):
        for i in range(n):
            p.row(1, 1, [(x[l][i][g], 1.) for g in range(ranks)])
        for g in range(ranks):
            p.row(n // ranks, n // ranks, [(x[l][i][g], 1.) for i in range(n)])
            p.row(-highspy.kHighsInf, cap[l] * (1 + 1e-9), [(x[l][i][g], routing.load[l, i]) for i in range(n)])
    for l in range(layers - 1):
        w = routing.transitions(l)
        w /= w.sum()
        q = np.array([[[[p.column(0, 1, 0. if g == h else w[i, j] / (layers - 1)) for h in range(ranks)] for j in range(n)] for g in range(ranks)]
                      for i in range(n)])  # i g j h
        for i in range(n):
            for g in range(ranks):
                for j in range(n):
                    p.row(0, 0, [(q[i, g, j, h], 1.) for h in range(ranks)] + [(x[l][i][g], -1.)])
                    p.row(0, 0, [(q[j, h, i, g], 1.) for h in range(ranks)] + [(x[l + 1][i][g], -1.)])
                for h in range(ranks):
                    p.row(0, 0, [(q[i, g, j, h], 1.) for j in range(n)] + [(x[l][i][g], -n / ranks)])
                    p.row(0, 0, [(q[j, h, i, g], 1.) for j in range(n)] + [(x[l + 1][i][g], -n / ranks)])
    _, objective, bound, status = p.solve(seconds)
    return objective, bound, status


# --- one replay for all

def judge(routing, rank_of, ranks):
    """max/mean load (mean of layers); vectors moved a token and layer under stay, home and naive; crossing share of transitions."""
    at = np.stack([rank_of[l][routing.choice[:, l]] for l in range(routing.layers)], 1)  # T, L, k
    load = np.array([np.bincount(at[:, l].ravel(), minlength=ranks) for l in range(routing.layers)])
    distinct = np.zeros((*at.shape[:2], ranks), bool)
    np.put_along_axis(distinct, at, True, 2)
    steps = [at[t:t + STEP] for t in range(0, len(at) - STEP + 1, STEP)] or [at]
    by_step = [np.bincount(s[:, l].ravel(), minlength=ranks) for s in steps for l in range(routing.layers)]
    home = np.broadcast_to((routing.sequence % ranks)[:, None], at.shape[:2])
    def away(where):
        return distinct.sum(2) - np.take_along_axis(distinct, where[..., None], 2)[..., 0]
    owner = at[:, :, 0]
    source = np.concatenate([owner[:, :1], owner[:, :-1]], 1)
    crossing = np.mean([(rank_of[l][:, None] != rank_of[l + 1][None, :]).ravel() @ (w := routing.transitions(l)).ravel() / w.sum()
                        for l in range(routing.layers - 1)])
    return {"balance": (load.max(1) / load.mean(1)).mean(), "step": np.mean([n.mean() / n.max() for n in by_step]), "crossing": crossing, "stay": (away(source) + away(owner)).mean(),
            "home": 2 * away(home).mean(), "naive": 2 * (at != home[..., None]).sum(2).mean()}


def side_by_side(options, path, ranks):
    sequence, choice = read_tokens(path)
    experts = options.experts or int(choice.max()) + 1
    cut = round((1 - HELD_OUT) * len(sequence))
    planned, later = Routing(sequence[:cut], choice[:cut], experts), Routing(sequence[cut:], choice[cut:], experts)
    rows = []

    def add(name, make):
        started = time.perf_counter()
        made = make()
        seconds = time.perf_counter() - started
        rank_of, remark = made if isinstance(made, tuple) else (made, "")
        if rank_of is None:
            rows.append((name, None, None, seconds, remark))
            return
        rows.append((name, judge(planned, rank_of, ranks), judge(later, rank_of, ranks), seconds, remark))

    rng = np.random.default_rng(options.seed)
    add("contiguous", lambda: contiguous(planned, ranks))
    draws = [[judge(part, m, ranks) for part in (planned, later)] for m in (random_map(planned, ranks, rng) for _ in range(20))]
    rows.append(("random, mean of 20", *({k: float(np.mean([d[part][k] for d in draws])) for k in draws[0][part]} for part in (0, 1)), 0., ""))
    add("LPT", lambda: lpt(planned, ranks))
    add("EPLB (SGLang's copy)", lambda: (eplb(planned, ranks, options.wheels), ""))
    add("two-stage, exact matching", lambda: match_clusters(planned, lpt(planned, ranks), ranks))
    add("the paper's two programs, HiGHS", lambda: paper(planned, ranks, options.time))
    for dispatch in ("stay", "home"):
        for more in ((), ("--balance-weight", "0")):
            def make(dispatch=dispatch, more=more):
                rank_of, document = ours(options.orrery, path, ranks, dispatch, options.time, *more)
                return rank_of, f"bound {document['lower_bound']:.4g}, gap {100 * document['gap']:.1f} %"
            add(f"ours, --dispatch {dispatch}{' ' if more else ''}{' '.join(more)}", make)
    text = [f"**{pathlib.Path(path).name.removesuffix('.gz').removesuffix('.tsv')}**: {planned.tokens} tokens to plan on, {later.tokens} to judge on; "
            f"{planned.layers} layers, {experts} experts, top-{planned.k}, {ranks} ranks; limit {options.time:g} s", "",
            "| plan | load, planned on | load, held out | balancedness, held out | crossings, planned on | crossings, held out | stay, vectors | home, vectors | naive, vectors | time s | |",
            "|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, before, after, seconds, remark in rows:
        if before is None:
            text.append(f"| {name} | – | – | – | – | – | – | – | – | {seconds:.2f} | {remark or 'not available'} |")
        else:
            text.append(f"| {name} | {before['balance']:.3f} | {after['balance']:.3f} | {after['step']:.3f} | {before['crossing']:.4f} | {after['crossing']:.4f} | {after['stay']:.3f} "
                        f"| {after['home']:.3f} | {after['naive']:.3f} | {seconds:.2f} | {remark} |")
    return "\n".join(text) + "\n"


def hold_against_program(options, path, ranks, layers):
    """The planner's optimum of the first layers against the joint integer program."""
    sequence, choice = read_tokens(path)
    experts = options.experts or int(choice.max()) + 1
    routing = Routing(sequence, choice[:, :layers], experts)
    with tempfile.TemporaryDirectory() as folder:
        cut = pathlib.Path(folder) / "cut.tsv"
        with open(cut, "w") as file:
            file.write("\t".join(["problem", "token", "layer"] + [f"expert_{r + 1}" for r in range(routing.k)]) + "\n")
            for t in range(routing.tokens):
                for l in range(layers):
                    file.write("\t".join(map(str, [routing.sequence[t], t, l, *routing.choice[t, l]])) + "\n")
        command = [options.orrery, "plan", "experts", str(cut), "--gpus", str(ranks), "--dispatch", "stay", "--hold-out", "0", "--json"]
        document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    cap = [document["load_caps"][0][l] * routing.load[l].sum() / ranks for l in range(layers)]
    started = time.perf_counter()
    objective, bound, status = joint_program(routing, ranks, cap, options.time)
    return (f"{pathlib.Path(path).name}: planner {document['objective']:.12g} ({document['stopped_because']}), HiGHS {objective:.12g}, its bound {bound:.12g} ({status}, "
            f"{time.perf_counter() - started:.1f} s); difference {abs(document['objective'] - objective):.2g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--orrery", default="build/release/bin/orrery")
    parser.add_argument("--routing", action="append", help="FILE:RANKS, token recordings [examples/moe-routing.tsv.gz:8]")
    parser.add_argument("--experts", type=int, default=0)
    parser.add_argument("--wheels", default="wheels", help="folder with sglang-*.whl, for EPLB")
    parser.add_argument("--time", type=float, default=60, help="seconds for the paper's programs, and for ours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exact", action="store_true", help="hold the first layers' optimum against the joint integer program")
    parser.add_argument("--layers", type=int, default=4, help="of --exact")
    parser.add_argument("--document", help="Markdown file whose table between the markers is made anew")
    options = parser.parse_args()
    given = [entry.rsplit(":", 1) for entry in options.routing or ["examples/moe-routing.tsv.gz:8"]]
    if options.exact:
        for path, ranks in given:
            print(hold_against_program(options, path, int(ranks), options.layers))
        return 0
    text = "\n".join(side_by_side(options, path, int(ranks)) for path, ranks in given)
    text += ("\nLoad: largest over mean, mean of layers. Balancedness: mean over largest load, step by step of 256 tokens and layer by layer. Crossings: share of transitions. Vectors: moved a token and layer, dispatch and combine, of the "
             "held-out tokens.\n")
    print(text)
    if options.document:
        page = pathlib.Path(options.document).read_text()
        begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
        pathlib.Path(options.document).write_text(page[:begin] + "\n" + text + page[end:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
