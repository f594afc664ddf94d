// registers_survive() -> 1 if X0 to X30, SP and the flags are the same after a breakpoint exception as before it.

.section .text.probe, "ax"
.global registers_survive
.type   registers_survive, %function
registers_survive:
        stp     x29, x30, [sp, #-96]!
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        mov     x0, sp
        str     x0, [sp, #-16]!
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        mov     x\n, #(0x5a00 + \n)
        .endr
        cmp     x0, x1                          // N set, Z C V clear
        brk     #0x4b41
        b.pl    1f
        b.cs    1f
        .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        sub     x\n, x\n, x0
        cmp     x\n, #\n
        b.ne    1f
        .endr
        mov     x1, #0x5a00
        cmp     x0, x1
        b.ne    1f
        ldr     x0, [sp]
        add     x1, sp, #16
        cmp     x0, x1
1:      cset    x0, eq
        add     sp, sp, #16
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     x29, x30, [sp], #96
        ret
