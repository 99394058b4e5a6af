#!/usr/bin/env bash
# Format, layers and clang-tidy. Tidy looks at what changed since the base given in TIDY_SINCE, or at everything.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 tests/layers_test.py .
git ls-files '*.h' '*.cc' | xargs clang-format --dry-run --Werror
cmake --preset release >/dev/null
sources=$(git ls-files 'src/*.cc' | grep -v -e _test.cc -e _bench.cc)
printf '%s\n' $sources | xargs -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet --extra-arg=-Wno-unknown-warning-option
