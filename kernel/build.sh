#!/usr/bin/env bash
# Builds KaaL and puts it at kernel/prebuilt/kaal.elf.
#   --check  builds elsewhere and compares with what is there
#   --lint   runs clippy over the kernel and its programs (needs Debian's rust-web-clippy)
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=aarch64-unknown-none-softfloat
library=/usr/lib/rustlib/src/rust/library
out=$here/target
mode=${1:-}
case $mode in
  '' | --check | --lint) ;;
  *) echo "usage: build.sh [--check|--lint]" >&2; exit 255 ;;
esac

need=()
[ -x /usr/bin/rustc ] && /usr/bin/rustc --version | grep -q ' 1\.96\.' || need+=(rustc-web)
[ -d $library/core ] || need+=(rust-web-src)
[ -x /usr/bin/cargo ] || need+=(cargo-web)
command -v aarch64-linux-gnu-ld > /dev/null || need+=(binutils-aarch64-linux-gnu)
[ "$mode" != --lint ] || [ -x /usr/bin/cargo-clippy ] || need+=(rust-web-clippy)
if [ ${#need[@]} -gt 0 ]; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  install=($sudo apt-get install -y --no-install-recommends "${need[@]}")
  "${install[@]}" || { $sudo apt-get update && "${install[@]}"; }
fi

if [ "$mode" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi

# Only what stands here decides about the result: no flags, wrappers or configuration from outside.
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
export CARGO_HOME=$out/cargo-home CARGO_TARGET_DIR=$out RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
separator=$'\x1f'
flags=(
  -Clinker=aarch64-linux-gnu-ld -Clinker-flavor=ld -Crelocation-model=static
  -Clink-arg=-zmax-page-size=4096 -Clink-arg=--build-id=none -Clink-arg=--no-dynamic-linker -Clink-arg=--gc-sections
  -Ctarget-cpu=cortex-a53
  -Cforce-frame-pointers=yes -Cforce-unwind-tables=no
  "--remap-path-prefix=$here=kernel" "--remap-path-prefix=$library=library" "--remap-path-prefix=$out=target"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$separator; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS

common=(
  --quiet --offline --locked --release --target $target
  -Zbuild-std=core,compiler_builtins -Zbuild-std-features=compiler-builtins-mem
  --config 'source.crates-io.replace-with="library"' --config "source.library.directory=\"$library/vendor\""
)

build() { # build PACKAGE LINKER-SCRIPT
  (cd "$here" && /usr/bin/cargo rustc "${common[@]}" -p "$1" -- "-Clink-arg=-T$here/$2")
}

programs=$out/programs
mkdir -p "$programs"
for program in hello worker faulty; do
  build kaal-$program runtime/program.ld
  aarch64-linux-gnu-strip --strip-debug -o "$programs/kaal-$program" "$out/$target/release/kaal-$program"
done
export KAAL_PROGRAMS=$programs
if [ "$mode" = --lint ]; then
  cd "$here"
  CARGO_TARGET_DIR=$out/lint /usr/bin/cargo clippy "${common[@]}" --workspace -- -D warnings
  exit
fi
build kaal kernel.ld
image=$out/$target/release/kaal

if [ "$mode" = --check ]; then
  if cmp -s "$image" "$here/prebuilt/kaal.elf"; then
    echo "kernel/prebuilt/kaal.elf is what the sources make ($(sha256sum < "$image" | cut -c1-16), $(stat -c %s "$image") bytes)"
  else
    echo "kernel/prebuilt/kaal.elf is not what the sources make: run npm run kernel and commit the result" >&2
    exit 1
  fi
else
  mkdir -p "$here/prebuilt"
  cp "$image" "$here/prebuilt/kaal.elf"
  echo "kernel/prebuilt/kaal.elf: $(stat -c %s "$image") bytes, sha256 $(sha256sum < "$image" | cut -c1-16)"
fi
