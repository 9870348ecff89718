#!/usr/bin/env bash
# The first nine minutes on a GPU: do the tests that compare it with a CPU pass, what does it reach, what do sampling
# and training take? One JSON, written anew after every answer: whatever is cut off keeps what came before.
#   benchmarks/gpu/first.sh                     into benchmarks/gpu/results/CARD.json
#   benchmarks/gpu/first.sh --tiny --out FILE   the same questions on the CPU, with networks of the smoke scale
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python benchmarks/gpu/first.py "$@"
