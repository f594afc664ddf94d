#!/usr/bin/env bash
# Records the boot image with its whole test suite at many speeds: N recordings (default 200), each with a rate of the tick
# and a speed of the processor of its own, from a seed. Every test must pass in each of them; a recording in which one does
# not is kept.
#   many-boots.sh [N [SEED [FOLDER]]]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kaal=${KAAL:-$here/../cli/bin.js}
count=${1:-200} seed=${2:-1} folder=${3:-$(mktemp -d)}
image=$here/prebuilt/bootimage.elf
mkdir -p "$folder"
RANDOM=$seed
failed=0
for ((n = 1; n <= count; n++)); do
  # 250 to 33,000 ticks a second; a tick of fewer instructions than it costs would leave no time for anything else.
  shift=$((n % 6))
  most=$((33000 >> shift))
  rate=$((250 + (RANDOM << 15 | RANDOM) % (most - 249)))
  trace=$folder/boot-$n.kaal
  if node "$kaal" record --force -o "$trace" -m 64M --icount-shift $shift --append "tick=$rate" --max-instructions 6000000000 \
    "$image" > "$trace.txt" 2> "$trace.err" < /dev/null && grep -qaE '^[1-9][0-9]* passed, 0 failed' "$trace.txt"; then
    rm -f "$trace" "$trace.txt" "$trace.err"
  else
    failed=$((failed + 1))
    echo "boot $n failed: --icount-shift $shift --append tick=$rate; $trace is kept: $(grep -a FAILED "$trace.txt" | head -1; tail -1 "$trace.err")"
  fi
done
echo "$((count - failed)) passed, $failed failed"
