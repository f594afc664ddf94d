#!/usr/bin/env bash
# Writes what the bundled KaaL image prints on QEMU 7.2, from EL1 and from EL2, into the files that kaal-boot.test.ts compares with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

boot() { # boot VIRTUALIZATION FILE
  timeout 120 qemu-system-aarch64 -M "virt,gic-version=2,dtb-randomness=off,virtualization=$1" -cpu cortex-a53 -m 512M -display none -monitor none -net none \
    -icount shift=1,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm -serial "file:$2" -kernel ../../kernel/prebuilt/kaal.elf
}
boot off kaal-boot.uart.txt
boot on kaal-boot-el2.uart.txt
