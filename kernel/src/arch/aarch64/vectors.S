// The sixteen exception vectors, and the way into and out of EL0. Names in braces are constants from mod.rs:
// the layout of trap.rs's `TrapFrame`, and the address bit that is set in a stack and clear in the gap below it.

// From EL1: onto the kernel stack, unless that is used up.
.macro el1_vector number
        .balign 128
        msr     tpidr_el1, x0
        sub     x0, sp, #{FRAME_SIZE}
        tbz     x0, #{STACK_BIT}, stack_overflow
        mov     sp, x0
        mrs     x0, tpidr_el1
        stp     x0, x1, [sp]
        add     x0, sp, #{FRAME_SIZE}
        mov     x1, #\number
        str     x0, [sp, #{FRAME_SP}]
        b       el1_trap
.endm

// From EL0: SP_EL1 is the end of the running thread's own trap frame.
.macro el0_vector number
        .balign 128
        sub     sp, sp, #{FRAME_SIZE}
        stp     x0, x1, [sp]
        mov     x1, #\number
        b       el0_trap
.endm

.macro save_general
        stp     x2, x3, [sp, #16]
        stp     x4, x5, [sp, #32]
        stp     x6, x7, [sp, #48]
        stp     x8, x9, [sp, #64]
        stp     x10, x11, [sp, #80]
        stp     x12, x13, [sp, #96]
        stp     x14, x15, [sp, #112]
        stp     x16, x17, [sp, #128]
        stp     x18, x19, [sp, #144]
        stp     x20, x21, [sp, #160]
        stp     x22, x23, [sp, #176]
        stp     x24, x25, [sp, #192]
        stp     x26, x27, [sp, #208]
        stp     x28, x29, [sp, #224]
        str     x30, [sp, #240]
        mrs     x2, elr_el1
        mrs     x3, spsr_el1
        stp     x2, x3, [sp, #{FRAME_ELR}]
        mrs     x4, esr_el1
        mrs     x5, far_el1
        stp     x4, x5, [sp, #{FRAME_ESR}]
        stp     x29, x2, [sp, #{FRAME_RECORD}]
.endm

.macro restore_general
        ldp     x2, x3, [sp, #{FRAME_ELR}]
        msr     elr_el1, x2
        msr     spsr_el1, x3
        ldp     x0, x1, [sp]
        ldp     x2, x3, [sp, #16]
        ldp     x4, x5, [sp, #32]
        ldp     x6, x7, [sp, #48]
        ldp     x8, x9, [sp, #64]
        ldp     x10, x11, [sp, #80]
        ldp     x12, x13, [sp, #96]
        ldp     x14, x15, [sp, #112]
        ldp     x16, x17, [sp, #128]
        ldp     x18, x19, [sp, #144]
        ldp     x20, x21, [sp, #160]
        ldp     x22, x23, [sp, #176]
        ldp     x24, x25, [sp, #192]
        ldp     x26, x27, [sp, #208]
        ldp     x28, x29, [sp, #224]
        ldr     x30, [sp, #240]
        add     sp, sp, #{FRAME_SIZE}
        eret
.endm

.section .text.vectors, "ax"
.balign 2048
.global vectors
.type   vectors, %function
vectors:
        el1_vector 0                            // from EL1 on SP_EL0, which the kernel never uses
        el1_vector 1
        el1_vector 2
        el1_vector 3
        el1_vector 4                            // from EL1: synchronous, IRQ, FIQ, SError
        el1_vector 5
        el1_vector 6
        el1_vector 7
        el0_vector 8                            // from EL0, AArch64
        el0_vector 9
        el0_vector 10
        el0_vector 11
        el0_vector 12                           // from EL0, AArch32, which no program is
        el0_vector 13
        el0_vector 14
        el0_vector 15
        .balign 128

.type   el1_trap, %function
el1_trap:
        stp     xzr, x1, [sp, #{FRAME_TPIDR}]
        save_general
        add     x29, sp, #{FRAME_RECORD}
        mov     x0, sp
        bl      kernel_trap
        restore_general

// x0 is in TPIDR_EL1. What is left of the kernel stack is too little for a frame: report from the emergency stack.
.type   stack_overflow, %function
stack_overflow:
        mov     x0, sp
        msr     tpidrro_el0, x0
        adrp    x0, overflow_seen
        ldr     w0, [x0, :lo12:overflow_seen]
        cbnz    w0, second_overflow
        adrp    x0, __emergency_top
        add     x0, x0, :lo12:__emergency_top
        sub     sp, x0, #{FRAME_SIZE}
        mrs     x0, tpidr_el1
        stp     x0, x1, [sp]
        adrp    x1, overflow_seen
        mov     w0, #1
        str     w0, [x1, :lo12:overflow_seen]
        mrs     x0, tpidrro_el0
        str     x0, [sp, #{FRAME_SP}]
        mov     x1, #{VECTOR_OVERFLOW}
        b       el1_trap

.type   second_overflow, %function
second_overflow:
        adrp    x0, __emergency_top
        add     x0, x0, :lo12:__emergency_top
        mov     sp, x0
        mov     x29, #0
        mov     x30, #0
        b       double_fault

.type   el0_trap, %function
el0_trap:
        mrs     x0, tpidr_el0
        stp     x0, x1, [sp, #{FRAME_TPIDR}]
        mrs     x0, sp_el0
        str     x0, [sp, #{FRAME_SP}]
        save_general
        adrp    x1, kernel_sp
        ldr     x1, [x1, :lo12:kernel_sp]
        mov     x0, sp
        mov     sp, x1
        ldr     x1, [x0, #{FRAME_VECTOR}]
        mov     x29, #0
        mov     x30, #0
        bl      user_trap                       // (frame, vector) -> the frame to resume
        b       resume_user

// enter_user(frame): runs programs, beginning with this frame. Never returns: the kernel's stack begins anew, here, at
// every entry.
.global enter_user
.type   enter_user, %function
enter_user:
        adrp    x1, kernel_sp
        mov     x2, sp
        str     x2, [x1, :lo12:kernel_sp]
resume_user:
        mov     sp, x0
        ldr     x1, [sp, #{FRAME_TPIDR}]
        msr     tpidr_el0, x1
        ldr     x1, [sp, #{FRAME_SP}]
        msr     sp_el0, x1
        restore_general

.section .bss.traps, "aw", @nobits
.balign 8
kernel_sp:                                      // where the kernel's stack is while a program runs
        .skip   8
overflow_seen:
        .skip   8
