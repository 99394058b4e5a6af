# What Debian 12 has to provide; sourced by make.sh. One list a purpose.
build_packages="g++ cmake ninja-build pkg-config ccache libfmt-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  libonnx-dev libprotobuf-dev protobuf-compiler libzstd-dev zlib1g-dev coinor-libcbc-dev coinor-libclp-dev libjs-chart.js"
python_packages="python3 python3-dev python3-venv"
test_packages="libgtest-dev libgmock-dev chromium $python_packages"
bench_packages="libbenchmark-dev libabsl-dev libjudy-dev libhat-trie-dev"
check_packages="clang-format clang-tidy clang libclang-rt-14-dev python3"
