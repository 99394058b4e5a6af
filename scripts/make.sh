#!/usr/bin/env bash
# The work behind the Makefile: says what it does, shows life, stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# Installs those of the given packages that are missing, with sudo where it is needed.
need() {
  local missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing and need root: apt-get install ${missing[*]}"; exit 1; }
    root=(sudo)
  fi
  "${root[@]}" apt-get update -q | tail -n 1
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" |
    awk '/^Setting up/ {printf "  %s\n", $3; fflush()}'
}

configure() {  # preset, further cmake arguments
  local preset=$1
  shift
  local log=build/$preset/configure.log
  mkdir -p "build/$preset"
  cmake --preset "$preset" "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
}

build_program() {
  need $build_packages
  [ -x build/release/bin/orrery ] || say "building with ${CMAKE_BUILD_PARALLEL_LEVEL} cores (a few minutes the first time)"
  [ -f build/release/build.ninja ] || configure release -DORRERY_TESTS=OFF
  cmake --build --preset release --target orrery | quiet_ninja
}

# One line a build step on a log, one moving line on a terminal; nothing when all is up to date.
quiet_ninja() { grep --line-buffered -v -e '^ninja: no work to do' -e '^ninja: Entering' || true; }

build_tests() {  # preset
  need $build_packages $test_packages
  configure "$1" -DORRERY_TESTS=ON
  cmake --build --preset "$1" | quiet_ninja
}

case "${1:-}" in
  deps) need $build_packages $python_packages ;;
  build) build_program; echo "build/release/bin/orrery" ;;
  demo)
    build_program
    exec scripts/demo.sh
    ;;
  test)
    build_tests release
    say "testing"
    ctest --preset release
    ;;
  check)  # what CI looks at beside the tests
    need $build_packages $check_packages
    exec scripts/check.sh
    ;;
  format) need clang-format; git ls-files '*.h' '*.cc' | xargs clang-format -i ;;
  clean) rm -rf build ;;
  *) echo "usage: make demo | test | build | deps | check | format | clean"; exit 2 ;;
esac
