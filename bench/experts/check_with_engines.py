#!/usr/bin/env python3
"""Read written expert maps back with the engines' own code: SGLang's loader of --init-expert-location, vLLM's map tables.

    python3 -m venv venv && venv/bin/pip install torch==2.8.0
    venv/bin/pip download --no-deps -d wheels sglang vllm
    venv/bin/python bench/experts/check_with_engines.py planned/plan.json planned/physical_to_logical_map.json --wheels wheels

Nothing of the engines is installed or imported whole: the two modules that handle expert maps are taken out of the wheels, with stand-ins for
the server's settings. vLLM has no loader for initial maps yet (vllm-project/vllm#49572 is open), so its check is of what the running
engine derives from a map: for every expert the slots that hold it.
"""
import argparse
import ast
import json
import pathlib
import sys
import types
import zipfile

import torch


def module_text(wheels, package, path):
    found = sorted(pathlib.Path(wheels).glob(f"{package}-*.whl"))
    if not found:
        return None, None
    with zipfile.ZipFile(found[-1]) as wheel:
        return wheel.read(path).decode(), found[-1].name


def sglang_loader(text, layers, experts, gpus, slots, map_file):
    """SGLang's module, with a server that was told: this map, these GPUs, so many redundant experts."""
    space = types.SimpleNamespace
    moe = space(init_expert_location=str(map_file), ep_num_redundant_experts=slots - experts, moe_a2a_backend="none", ep_join_mode=None,
                ep_dispatch_algorithm="static", eplb_algorithm="auto")
    parallel = space(ep_size=gpus, elastic_ep_initial_size=None, nnodes=1, tp_size=gpus, ep_join_rank_offset=0)
    runtime = types.ModuleType("sglang.srt.runtime_context")
    runtime.get_device = lambda: space(device="cpu")
    runtime.get_exec = lambda: space(moe=moe)
    runtime.get_parallel = lambda: parallel
    runtime.get_resources = lambda: space()
    elastic = types.ModuleType("sglang.srt.elastic_ep.elastic_ep")
    elastic.elastic_expanded_world_enabled = lambda: False
    for name in ("sglang", "sglang.srt", "sglang.srt.elastic_ep"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["sglang.srt.runtime_context"] = runtime
    sys.modules["sglang.srt.elastic_ep.elastic_ep"] = elastic
    module = types.ModuleType("expert_location")
    sys.modules["expert_location"] = module
    exec(compile(text, "expert_location.py", "exec"), module.__dict__)  # noqa: S102 - the engine's own code is what is tested
    module.ModelConfigForExpertLocation.from_model_config = staticmethod(
        lambda _: module.ModelConfigForExpertLocation(num_layers=layers, num_logical_experts=experts, num_groups=None))
    return module


def check_sglang(text, plan, map_file):
    asked = plan["map"]
    module = sglang_loader(text, len(asked), plan["experts"], plan["ranks"], len(asked[0]), map_file)
    loaded = module.compute_initial_expert_location_metadata(None, moe_ep_rank=0)
    assert loaded.physical_to_logical_map.tolist() == asked, "SGLang holds another map than the plan"
    assert loaded.num_logical_experts == plan["experts"] and loaded.ep_size == plan["ranks"]
    assert loaded.num_local_physical_experts == len(asked[0]) // plan["ranks"]
    for layer, slots in enumerate(asked):
        for expert in range(plan["experts"]):
            held = [s for s in loaded.logical_to_all_physical_map[layer, expert].tolist() if s >= 0]
            assert sorted(held) == [s for s, e in enumerate(slots) if e == expert], (layer, expert)
    return "map, slots a GPU and copies of every expert equal the plan"


def check_vllm(text, plan):
    """The function that turns slot-to-expert into expert-to-slots, taken out of vLLM's EPLB state."""
    tree = ast.parse(text)
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and any(a.arg == "physical_to_logical_map" for a in node.args.args)]
    assert wanted, "vLLM has no such function any more"
    space = {"torch": torch, "np": __import__("numpy")}
    exec(compile(ast.Module([wanted[0]], []), "eplb_state.py", "exec"), space)  # noqa: S102
    replicas, counts = space[wanted[0].name](torch.tensor(plan["map"]), plan["experts"])
    for layer, slots in enumerate(plan["map"]):
        for expert in range(plan["experts"]):
            held = [s for s in replicas[layer, expert].tolist() if s >= 0]
            assert sorted(held) == [s for s, e in enumerate(slots) if e == expert], (layer, expert)
            assert counts[layer, expert] == len(held)
    return f"{wanted[0].name}: slots and number of copies of every expert equal the plan"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", help="plan.json")
    parser.add_argument("map", help="physical_to_logical_map.json beside it")
    parser.add_argument("--wheels", default="wheels", help="folder that holds sglang-*.whl and vllm-*.whl")
    options = parser.parse_args()
    plan = json.loads(pathlib.Path(options.plan).read_text())
    status = 0
    for package, path, check in (("sglang", "sglang/srt/eplb/expert_location.py", lambda text: check_sglang(text, plan, options.map)),
                                 ("vllm", "vllm/distributed/eplb/eplb_state.py", lambda text: check_vllm(text, plan))):
        text, wheel = module_text(options.wheels, package, path)
        if text is None:
            print(f"{package}: no wheel in {options.wheels}, not checked")
            continue
        try:
            print(f"{wheel}: {check(text)}")
        except Exception as wrong:
            print(f"{wheel}: REFUSED, {type(wrong).__name__}: {wrong}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
