"""The layer rule: a room includes only the rooms that tests/layers.txt allows it, and heavy libraries stay out of headers."""
import pathlib
import re
import sys

HEAVY = re.compile(r'#include [<"](yaml-cpp|nlohmann|onnx|google/protobuf|CLI|Eigen|zstd|zlib|fmt)')


def allowed_rooms(path):
    rules = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            room, _, includes = line.partition(":")
            rules[room.strip()] = set(includes.split()) | {"base", room.strip()}
    return rules


def violations(root):
    rules = allowed_rooms(root / "tests" / "layers.txt")
    source = root / "src" / "orrery"
    for path in sorted(source.rglob("*")):
        if path.suffix not in {".h", ".cc"}:
            continue
        room = path.relative_to(source).parts[0]
        if room not in rules:
            yield f"{path}: room '{room}' has no line in tests/layers.txt"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#include "orrery/([a-z_]+)/', line)
            if found and found[1] not in rules[room]:
                yield f"{path}:{number}: {room} must not include {found[1]} (tests/layers.txt)"
            if path.suffix == ".h" and HEAVY.match(line.strip()):
                yield f"{path}:{number}: a heavy library in a header slows every user of it; keep it in the .cc"


if __name__ == "__main__":
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "layers hold")
    sys.exit(bool(found))
