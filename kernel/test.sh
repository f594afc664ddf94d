#!/usr/bin/env bash
# Tests what needs no hardware, checks style, and boots the image where QEMU is installed.
# Any stable Rust toolchain with rustfmt and clippy will do; the kernel itself is linted by build.sh --lint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
host=(-p kaal-abi -p kaal-elf -p kaal-fdt -p kaal-frames -p kaal-paging -p kaal-syndrome)
cargo test --quiet --offline --locked --lib "${host[@]}" -p kaal
cargo clippy --quiet --offline --locked --all-targets "${host[@]}" -- -D warnings
cargo clippy --quiet --offline --locked --lib --tests -p kaal -- -D warnings
cargo fmt --all --check
# `unsafe` has its places.
if grep -rnE '\bunsafe (\{|fn|impl|extern)' src --include=*.rs | grep -vE '^src/(arch|boot)/'; then
  echo "unsafe outside src/arch and src/boot" >&2
  exit 1
fi
if command -v qemu-system-aarch64 > /dev/null; then ./boot-test.sh; else echo "no QEMU here: boots not tested"; fi
echo "kernel tests: all good"
