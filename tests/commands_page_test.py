"""docs/commands.md is what `orrery help --markdown` prints; a stale page fails."""
import difflib
import pathlib
import subprocess
import sys

program, page = sys.argv[1], pathlib.Path(sys.argv[2])
made = subprocess.run([program, "help", "--markdown"], capture_output=True, text=True, check=True).stdout
if made != page.read_text():
    print("".join(difflib.unified_diff(page.read_text().splitlines(True), made.splitlines(True), str(page), "the program's help")))
    print(f"make it again: {program} help --markdown > {page}")
    sys.exit(1)
