"""The Python module, installed by pip into a fresh environment from this source tree; skipped where that cannot be made."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
CHECK = """
import json, orrery
report = orrery.predict_latency("llama-3.1-8b", device=["h200-sxm", "l40s"], prompt=1024, output_tokens=64)
assert report["schema"] == "orrery.latency/1" and len(report["devices"]) == 2, report.keys()
memory = orrery.predict_memory("llama-3.1-70b", device="h100-sxm", mode="train", tensor_parallel=8)
assert memory["devices"], memory.keys()
for wrong, error in ((dict(model="llama-3.1-8b", device="h999"), ValueError), (dict(model="no-such-model"), ValueError)):
    try:
        orrery.predict_latency(**wrong)
    except error as said:
        assert "\\n" not in str(said).strip() or "^" in str(said), said
    else:
        raise AssertionError(wrong)
assert orrery.show_gpus() and orrery.show_models()
index = orrery.StringIndex()
index.bulk_load((f"key{i:04}", i) for i in range(1000))
index["other"] = 5
del index["key0001"]
assert index["key0002"] == 2 and "key0001" not in index and len(index) == 1000 and index.get("none") is None
assert [key for key, _ in index.scan("key0998")] == [b"key0998", b"key0999", b"other"]
assert len(list(index.scan(prefix="key"))) == 999 and next(index.scan(reverse=True)) == (b"other", 5)
index.save("index.file")
assert list(orrery.StringIndex.load("index.file").scan()) == list(index.scan())
try:
    orrery.StringIndex().bulk_load([("b", 1), ("a", 2)])
    raise SystemExit("an unsorted load was taken")
except ValueError as error:
    assert "key 2" in str(error)
print(json.dumps(orrery.__version__))
"""


def main(source):
    with tempfile.TemporaryDirectory() as folder:
        environment = pathlib.Path(folder) / "venv"
        if subprocess.run([sys.executable, "-m", "venv", environment]).returncode != 0:
            print("skipped: no virtual environment can be made (python3-venv is missing)")
            return SKIPPED
        # By the name that CMake finds: ccache knows what the release build has just compiled by it.
        compilers = {"CC": "cc", "CXX": "c++"} | dict(os.environ)
        pip = subprocess.run([environment / "bin/pip", "install", "-q", source], capture_output=True, text=True, env=compilers)
        if pip.returncode != 0 and ("Could not find a version" in pip.stderr or "NewConnectionError" in pip.stderr):
            print("skipped: the build backend cannot be fetched\n" + pip.stderr[-500:])
            return SKIPPED
        if pip.returncode != 0:
            print(pip.stdout[-4000:], pip.stderr[-4000:])
            return 1
        checked = subprocess.run([environment / "bin/python", "-c", CHECK], cwd=folder, capture_output=True, text=True)
        if checked.returncode != 0:
            print(checked.stderr)
            return 1
        command = [environment / "bin/orrery", "predict", "latency", "llama-3.1-8b", "--device", "l40s", "--json"]
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        json.loads(answer.stdout)
        print("installed version", checked.stdout.strip())
        return answer.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
