#!/usr/bin/env bash
# Bisects a real history of KaaL: commits that change texts, comments and messages, and one that forgets to invalidate the TLB, each built
# by the kernel's own build.sh. Both `git bisect run kaal rerun` and `kaal bisect` must find that one.
#   bisect-kaal.sh [KERNEL-FOLDER]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source=${1:-$root/kernel}
kaal() { node "$root/cli/bin.js" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
# What `git bisect run` finds.
mkdir "$work/bin" "$work/images"
printf '#!/bin/sh\nexec node "%s/cli/bin.js" "$@"\n' "$root" > "$work/bin/kaal"
chmod +x "$work/bin/kaal"
export PATH="$work/bin:$PATH"

tar -C "$source" --exclude=./target --exclude=./prebuilt -cf - . | { mkdir "$work/kernel"; tar -C "$work/kernel" -xf -; }
cd "$work/kernel"
git init -q -b main
images=()

edit() { # edit FILE FROM TO: replaces what must stand there once
  FROM=$2 TO=$3 node -e '
    const { readFileSync, writeFileSync } = require("fs")
    const [file] = process.argv.slice(1), { FROM, TO } = process.env, text = readFileSync(file, "utf8")
    if (text.split(FROM).length !== 2) {
      console.error(`${file}: ${JSON.stringify(FROM)} stands there ${text.split(FROM).length - 1} times: bring tests/bisect-kaal.sh up to date`)
      process.exit(1)
    }
    writeFileSync(file, text.replace(FROM, () => TO))' "$1"
}

commit() { # commit SUBJECT: commits, builds, and keeps the image
  git add -A
  git commit -q -m "$1"
  bash build.sh > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
  local image
  image=$work/images/$(printf '%02d' $((${#images[@]} + 1))).elf
  cp prebuilt/bootimage.elf "$image"
  images+=("$image")
  [ "$1" != "$guilty" ] || guilty_image=$image
  echo "  $(basename "$image")  $1 (at $SECONDS s)"
}

note() { # note FILE: adds a line, a comment in code
  case $1 in *.rs) printf '\n// A remark.\n' >> "$1" ;; *) printf '\nA remark.\n' >> "$1" ;; esac
}

guilty='mmu: invalidate less'
guilty_image=none
echo 'The history:'
printf 'target/\nprebuilt/\n' > .gitignore
commit 'import'
note README.md; commit 'doc: a remark'
edit src/boot/mod.rs 'Hello from KaaL Kernel!' 'Hello from the KaaL Kernel!'; commit 'boot: the'
note docs/chapters/chapter-01-boot.md; commit 'doc: chapter 1'
note docs/chapters/chapter-02-memory.md; commit 'doc: chapter 2'
note docs/chapters/chapter-03-exceptions.md; commit 'doc: chapter 3'
note README.md; commit 'doc: another remark'
edit src/arch/aarch64/mmu.rs '"dsb ishst", "tlbi vale1is, {}", "dsb ish", "isb",' '"dsb ishst", "// {}", "dsb ish", "isb",'; commit "$guilty"
note src/arch/aarch64/timer.rs; commit 'timer: a remark'
note README.md; commit 'doc: one more remark'
note docs/chapters/chapter-00-setup.md; commit 'doc: chapter 0'
note docs/chapters/chapter-01-boot.md; commit 'doc: chapter 1 again'
note README.md; commit 'doc: a last remark'
[ ${#images[@]} -ge 12 ]

# The tests of pages are among the first; all of the suite takes eight times as long.
kaal record -o "$work/suite.kaal" -m 64M --max-instructions 60_000_000 "${images[0]}" > "$work/uart.txt"
if grep -q FAILED "$work/uart.txt"; then
  echo 'the kernel as it is fails its tests:' >&2
  grep FAILED "$work/uart.txt" >&2
  exit 1
fi
grep -q "^  ok " "$work/uart.txt"
judged=(--fail-if panic --fail-if exit --fail-if uart:FAILED)

echo "git bisect run (at $SECONDS s):"
git bisect start main "$(git rev-list --max-parents=0 main)" > "$work/start.txt"
git bisect run kaal rerun "$work/suite.kaal" --kernel prebuilt/bootimage.elf --build 'bash build.sh' --quiet "${judged[@]}" 2>&1 | grep -E '^kaal: |first bad commit'
found=$(git log -1 --format=%s refs/bisect/bad)
git bisect reset > "$work/start.txt" 2>&1
[ "$found" = "$guilty" ] || { echo "git bisect blames \"$found\", not \"$guilty\"" >&2; exit 1; }

echo "kaal bisect (at $SECONDS s):"
kaal bisect "$work/suite.kaal" --good "${images[0]}" --bad "${images[-1]}" "${images[@]}" "${judged[@]}" -d "$work" | tee "$work/report.txt"
grep -qx "first bad build: $guilty_image" "$work/report.txt" || { echo "kaal bisect does not blame $guilty_image" >&2; exit 1; }
kaal replay --quiet "$work/bisect-bad.kaal"
echo "2 of 2 bisections passed: \"$guilty\" is found (after $SECONDS s)"
