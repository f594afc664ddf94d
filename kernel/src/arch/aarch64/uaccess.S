// Accesses that may fault. Each load or store below has an entry in .fixups: where to go on when it does.

.macro may_fault target
        .pushsection .fixups, "a"
        .quad   1f, \target
        .popsection
1:
.endm

.section .text.uaccess, "ax"

// probe_read(address, to) -> 0 if *to was set, 1 if the read faulted.
.global probe_read
.type   probe_read, %function
probe_read:
        may_fault probe_failed
        ldr     x2, [x0]
        str     x2, [x1]
        mov     x0, #0
        ret

// probe_write(address, value) -> 0, or 1 if the write faulted.
.global probe_write
.type   probe_write, %function
probe_write:
        may_fault probe_failed
        str     x1, [x0]
        mov     x0, #0
        ret

// probe_execute(address) -> 0 after calling it, or 1 if the fetch faulted.
.global probe_execute
.type   probe_execute, %function
probe_execute:
        stp     x29, x30, [sp, #-16]!
        mov     x29, sp
        blr     x0
        may_fault probe_execute_failed          // a fetch is looked up by its return address
        ldp     x29, x30, [sp], #16
        mov     x0, #0
        ret
probe_execute_failed:
        ldp     x29, x30, [sp], #16
probe_failed:
        mov     x0, #1
        ret
