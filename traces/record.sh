#!/usr/bin/env bash
# Records the sample traces anew, and writes down what they hold in samples.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
npm run -s build
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Without debugging information, which nothing here reads, a trace is half the size; symbols stay.
aarch64-linux-gnu-objcopy --strip-debug kernel/prebuilt/kaal.elf "$scratch/kaal.elf"

record() { # record NAME OPTION...
  local name=$1
  shift
  node cli/bin.js record --force -o "traces/$name.kaal" "$@" "$scratch/kaal.elf" > /dev/null
  node cli/bin.js info --json "traces/$name.kaal" > "$scratch/$name.json"
}
record kaal-boot
record kaal-fault --append fault=null
node -e '
const samples = {}
for (const name of ["kaal-boot", "kaal-fault"]) {
  const { instructions, finalDigest, rows } = JSON.parse(require("node:fs").readFileSync(`${process.argv[1]}/${name}.json`, "utf8"))
  samples[name] = { instructions, finalDigest, rows }
}
console.log(JSON.stringify(samples, null, 2))' "$scratch" > traces/samples.json
ls -l traces/*.kaal
