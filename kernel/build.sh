#!/usr/bin/env bash
# Builds KaaL: kernel/prebuilt/kaal.elf, the kernel alone, and kernel/prebuilt/bootimage.elf, which brings the root task
# and its tests along and is what to boot.
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
  (cd "$here" && /usr/bin/cargo rustc "${common[@]}" -p "$1" --bin "$1" -- "-Clink-arg=-T$here/$2")
}

# What a program that is built later includes: without symbols; and the symbols alone, for debuggers.
programs=$out/programs
mkdir -p "$programs"
strip() { # strip PACKAGE
  aarch64-linux-gnu-objcopy --strip-all "$out/$target/release/$1" "$programs/$1"
  (cd "$out/$target/release" && aarch64-linux-gnu-objcopy --only-keep-debug "$1" "$programs/$1.debug")
}
export KAAL_PROGRAMS=$programs

build kaal-test-suite runtime/program.ld
strip kaal-test-suite
build kaal-root-task runtime/program.ld
strip kaal-root-task
build kaal kernel.ld
strip kaal

# Runs with the MMU off, where unaligned accesses fault: this target's code makes none.
build kaal-elfloader runtime/elfloader/elfloader.ld

if [ "$mode" = --lint ]; then
  cd "$here"
  CARGO_TARGET_DIR=$out/lint /usr/bin/cargo clippy "${common[@]}" --workspace -- -D warnings
  exit
fi
aarch64-linux-gnu-objcopy --strip-debug --remove-section=.comment \
  --add-section .symbols.kernel="$programs/kaal.debug" \
  --add-section .symbols.root-task="$programs/kaal-root-task.debug" \
  "$out/$target/release/kaal-elfloader" "$programs/bootimage.elf"

verdict=0
for image in "$out/$target/release/kaal" "$programs/bootimage.elf"; do
  name=$(basename "$image" .elf).elf
  if [ "$mode" = --check ]; then
    if cmp -s "$image" "$here/prebuilt/$name"; then
      echo "kernel/prebuilt/$name is what the sources make ($(sha256sum < "$image" | cut -c1-16), $(stat -c %s "$image") bytes)"
    else
      echo "kernel/prebuilt/$name is not what the sources make: run npm run kernel and commit the result" >&2
      verdict=1
    fi
  else
    mkdir -p "$here/prebuilt"
    cp "$image" "$here/prebuilt/$name"
    echo "kernel/prebuilt/$name: $(stat -c %s "$image") bytes, sha256 $(sha256sum < "$image" | cut -c1-16)"
  fi
done
exit $verdict
