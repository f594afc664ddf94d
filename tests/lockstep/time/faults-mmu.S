// Faults with the MMU on: which of them advance time. X26 numbers the cases.
    .equ MMU, 1
    .include "common.inc"
    .equ v_irq, bad
    .equ v_svc, bad
main: adr x1, vec2
    msr vbar_el1, x1
    isb
    movz x26, #1
    movz x1, #0x8000, lsl #16
    ldr x2, [x1]       // translation fault
    movz x26, #2
    adr x1, main
    str x1, [x1]      // permission fault
    movz x26, #3
    adr x25, 1f
    movz x1, #0x8000, lsl #16
    br x1             // prefetch abort
1:  movz x26, #4
    adr x25, 2f
2:  movz x26, #5
    movz x1, #0x0900, lsl #16
    ldr x2, [x1, #1]     // unaligned device
    movz x26, #6
    mrs x3, sctlr_el1
    orr x3, x3, #2
    msr sctlr_el1, x3
    isb
    ldr x2, [sp, #1]
    movz x26, #7
    movz x1, #0x8000, lsl #16
    dc zva, x1
    movz x26, #8
    at s1e1r, x1
    movz x26, #9
    dc civac, x1
    ic ivau, x1
    movz x26, #10
    movz x1, #0x8000, lsl #16
    ldxr x2, [x1]
    stxr w3, x2, [x1]
    ldp x2, x3, [x1]
    prfm pldl1keep, [x1]
    movz x26, #11
    b off
s_name: .asciz "x"
    .balign 2048
vec2: .rept 16
    .balign 128
    b 1f
    .endr
1:  mrs x20, esr_el1
    mrs x22, elr_el1
    lsr x21, x20, #26
    cmp x21, #0x21
    b.eq 3f
    add x22, x22, #4
    msr elr_el1, x22
    eret
3:  msr elr_el1, x25
    eret
