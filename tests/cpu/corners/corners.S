// Corners of the architecture, one line of output each: faults in the middle of accesses, address translation, words that are
// unallocated or odd, exclusives, illegal returns, system registers written with ones, address sizes out of range.
//
// A line has the test's number, the syndrome, fault address, return address and saved PSTATE of the exception that it ended with
// (zeros if none), DAIF, and X0, X1 and X2; lines from 100 to 111 and from 400 have PAR_EL1 of four AT instructions in place of the first four.
//
//   aarch64-linux-gnu-gcc -nostdlib -static -s -Wl,-Ttext=0x40080000 -Wl,--build-id=none -Wl,-z,max-page-size=4096 -o corners.elf corners.S
//   qemu-system-aarch64 -M virt -cpu cortex-a53 -m 512M -nographic -net none -icount shift=1,sleep=off -kernel corners.elf > qemu.txt

// T starts a test, R ends it; an exception goes on at its R.
.macro T id
  mov x19, #\id
  mov x20, #0
  mov x21, #0
  mov x22, #0
  mov x23, #0
  mov x24, #0
  msr far_el1, xzr
  adr x28, 9f
.endm
.macro R
9: bl report
.endm
.globl _start
_start:
  adrp x0, stack_top
  add x0, x0, :lo12:stack_top
  mov sp, x0
  mov x19, #90
  mov x2, #0x123
  at s1e1r, x2
  mrs x20, par_el1
  at s1e0w, x2
  mrs x21, par_el1
  mov x2, #1
  lsl x2, x2, #40
  at s1e1r, x2
  mrs x22, par_el1
  mov x2, #1
  lsl x2, x2, #60
  at s1e1r, x2
  mrs x23, par_el1
  mov x24, #0
  mov x0, #0
  mov x1, #0
  bl report
  adrp x1, tables
  add x1, x1, :lo12:tables
  // L1: [0] device, [1] -> L2
  mov x2, #0x401            // block, device
  orr x2, x2, #4
  str x2, [x1]
  add x3, x1, #0x1000
  orr x4, x3, #3
  str x4, [x1, #8]
  // L2: [0] 2M normal code, [1] -> L3, [4] 2M normal
  mov x2, #0x40000000
  mov x5, #0x701
  orr x6, x2, x5
  str x6, [x3]
  add x4, x1, #0x2000
  orr x6, x4, #3
  str x6, [x3, #8]
  mov x2, #0x40800000
  orr x6, x2, x5
  str x6, [x3, #32]
  // L3 at x4
  mov x5, #0x703
  orr x6, x2, x5
  str x6, [x4]              // 0: rw
  add x2, x2, #0x1000
  mov x5, #0x783
  orr x6, x2, x5
  str x6, [x4, #16]         // 2: ro
  mov x5, #0x303
  orr x6, x2, x5
  str x6, [x4, #24]         // 3: no AF
  mov x5, #0x407
  orr x6, x2, x5
  str x6, [x4, #32]         // 4: device, rw
  mov x5, #0x743
  orr x6, x2, x5
  str x6, [x4, #40]         // 5: user rw
  mov x5, #0x7c3
  orr x6, x2, x5
  str x6, [x4, #48]         // 6: user ro
  mov x5, #0x701
  orr x6, x2, x5
  str x6, [x4, #56]         // 7: bits 01 at level 3
  mov x5, #0x70b
  orr x6, x2, x5
  str x6, [x4, #64]         // 8: attr 2 (0x44)
  mov x5, #0x50f
  orr x6, x2, x5
  str x6, [x4, #72]         // 9: attr 3 (0x0c), sh 1
  msr ttbr0_el1, x1
  msr ttbr1_el1, x1
  ldr x2, =0x0c4400ff
  msr mair_el1, x2
  ldr x2, =0x280190019
  msr tcr_el1, x2
  isb
  adr x2, vectors
  msr vbar_el1, x2
  mrs x2, sctlr_el1
  orr x2, x2, #1
  msr sctlr_el1, x2
  isb
  ldr x26, =0x40200000
  ldr x0, =0x1111111111111111
  ldr x1, =0x2222222222222222

  T 1
  add x2, x26, #0xffd
  ldr x0, [x2]
  R
  T 2
  add x2, x26, #0xffd
  str x1, [x2]
  R
  T 3
  ldr x0, [x26, #0xff8]
  R
  T 4
  add x2, x26, #0xff8
  ldp x0, x1, [x2], #16
  R
  T 5
  add x2, x26, #0x1000
  add x2, x2, #8
  stp x1, x1, [x2, #-16]!
  R
  T 6
  ldr x0, [x26, #0xff8]
  R
  T 7
  add x2, x26, #0x4000
  ldr x0, [x2, #1]
  R
  T 8
  add x2, x26, #0x2000
  str x0, [x2, #8]
  R
  T 9
  add x2, x26, #0x3000
  ldr x0, [x2, #8]
  R
  T 10
  add x2, x26, #0x7000
  ldr x0, [x2, #8]
  R
  T 11
  add x2, x26, #0x1000
  add x2, x2, #0x7b
  dc zva, x2
  R
  T 12
  add x2, x26, #0x1000
  dc cvac, x2
  dc ivac, x2
  dc civac, x2
  ic ivau, x2
  R
  T 13
  add x2, x26, #0x4000
  dc zva, x2
  R
  T 14
  add x2, x26, #0xff8
  ldr w0, [x2, #6]
  R
  T 15
  add x2, x26, #0x1000
  add x2, x2, #0xffc
  str x1, [x2]
  R
  T 16
  add x2, x26, #0x1000
  sub x2, x2, #4
  ldpsw x0, x1, [x2]
  R
  T 17
  sub x2, x26, #4
  ldr x0, [x2]
  R
  T 18
  mov x2, #0xb000000
  ldr x0, [x2]
  R
  T 19
  mov x2, #1
  lsl x2, x2, #38
  orr x2, x2, #0x1000
  ldr x0, [x2]
  R
  T 20
  mov x2, #1
  lsl x2, x2, #50
  ldr x0, [x2]
  R
  T 21
  mov x2, #0x4000000
  lsl x2, x2, #4
  add x2, x2, #0x1000
  str x1, [x2, x2]
  R
  mov x19, #100
  mov x25, #0
at_loop:
  add x2, x26, x25, lsl #12
  add x2, x2, #0x123
  at s1e1r, x2
  mrs x20, par_el1
  at s1e1w, x2
  mrs x21, par_el1
  at s1e0r, x2
  mrs x22, par_el1
  at s1e0w, x2
  mrs x23, par_el1
  mov x24, #0
  bl report
  add x19, x19, #1
  add x25, x25, #1
  cmp x25, #12
  b.ne at_loop
  // unallocated and odd words
  // W: one word, with known X0 to X2
  .macro W id, word
  T \id
  ldr x0, =0x4020000011111111
  mov x1, #5
  mov x2, x26
  .inst \word
  R
  .endm
  str x0, [x26]
  W 201, 0xffffffff
  W 202, 0x1e624020
  W 203, 0xd67f0000
  W 204, 0xd4a00001
  W 205, 0xd6bf03e0
  W 206, 0x5e000000
  W 207, 0x0e000000
  W 208, 0xfc000040
  W 209, 0x1fffffff
  W 210, 0x68c00408
  W 211, 0x69402048
  W 212, 0x08d1af9c
  W 213, 0xf8408442
  W 214, 0x9b417c01
  W 215, 0x9b410001
  W 216, 0x3d800040
  W 217, 0x2d400440
  W 218, 0xd5033e3f
  W 219, 0xd503383f
  W 220, 0xd50343bf
  W 221, 0x8b00a820
  W 222, 0x5b20001f
  W 223, 0xc8dfef40
  W 224, 0xc85f0040
  W 225, 0x0fffffff
  W 226, 0x2fffffff
  W 227, 0xbfffffff
  W 228, 0xdeadbeef
  W 229, 0x1ee00000
  W 230, 0x0d000000
  W 231, 0x4dffffff
  W 232, 0x9c000000
  W 233, 0xdc000000
  // exclusives of mixed size
  T 240
  ldr x0, =0x1234567811111111
  str x0, [x26]
  ldxr x3, [x26]
  mov x1, #5
  mov w0, #7
  stxr w0, w1, [x26]
  ldr x1, [x26]
  R
  T 241
  ldr x0, =0x1234567811111111
  str x0, [x26]
  ldxp w3, w4, [x26]
  mov x1, #5
  mov w0, #7
  stxr w0, x1, [x26]
  ldr x1, [x26]
  R
  T 242
  ldr x0, =0x1234567811111111
  str x0, [x26]
  ldxr w3, [x26]
  mov x1, #5
  mov w0, #7
  stxrb w0, w1, [x26]
  ldr x1, [x26]
  R
  T 243
  ldr x0, =0x1234567811111111
  str x0, [x26]
  ldxr x3, [x26]
  mov x1, #5
  mov w0, #7
  stxp w0, w1, w1, [x26]
  ldr x1, [x26]
  R
  T 244
  mov x0, #0
  mov x1, #0
  ldxr x3, [x26]
  svc #1
  R
  T 245
  mov w0, #7
  stxr w0, x3, [x26]
  R
  // E: a return with this SPSR
  .macro E id, spsr
  T \id
  ldr x0, =\spsr
  msr spsr_el1, x0
  adr x0, 8f
  msr elr_el1, x0
  eret
8: nop
  R
  .endm
  E 250, 0x90000089
  E 251, 6
  E 252, 1
  E 253, 0xd
  E 254, 0x00300005
  E 255, 0x00100005
  E 256, 0xffffffef
  E 257, 0x2f
  // S: a system register written with ones
  .macro S id, reg
  T \id
  mov x0, #-1
  mrs x3, \reg
  msr \reg, x0
  mrs x0, \reg
  msr \reg, x3
  mov x1, x3
  R
  .endm
  S 300, par_el1
  S 301, esr_el1
  S 302, far_el1
  S 303, spsr_el1
  S 304, cntkctl_el1
  S 305, csselr_el1
  S 306, mair_el1
  S 307, contextidr_el1
  S 308, cpacr_el1
  S 309, tpidr_el0
  S 310, elr_el1
  S 311, vbar_el1
  S 312, afsr0_el1
  S 313, sp_el0
  // upper half: T0SZ out of range
  ldr x27, =0xffffff8000000000
  adr x0, 1f
  orr x0, x0, x27
  mov x1, sp
  orr x1, x1, x27
  mov sp, x1
  br x0
1: mov x25, #0
tsz_loop:
  ldr x2, =0x280190000
  orr x2, x2, x25
  msr tcr_el1, x2
  isb
  tlbi vmalle1
  dsb sy
  isb
  mov x19, #400
  add x19, x19, x25
  mov x2, #0x40000000
  at s1e1r, x2
  mrs x20, par_el1
  mov x2, #0x1000
  at s1e1r, x2
  mrs x21, par_el1
  mov x2, #0
  at s1e1r, x2
  mrs x22, par_el1
  mov x2, #0x8000000
  at s1e1r, x2
  mrs x23, par_el1
  bl report_hi
  add x25, x25, #1
  cmp x25, #64
  b.ne tsz_loop
  ldr x0, =0x84000008
  hvc #0
  b .

report_hi:
  ldr x10, =0xffffff8009000000
  b 1f
report:
  mov x10, #0x09000000
1: stp x0, x1, [sp, #-32]!
  str x30, [sp, #16]
  mov x11, x19
  bl hex
  mov x11, x20
  bl hex
  mov x11, x21
  bl hex
  mov x11, x22
  bl hex
  mov x11, x23
  bl hex
  mov x11, x24
  bl hex
  ldr x11, [sp]
  bl hex
  ldr x11, [sp, #8]
  bl hex
  mov x11, x2
  bl hex
  mov w12, #10
  strb w12, [x10]
  ldr x30, [sp, #16]
  ldp x0, x1, [sp], #32
  ret
hex:
  mov w13, #60
2: lsr x12, x11, x13
  and w12, w12, #15
  cmp w12, #10
  add w14, w12, #48
  add w12, w12, #87
  csel w12, w14, w12, lt
  strb w12, [x10]
  subs w13, w13, #4
  b.ge 2b
  mov w12, #32
  strb w12, [x10]
  ret

.balign 2048
vectors:
.rept 16
  mov x24, #1
  b handler
  .balign 128
.endr
handler:
  adr x24, vectors
  mrs x20, esr_el1
  mrs x21, far_el1
  mrs x22, elr_el1
  mrs x23, spsr_el1
  mrs x24, daif
  msr elr_el1, x28
  mov x29, #0x3c5
  msr spsr_el1, x29
  eret
.ltorg
.bss
.balign 4096
.skip 4096
stack_top:
.balign 4096
tables:
.skip 0x4000
