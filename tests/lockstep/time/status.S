// When ISTATUS and GICD_ISPENDR show that a timer is due, and a WFI past a timer that the GIC does not let through.
    .section .text, "ax"
    .globl _start
_start:
    msr daifset, #15
    mov x12, #1
    movz x1, #0x0800, lsl #16
    str w12, [x1]
    movz w3, #0x0800, lsl #16
    str w3, [x1, #0x100]
    movz x20, #50
0:  isb
    mrs x5, cntvct_el0
    movz x6, #301
    add x6, x6, x20
    add x6, x6, x5
    msr cntv_cval_el0, x6
    msr cntv_ctl_el0, x12
    mov x7, #150
1:  mrs x8, cntv_ctl_el0
    ldr w9, [x1, #0x200]
    subs x7, x7, #1
    b.ne 1b
    subs x20, x20, #1
    b.ne 0b
    movz x2, #0x0801, lsl #16
    mrs x5, cntpct_el0
    add x6, x5, #301
    msr cntp_cval_el0, x6
    msr cntp_ctl_el0, x12
    movz w3, #0x4000, lsl #16
    str w3, [x1, #0x100]
    mrs x5, cntvct_el0
    add x6, x5, #101
    msr cntv_cval_el0, x6
    msr cntv_ctl_el0, x12
    str w12, [x2]
    mov w3, #0xf0
    str w3, [x2, #4]
    movz w3, #0x0800, lsl #16
    str w3, [x1, #0x180]
    isb
    wfi
    mrs x5, cntvct_el0
    movz x0, #0x8400, lsl #16
    movk x0, #8
    hvc #0
