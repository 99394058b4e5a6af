"""Orrery predicts, plans and runs machine-learning systems.

The functions carry the nouns and verbs of the command and return what its --json prints, as Python values:

    >>> import orrery
    >>> report = orrery.predict_latency("llama-3.1-8b", device="h200-sxm,l40s", prompt=2048, output_tokens=256)
    >>> report["devices"][0]["tpot_s"]

Wrong input raises ValueError with the line that the command would print; what does not exist raises LookupError.
"""
import json as _json
import sys as _sys

from . import _core
from ._core import StringIndex

__version__ = _core.version()
__all__ = ["StringIndex", "predict_latency", "predict_memory", "show_gpus", "show_models", "main"]


def _arguments(positional, options):
    """Options as the command spells them: tensor_parallel=8 becomes --tensor-parallel 8."""
    arguments = [str(value) for value in positional]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(flag)
        elif isinstance(value, (list, tuple)):
            arguments += [flag, ",".join(str(item) for item in value)]
        else:
            arguments += [flag, str(value)]
    return arguments


def _call(verb, noun, positional, options):
    status, out, err = _core.run([verb, noun, *_arguments(positional, options), "--json"])
    if status == 2:
        raise ValueError(err.strip())
    if status == 1 and not out.strip():
        raise LookupError(err.strip())
    if status not in (0, 1):
        raise RuntimeError(err.strip() or f"orrery ended with status {status}")
    return _json.loads(out)


def predict_latency(model, device=None, **options):
    """How fast a model is on devices: `model` is a name or a path, `device` a name, a file, or several of them.

    Keyword arguments are the options of `orrery predict latency` (mode, batch, prompt, output_tokens, sequence,
    tensor_parallel, predictor, ...).
    """
    return _call("predict", "latency", [model], {"device": device, **options})


def predict_memory(model, device=None, **options):
    """What fills a device's memory, by component, and what fits."""
    return _call("predict", "memory", [model], {"device": device, **options})


def show_gpus(*names, **options):
    """The GPUs that Orrery knows, or the facts of those named, with their sources."""
    return _call("show", "gpus", names, options)


def show_models(*names, **options):
    """The models that Orrery knows."""
    return _call("show", "models", names, options)


def main():
    """The command `orrery`."""
    _sys.exit(_core.main(_sys.argv[1:]))
