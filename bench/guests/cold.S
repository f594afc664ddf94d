// cold: 1,024 distinct functions of 20 to 59 instructions, copied to 48 places and run three times in each: 49,152 functions that
// never get hot. Their instructions come from a generator of numbers in the assembler's macros.
    .include "common.inc"
    .equ v_svc, bad
    .equ v_irq, bad
    .equ FUNCTIONS, 1024
    .equ COPIES, 48
    .equ RUNS, 3

// x22 copies to go, x23 where the next goes, x24 bytes of one, x25 runs to go, x26 functions to go, x27 number of the next.
main:
    add   x8, x28, #0x10000         // what the functions load and store: 512 bytes
    mov   x0, #0
1:  str   xzr, [x8, x0]
    add   x0, x0, #8
    cmp   x0, #512
    b.ne  1b
    .irp  n, 0, 1, 2, 3, 4, 5, 6, 7
    mov   x\n, #\n * 4099
    .endr
    mov   x22, #COPIES
    add   x23, x28, #0x200000
    adr   x24, functions
    adrp  x9, functions_end
    add   x9, x9, :lo12:functions_end
    sub   x24, x9, x24
    start_clock
copy:
    adr   x9, functions
    mov   x10, x23
    add   x11, x23, x24
2:  ldp   x12, x13, [x9], #16
    stp   x12, x13, [x10], #16
    cmp   x10, x11
    b.lo  2b
    mov   x10, x23
3:  dc    cvau, x10
    add   x10, x10, #64
    cmp   x10, x11
    b.lo  3b
    dsb   ish
    mov   x10, x23
4:  ic    ivau, x10
    add   x10, x10, #64
    cmp   x10, x11
    b.lo  4b
    dsb   ish
    isb
    mov   x25, #RUNS
run:
    mov   x26, #FUNCTIONS
call:
    add   x27, x27, #389            // odd: every function comes once in a run
    and   x27, x27, #FUNCTIONS - 1
    adr   x9, offsets
    ldr   w10, [x9, x27, lsl #2]
    add   x10, x23, x10
    blr   x10
    subs  x26, x26, #1
    b.ne  call
    subs  x25, x25, #1
    b.ne  run
    add   x23, x23, x24
    subs  x22, x22, #1
    b.ne  copy
    mov   x19, x0
    stop_clock
    b report
s_name: .asciz "cold functions=49152"

// Numbers 0 to n-1 for the macros below.
    .set  seed, 20231117
    .macro draw symbol, n
    .set  seed, (seed * 1103515245 + 12345) & 0x7fffffff
    .set  \symbol, (seed >> 12) % \n
    .endm
// One instruction, from numbers; d, n, m are registers 0 to 7, k is 0 to 31.
    .macro instruction kind, d, n, m, k
    .if \kind == 0
    .inst 0x8b000000 | \m << 16 | \k << 10 | \n << 5 | \d           // add  xd, xn, xm, lsl #k
    .elseif \kind == 1
    .inst 0xcb400000 | \m << 16 | \k << 10 | \n << 5 | \d           // sub  xd, xn, xm, lsr #k
    .elseif \kind == 2
    .inst 0xcac00000 | \m << 16 | \k << 10 | \n << 5 | \d           // eor  xd, xn, xm, ror #k
    .elseif \kind == 3
    .inst 0x9b000000 | \m << 16 | \d << 10 | \n << 5 | \d           // madd xd, xn, xm, xd
    .elseif \kind == 4
    .inst 0xf2800000 | (\k & 3) << 21 | (\k * 1999) << 5 | \d       // movk xd, #..., lsl #...
    .elseif \kind == 5
    .inst 0xf9400100 | \k << 10 | \d                                // ldr  xd, [x8, #8k]
    .elseif \kind == 6
    .inst 0xf9000100 | \k << 10 | \d                                // str  xd, [x8, #8k]
    .elseif \kind == 7
    .inst 0xeb00001f | \m << 16 | \n << 5                           // cmp  xn, xm
    .elseif \kind == 8
    .inst 0x9a800400 | \m << 16 | (\k & 13) << 12 | \n << 5 | \d    // csinc xd, xn, xm, cond
    .elseif \kind == 9
    .inst 0x54000040 | (\k & 13)                                    // b.cond over the next
    .elseif \kind == 10
    .inst 0xb4000060 | (\k & 1) << 24 | \d                          // cbz/cbnz xd over the next two
    .else
    .inst 0x36000040 | \k << 19 | \d                                // tbz  wd, #k over the next
    .endif
    .endm

    .balign 64
functions:
    .macro function
    draw  length, 40
    .rept length + 17
    draw  kind, 12
    draw  d, 8
    draw  n, 8
    draw  m, 8
    draw  k, 32
    instruction kind, d, n, m, k
    .endr
    eor   x0, x0, x1, ror #9
    add   x0, x0, x2
    ret
    .endm
    .macro label number
.Lf\number:
    .endm
    .macro offset number
    .word .Lf\number - functions
    .endm
// Does something with the numbers of all functions in place of symbols; only then may `%` stand for a value.
    .macro numbered does
    .altmacro
    \does %number
    .noaltmacro
    .set  number, number + 1
    .endm
    .set  number, 0
    .rept FUNCTIONS
    numbered label
    function
    .endr
    .balign 64
functions_end:
offsets:
    .set  number, 0
    .rept FUNCTIONS
    numbered offset
    .endr
