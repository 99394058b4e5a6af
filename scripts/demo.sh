#!/usr/bin/env bash
# The first answer: three models on GPUs that no row of the weights was measured on, a report, and the next command.
set -euo pipefail
cd "$(dirname "$0")/.."
orrery=build/release/bin/orrery
out=out/demo
mkdir -p "$out"

for model in llama-3.1-8b qwen3-30b-a3b llama-3.1-70b; do
  "$orrery" predict latency "$model" --device h200-sxm,b200-sxm,rtx-pro-6000,rtx-4090 --prompt 2048 --output-tokens 256 --output "$out/$model"
  echo
done
cat <<TEXT
Reports: $out/llama-3.1-8b/report.html (open it in a browser), and one beside each of the other two.
Your own model next:

  $orrery predict latency path/to/your/config.json --device h200-sxm,l40s,rtx-4090 --prompt 2048 --output-tokens 256
TEXT
