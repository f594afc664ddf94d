// Interrupts of the virtual and physical timer, the GIC and the UART, raised in every way: after which instruction each is taken, and what WFI
// does to time. A log of interrupted PCs and counter values is printed at the end. X26 numbers the cases.
    .section .text, "ax"
    .globl _start
    .macro case number
    movz x26, #\number
    .endm
    .macro nops
    .rept 12
    nop
    .endr
    .endm
    .macro arm d     // a deadline in d ticks
    isb
    mrs x5, cntvct_el0
    movz x6, #\d
    add x6, x6, x5
    msr cntv_cval_el0, x6
    msr cntv_ctl_el0, x12
    .endm
    .macro past
    msr cntv_cval_el0, xzr
    msr cntv_ctl_el0, x12
    .endm
    .macro clean
    msr daifset, #2
    msr cntv_ctl_el0, xzr
    .endm
_start:
    msr daifset, #15
    adr x0, vectors
    msr vbar_el1, x0
    isb
    adr x0, stk
    movz x27, #0x4100, lsl #16
    mov x28, x27
    mov sp, x0
    mov x12, #1
    movz x1, #0x0800, lsl #16
    movz x2, #0x0801, lsl #16
    str w12, [x1]
    mov w3, #(1<<27)
    mov w13, w3
    str w3, [x1, #0x100]
    mov w3, #0xf0
    mov w14, w3
    str w3, [x2, #4]
    str w12, [x2]
    case 1  // in straight-line code
    arm 40
    msr daifclr, #2
    .rept 1000
    nop
    .endr
    clean
    case 2  // DAIFClr pending
    past
    msr daifclr, #2
    nops
    clean
    case 3 // msr daif
    past
    msr daif, xzr
    nops
    clean
    case 4 // ERET unmasks
    past
    adr x3, 1f
    msr elr_el1, x3
    mov x3, #0x5
    msr spsr_el1, x3
    eret
1:  nops
    clean
    case 5 // a write of CVAL into the past
    arm 4000
    msr daifclr, #2
    nops
    msr cntv_cval_el0, xzr
    nops
    clean
    case 6 // enabling a timer that is due
    msr cntv_cval_el0, xzr
    msr daifclr, #2
    nops
    msr cntv_ctl_el0, x12
    nops
    clean
    case 7 // TVAL 0
    arm 4000
    msr daifclr, #2
    msr cntv_tval_el0, xzr
    nops
    clean
    case 8 // GICD ISENABLER
    str w13, [x1, #0x180]
    past
    msr daifclr, #2
    nops
    str w13, [x1, #0x100]
    nops
    clean
    case 9 // PMR
    str wzr, [x2, #4]
    past
    msr daifclr, #2
    nops
    str w14, [x2, #4]
    nops
    clean
    case 10 // GICC_CTLR
    str wzr, [x2]
    past
    msr daifclr, #2
    nops
    str w12, [x2]
    nops
    clean
    case 11 // SGI
    msr daifclr, #2
    movz x3, #0x0200, lsl #16   // self
    str w3, [x1, #0xf00]
    nops
    clean
    case 12 // WFI until the deadline
    arm 10007
    msr daifclr, #2
    wfi
    nops
    clean
    case 13 // WFI with interrupts masked
    arm 10007
    wfi
    nop
    nop
    msr daifclr, #2
    nops
    clean
    case 14 // WFI with one pending
    past
    wfi
    nop
    msr daifclr, #2
    nops
    clean
    case 15 // WFE and YIELD with one pending
    past
    wfe
    nop
    yield
    nop
    msr daifclr, #2
    nops
    clean
    case 16 // WFE without an event
    arm 20003
    msr daifclr, #2
    wfe
    wfe
    .rept 300
    nop
    .endr
    clean
    case 17 // a nearer deadline replaces a far one
    arm 30001
    msr daifclr, #2
    nop
    arm 2001
    .rept 400
    nop
    .endr
    clean
    case 18 // WFI just before the deadline
    arm 1
    wfi
    nop
    msr daifclr, #2
    nops
    clean
    case 19 // WFI with two timers
    mov w3, #(1<<30)
    str w3, [x1, #0x100]
    mrs x5, cntpct_el0
    add x6, x5, #1077
    msr cntp_cval_el0, x6
    msr cntp_ctl_el0, x12
    arm 20003
    msr daifclr, #2
    wfi
    nop
    nop
    wfi
    nops
    msr cntp_ctl_el0, xzr
    clean
    case 20 // WFI past a timer that the GIC does not let through
    arm 6001
    str w13, [x1, #0x180]
    mrs x5, cntpct_el0
    add x6, x5, #3077
    msr cntp_cval_el0, x6
    msr cntp_ctl_el0, x12
    mov w3, #(1<<30)
    str w3, [x1, #0x100]
    wfi
    mrs x7, cntvct_el0
    nop
    msr daifclr, #2
    nops
    msr cntp_ctl_el0, xzr
    str w13, [x1, #0x100]
    clean
    case 21 // UARTIMSC raises the UART's line
    mov w3, #2
    str w3, [x1, #0x104]
    mov w3, #1
    strb w3, [x1, #0x821]
    movz x9, #0x0900, lsl #16
    mov w3, #0x301
    str w3, [x9, #0x30]
    mov w3, #0x41
    str w3, [x9]
    msr daifclr, #2
    nops
    mov w3, #0x20
    str w3, [x9, #0x38]
    nops
    clean
    case 22 // in a loop
    arm 50
    msr daifclr, #2
    mov x3, #500
1:  subs x3, x3, #1
    b.ne 1b
    clean
    case 23 // data aborts do not advance time
    arm 40
    msr daifclr, #2
    movz x3, #0x0f00, lsl #16
    .rept 10
    ldr x4, [x3]
    .endr
    .rept 500
    nop
    .endr
    clean
    case 24 // ISB
    past
    nop
    isb
    nop
    msr daifclr, #2
    isb
    nops
    clean
    case 25 // IMASK cleared
    past
    mov x3, #3
    msr cntv_ctl_el0, x3
    msr daifclr, #2
    nops
    msr cntv_ctl_el0, x12
    nops
    clean
    case 26 // GICD_CTLR
    str wzr, [x1]
    past
    msr daifclr, #2
    nops
    str w12, [x1]
    nops
    clean
    case 27 // ISPENDR
    msr daifclr, #2
    str w13, [x1, #0x200]
    nops
    clean
    case 28 // unmasked for one instruction
    past
    msr daifclr, #2
    msr daifset, #2
    nops
    clean
    case 29 // due within an exception handler
    arm 30
    msr daifclr, #2
    .rept 200
    svc #1
    .endr
    clean
    case 40   // deadlines that are no multiple of 1 << shift
    arm 3001
    msr daifclr, #2
    wfi
    arm 3003
    wfi
    arm 3005
    msr daifclr, #2
    .rept 70
    nop
    .endr
    arm 3007
    mov x3, #200
1:  mrs x4, cntvct_el0
    stp x4, x3, [x27], #16
    subs x3, x3, #1
    b.ne 1b
    wfe
    clean
    case 41
    mrs x5, cntpct_el0
    add x6, x5, #3009
    msr cntp_cval_el0, x6
    msr cntp_ctl_el0, x12
    msr daifclr, #2
    wfi
    mrs x23, cntvct_el0
    stp x23, x24, [x27], #16
    case 30
    movz x9, #0x900, lsl #16
1:  ldr x4, [x28], #8
    mov x5, #60
2:  lsr x6, x4, x5
    and x6, x6, #15
    cmp x6, #10
    add x7, x6, #0x30
    add x8, x6, #0x57
    csel x6, x7, x8, lo
    str w6, [x9]
    subs x5, x5, #4
    b.pl 2b
    mov w6, #10
    str w6, [x9]
    cmp x28, x27
    b.lo 1b
    movz x0, #0x8400, lsl #16
    movk x0, #8
    hvc #0
    b .
    .balign 2048
vectors:
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b irq
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b irq
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
    b sync
    .balign 128
irq:
    ldr w20, [x2, #0xc]
    mrs x23, elr_el1
    mrs x24, cntvct_el0
    stp x26, x20, [x27], #16
    stp x23, x24, [x27], #16
    cmp w20, #27
    b.ne 1f
    msr cntv_ctl_el0, xzr
1:
    cmp w20, #30
    b.ne 1f
    msr cntp_ctl_el0, xzr
1:  cmp w20, #33
    b.ne 1f
    str wzr, [x9, #0x38]
1:  str w13, [x1, #0x280]
    str w20, [x2, #0x10]
    eret
sync:
    mrs x21, esr_el1
    lsr x22, x21, #26
    cmp x22, #0x15
    b.eq 2f
    mrs x22, elr_el1
    add x22, x22, #4
    msr elr_el1, x22
2:  eret
    .balign 16
    .space 256
stk: .space 256
