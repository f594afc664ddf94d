#!/usr/bin/env bash
# Records the sample traces of the boot image anew, and writes down what all samples hold in samples.json. kaal-boot and kaal-fault
# stay as an earlier kaal has recorded them, from tests/guests/kaal-chapter-3.elf and in the first format, and so does kaal-slow-tick,
# from a kernel with a fault: they are there to be read.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
npm run -s build
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Without what only debuggers read: a trace is a third of the size.
aarch64-linux-gnu-objcopy --strip-debug --remove-section=.symbols.kernel --remove-section=.symbols.root-task \
  kernel/prebuilt/bootimage.elf "$scratch/bootimage.elf"

record() { # record NAME APPEND
  node cli/bin.js record --force -o "traces/$1.kaal" -m 64M --append "$2" "$scratch/bootimage.elf" > /dev/null
}
record kaal-bootimage suite=none
record kaal-user-fault suite=fault:
record kaal-preempted-ipc 'suite=ipc: tick=20000'

for name in kaal-boot kaal-fault kaal-bootimage kaal-user-fault kaal-preempted-ipc kaal-slow-tick; do
  node cli/bin.js info --json "traces/$name.kaal" > "$scratch/$name.json"
done
node -e '
const samples = {}
for (const name of ["kaal-boot", "kaal-fault", "kaal-bootimage", "kaal-user-fault", "kaal-preempted-ipc", "kaal-slow-tick"]) {
  const { instructions, finalDigest, rows } = JSON.parse(require("node:fs").readFileSync(`${process.argv[1]}/${name}.json`, "utf8"))
  samples[name] = { instructions, finalDigest, rows }
}
console.log(JSON.stringify(samples, null, 2))' "$scratch" > traces/samples.json
ls -l traces/*.kaal
