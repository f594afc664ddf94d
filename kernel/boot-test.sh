#!/usr/bin/env bash
# Boots kernel/prebuilt/kaal.elf, and bootimage.elf with the root task, on QEMU in every way they support, and looks at
# what they print.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

boot() { # boot NAME MACHINE MEMORY [QEMU ARGUMENT...]: the UART's output in $out/NAME
  local name=$1 machine=$2 memory=$3
  shift 3
  timeout 120 qemu-system-aarch64 -M "virt,gic-version=2,$machine" -cpu cortex-a53 -m "$memory" -nographic -net none \
    -icount "shift=${shift:-1},sleep=off" -kernel "${kernel:-prebuilt/kaal.elf}" "$@" < /dev/null | tr -d '\r' > "$out/$name"
}

expect() { # expect NAME TEXT...: each text, an extended regular expression, is in the output
  local name=$1 text
  shift
  for text in "$@"; do
    grep -qaE -- "$text" "$out/$name" || { echo "$name: nothing like \"$text\" in:" >&2; tail -40 "$out/$name" >&2; exit 1; }
  done
}

passed='^Self tests: [0-9]+ passed, 0 failed$'
off='^System powering off\.$'

for memory in 16M 64M 512M 3G; do
  boot "el1-$memory" virtualization=off $memory
  expect "el1-$memory" '^Hello from KaaL Kernel!$' '^KaaL Rust Microkernel v0\.1\.0$' "$passed" "$off"
done
boot el2-512M virtualization=on 512M
if ! cmp -s <(sed 's/EL2$/EL1/' "$out/el2-512M") "$out/el1-512M"; then
  echo "entered at EL2 and at EL1 the output differs:" >&2
  diff "$out/el1-512M" "$out/el2-512M" >&2 || true
  exit 1
fi
boot smp virtualization=off 512M -smp 4
expect smp "$passed" "$off"

for machine in virtualization=off virtualization=on; do
  boot null $machine 512M -append fault=null
  expect null 'KERNEL PANIC: fault in the kernel: data abort from EL1, read, translation fault, level 0' 'far 0x0+$|far 0x0+ ' "$off"
  boot wx $machine 512M -append fault=wx
  expect wx 'KERNEL PANIC: fault in the kernel: data abort from EL1, write, permission fault, level 3' backtrace "$off"
  boot exec $machine 512M -append fault=exec
  expect exec 'KERNEL PANIC: fault in the kernel: instruction abort from EL1, permission fault, level 3' "$off"
  boot undef $machine 512M -append fault=undef
  expect undef 'KERNEL PANIC: fault in the kernel: undefined instruction' "$off"
  boot stack $machine 512M -append fault=stack
  expect stack 'KERNEL PANIC: kernel stack overflow: data abort from EL1, write, translation fault, level 3' "$off"
  boot panic $machine 512M -append fault=panic
  expect panic 'KERNEL PANIC: asked for on the command line' 'at src/debug/faults.rs:[0-9]+' "$off"
done
boot spin virtualization=off 512M -append spin=2
expect spin '^Spun 2 million times, ticking\.$' "$off"

aarch64-linux-gnu-objcopy -O binary prebuilt/kaal.elf "$out/Image"
head -c 3000000 prebuilt/kaal.elf > "$out/initrd"
kernel=$out/Image boot image virtualization=off 512M -initrd "$out/initrd" -append 'one two=3'
expect image 'Arguments:   one two=3' 'Reserved:    0x48000000-' "$passed" "$off"

# With the root task and its tests. They print the same wherever and however fast they run.
tested='^[1-9][0-9]* passed, 0 failed$'
suite() { kernel=prebuilt/bootimage.elf boot "$@" && expect "$1" '^Hello from user-space!$' "$tested"; }
# From the first test on. What the kernel says of threads that fault without a handler is left out: how often the fuzzer starts
# one depends on when the tick comes.
results() { sed -n '/^Tests:/,$p' "$out/$1" | grep -av '^\[kernel\]'; }
same() { # same NAME NAME
  cmp -s <(results "$1") <(results "$2") || { echo "$1 and $2 differ:" >&2; diff <(results "$1") <(results "$2") >&2 || true; exit 1; }
}
suite suite virtualization=off 512M
for memory in 64M 3G; do
  suite "suite-$memory" virtualization=off $memory
  same suite "suite-$memory"
done
for shift in 0 2 3 4 5; do
  suite "suite-shift-$shift" virtualization=off 512M
  same suite "suite-shift-$shift"
done
unset shift
suite suite-el2 virtualization=on 512M
same suite suite-el2
suite suite-smp virtualization=off 512M -smp 4
same suite suite-smp
echo "kernel boots: all good"
