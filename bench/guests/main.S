// main: start-up of the guests whose work is in C: `work(scratch)` returns the result; `s_name` is there too.
    .include "common.inc"
    .equ v_svc, bad
    .equ v_irq, bad
main:
    add x0, x28, #0x200000
    start_clock
    bl work
    mov x19, x0
    stop_clock
    b report
