#!/usr/bin/env bash
# Writes what KaaL prints on QEMU 7.2 into the files that kaal-boot.test.ts compares with: the kernel alone from EL1 and from
# EL2, the boot image with its whole test suite from EL1, and with a part of it from EL2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

boot() { # boot VIRTUALIZATION FILE IMAGE [QEMU ARGUMENT...]
  local virtualization=$1 file=$2 image=$3
  shift 3
  timeout 240 qemu-system-aarch64 -M "virt,gic-version=2,dtb-randomness=off,virtualization=$virtualization" -cpu cortex-a53 -m 512M -display none -monitor none -net none \
    -icount shift=1,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm -serial "file:$file" -kernel "../../kernel/prebuilt/$image" "$@"
}
boot off kaal-boot.uart.txt kaal.elf
boot on kaal-boot-el2.uart.txt kaal.elf
boot off kaal-suite.uart.txt bootimage.elf
boot on kaal-suite-el2.uart.txt bootimage.elf -append suite=ipc:
