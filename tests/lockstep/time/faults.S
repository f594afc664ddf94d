// Every kind of synchronous exception once, MMU off: which of them advance time. X26 numbers the cases.
    .section .text, "ax"
    .globl _start
    .macro case number
    movz x26, #\number
    .endm
_start:
    msr daifset, #15
    adr x0, vectors
    msr vbar_el1, x0
    msr cpacr_el1, xzr
    isb
    adr x0, stack
    mov sp, x0
    case 1                          // data aborts: nothing is there
    movz x1, #0x0f00, lsl #16
    ldr x2, [x1]
    str x2, [x1]
    case 2                          // unaligned with the MMU off: no fault on QEMU
    adr x1, stack
    ldr x2, [x1, #1]
    case 3                          // UNDEFINED: UDF, unallocated, unknown register, EL3's and EL2's, a read-only one
    udf #0
    .word 0x0b20ffff
    .word 0xd51efc00
    .word 0xd53efc01
    mrs x1, scr_el3
    mrs x1, hcr_el2
    .word 0xd5180000
    case 4                          // calls
    svc #1
    movz x0, #0x8400, lsl #16
    hvc #0
    movz x0, #0x1234
    hvc #0
    movz x0, #0x8400, lsl #16
    smc #0
    brk #1
    hlt #1
    case 5                          // FP and SIMD are off
    fmov d0, #1.0
    adr x1, stack
    ldr q0, [x1]
    case 6                          // an illegal return
    mov x1, #0x3df
    msr spsr_el1, x1
    adr x1, 1f
    msr elr_el1, x1
    eret
1:  nop
    nop
    case 7                          // hints
    wfe
    yield
    sev
    sevl
    case 8                          // a misaligned PC
    adr x25, 2f
    adr x1, 2f + 2
    br x1
2:  case 9                          // nothing to fetch
    adr x25, 3f
    movz x1, #0x0f00, lsl #16
    br x1
3:  case 10                         // EL0, with WFI and WFE trapped
    mrs x1, sctlr_el1
    bic x1, x1, #(1 << 16)
    bic x1, x1, #(1 << 18)
    msr sctlr_el1, x1
    adr x1, user
    msr elr_el1, x1
    mov x1, #0x3c0
    msr spsr_el1, x1
    eret
user:
    mrs x1, midr_el1
    msr vbar_el1, x1
    mrs x1, ctr_el0
    mrs x1, cntvct_el0
    wfi
    wfe
    dc zva, x1
    ic ivau, x1
    dc civac, x1
    hvc #0
    smc #0
    eret
    tlbi vmalle1
    at s1e1r, x1
    svc #0x7f
    case 11                         // an unaligned exclusive
    msr spsel, #0
    msr spsel, #1
    adr x1, stack + 1
    ldxr x2, [x1]
    movz x0, #0x8400, lsl #16       // PSCI SYSTEM_OFF
    movk x0, #8
    hvc #0
    .balign 2048
vectors:
    .rept 16
    .balign 128
    b handler
    .endr
    .balign 128
handler:
    mrs x20, esr_el1
    lsr x21, x20, #26
    mrs x22, elr_el1
    cmp x21, #0x15
    b.eq call
    cmp x21, #0x16
    b.eq return
    cmp x21, #0x21
    b.eq elsewhere
    cmp x21, #0x22
    b.eq elsewhere
    cmp x21, #0x0e
    b.eq kernel
    add x22, x22, #4
    msr elr_el1, x22
return:
    eret
elsewhere:
    msr elr_el1, x25
    eret
call:
    and x21, x20, #0xffff
    cmp x21, #0x7f
    b.ne return
kernel:
    mov x23, #0x3c5
    msr spsr_el1, x23
    eret
    .balign 16
    .space 256
stack:
    .space 256
