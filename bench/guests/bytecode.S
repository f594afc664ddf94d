// bytecode: an interpreter of a register machine with 28 opcodes, one BR through a table for every bytecode.
// Its program, 66 times over: a sieve, Collatz sequences, Fibonacci by recursion, an insertion sort of 128 numbers.
    .include "common.inc"
    .equ v_svc, bad
    .equ v_irq, bad

// A bytecode is a word: opcode, a, b, c in its bytes from the lowest on; in some of them b and c together are a signed number.
// x22 next bytecode, x24 table, x25 registers r0-r15, x26 memory, x27 stack.
    .macro next
    ldr   w0, [x22], #4
    uxtb  w1, w0
    ldrsw x1, [x24, x1, lsl #2]
    add   x1, x24, x1
    br    x1
    .endm
    .macro operand_a reg
    ubfx  w2, w0, #8, #8
    ldr   \reg, [x25, x2, lsl #3]
    .endm
    .macro operand_b reg
    ubfx  w3, w0, #16, #8
    ldr   \reg, [x25, x3, lsl #3]
    .endm
    .macro operand_c reg
    lsr   w4, w0, #24
    ldr   \reg, [x25, x4, lsl #3]
    .endm
    .macro result reg
    ubfx  w2, w0, #8, #8
    str   \reg, [x25, x2, lsl #3]
    next
    .endm
    .macro binary op
    operand_b x5
    operand_c x6
    \op   x5, x5, x6
    result x5
    .endm
    .macro jump_if condition
    operand_a x5
    operand_b x6
    cmp   x5, x6
    b.\condition 9f
    next
9:  asr   w4, w0, #24
    add   x22, x22, w4, sxtw #2
    next
    .endm

main:
    add   x25, x28, #0x10000
    add   x26, x28, #0x20000
    add   x27, x28, #0x40000
    adr   x24, table
    adr   x22, program
    mov   x2, #16
1:  sub   x2, x2, #1
    str   xzr, [x25, x2, lsl #3]
    cbnz  x2, 1b
    start_clock
    next
halt:
    stop_clock
    ldr   x19, [x25, #15 * 8]
    b report
i_ldi:
    asr   w5, w0, #16
    sxtw  x5, w5
    result x5
i_mov:
    operand_b x5
    result x5
i_add: binary add
i_sub: binary sub
i_mul: binary mul
i_and: binary and
i_or:  binary orr
i_xor: binary eor
i_shl: binary lsl
i_shr: binary lsr
i_ror: binary ror
i_rem:
    operand_b x5
    operand_c x6
    udiv  x7, x5, x6
    msub  x5, x7, x6, x5
    result x5
i_addi:
    operand_b x5
    asr   w4, w0, #24
    add   x5, x5, w4, sxtw
    result x5
i_not:
    operand_b x5
    mvn   x5, x5
    result x5
i_ldb:
    operand_b x5
    operand_c x6
    add   x5, x5, x6
    ldrb  w5, [x26, x5]
    result x5
i_stb:
    operand_b x5
    operand_c x6
    add   x5, x5, x6
    operand_a x7
    strb  w7, [x26, x5]
    next
i_ldd:
    operand_b x5
    operand_c x6
    add   x5, x5, x6
    ldr   x5, [x26, x5, lsl #3]
    result x5
i_std:
    operand_b x5
    operand_c x6
    add   x5, x5, x6
    operand_a x7
    str   x7, [x26, x5, lsl #3]
    next
i_jmp:
    asr   w4, w0, #16
    add   x22, x22, w4, sxtw #2
    next
i_jeq: jump_if eq
i_jne: jump_if ne
i_jlt: jump_if lo
i_jge: jump_if hs
i_call:
    str   x22, [x27], #8
    asr   w4, w0, #16
    add   x22, x22, w4, sxtw #2
    next
i_ret:
    ldr   x22, [x27, #-8]!
    next
i_push:
    operand_a x5
    str   x5, [x27], #8
    next
i_pop:
    ldr   x5, [x27, #-8]!
    result x5

// The table, and the names of its rows as numbers.
    .set  opcodes, 0
    .macro row name, handler
    .equ  \name, opcodes
    .word \handler - table
    .set  opcodes, opcodes + 1
    .endm
    .balign 8
table:
    row HALT, halt
    row LDI, i_ldi
    row MOV, i_mov
    row ADD, i_add
    row SUB, i_sub
    row MUL, i_mul
    row AND, i_and
    row OR, i_or
    row XOR, i_xor
    row SHL, i_shl
    row SHR, i_shr
    row ROR, i_ror
    row REM, i_rem
    row ADDI, i_addi
    row NOT, i_not
    row LDB, i_ldb
    row STB, i_stb
    row LDD, i_ldd
    row STD, i_std
    row JMP, i_jmp
    row JEQ, i_jeq
    row JNE, i_jne
    row JLT, i_jlt
    row JGE, i_jge
    row CALL, i_call
    row RET, i_ret
    row PUSH, i_push
    row POP, i_pop

    .macro B opcode, a=0, b=0, c=0
    .byte \opcode, \a, \b, \c
    .endm
    .macro BI opcode, a, number
    .byte \opcode, \a
    .hword \number
    .endm
    .macro BJ opcode, a, b, to
9:  .byte \opcode, \a, \b, (\to - 9b - 4) / 4
    .endm
    .macro BF opcode, to
9:  .byte \opcode, 0
    .hword (\to - 9b - 4) / 4
    .endm
    .balign 4
// r15 checksum, r14 rounds, r13 zero, r12 one, r11 three
program:
    BI LDI, 14, 66
    BI LDI, 13, 0
    BI LDI, 12, 1
    BI LDI, 11, 3
p_round:
    BI LDI, 1, 4096                 // the sieve: bytes 0 to 4095 of memory
    BI LDI, 0, 0
p_fill:
    B STB, 12, 0, 13
    B ADDI, 0, 0, 1
    BJ JLT, 0, 1, p_fill
    BI LDI, 0, 2
p_candidate:
    B LDB, 3, 0, 13
    BJ JEQ, 3, 13, p_composite
    B ADDI, 15, 15, 1
    B ADD, 4, 0, 0
p_strike:
    BJ JGE, 4, 1, p_composite
    B STB, 13, 4, 13
    B ADD, 4, 4, 0
    BF JMP, p_strike
p_composite:
    B ADDI, 0, 0, 1
    BJ JLT, 0, 1, p_candidate
    BI LDI, 5, 1                    // Collatz: steps of 1 to 399
    BI LDI, 6, 400
p_start:
    B MOV, 0, 5
p_step:
    BJ JEQ, 0, 12, p_arrived
    B ADDI, 15, 15, 1
    B AND, 2, 0, 12
    BJ JNE, 2, 13, p_odd
    B SHR, 0, 0, 12
    BF JMP, p_step
p_odd:
    B MUL, 0, 0, 11
    B ADD, 0, 0, 12
    BF JMP, p_step
p_arrived:
    B ADDI, 5, 5, 1
    BJ JLT, 5, 6, p_start
    BI LDI, 0, 15                   // Fibonacci
    BF CALL, p_fib
    B XOR, 15, 15, 1
    BI LDI, 2, 13
    B ROR, 15, 15, 2
    BI LDI, 0, 0                    // 128 numbers below 1000, from the checksum
    BI LDI, 1, 128
    BI LDI, 2, 7
    BI LDI, 4, 17
    BI LDI, 9, 1000
    BI LDI, 6, 1024
    B OR, 3, 15, 12
p_number:
    B SHL, 5, 3, 2
    B XOR, 3, 3, 5
    B SHR, 5, 3, 4
    B XOR, 3, 3, 5
    B REM, 5, 3, 9
    B STD, 5, 0, 6
    B ADDI, 0, 0, 1
    BJ JLT, 0, 1, p_number
    BI LDI, 0, 1                    // sorted by insertion
p_insert:
    B LDD, 3, 0, 6
    B MOV, 4, 0
p_shift:
    BJ JEQ, 4, 13, p_place
    B ADDI, 5, 4, -1
    B LDD, 7, 5, 6
    BJ JGE, 3, 7, p_place
    B STD, 7, 4, 6
    B MOV, 4, 5
    BF JMP, p_shift
p_place:
    B STD, 3, 4, 6
    B ADDI, 0, 0, 1
    BJ JLT, 0, 1, p_insert
    BI LDI, 0, 0                    // and summed up
p_sum:
    B LDD, 3, 0, 6
    B NOT, 3, 3
    B ROR, 15, 15, 12
    B SUB, 15, 15, 3
    B ADDI, 0, 0, 1
    BJ JLT, 0, 1, p_sum
    B ADDI, 14, 14, -1
    BJ JEQ, 14, 13, p_end
    BF JMP, p_round
p_end:
    B HALT
p_fib:                              // r1 = fib(r0)
    BI LDI, 2, 2
    BJ JLT, 0, 2, p_small
    B PUSH, 0
    B ADDI, 0, 0, -1
    BF CALL, p_fib
    B POP, 0
    B PUSH, 1
    B ADDI, 0, 0, -2
    BF CALL, p_fib
    B POP, 3
    B ADD, 1, 1, 3
    B RET
p_small:
    B MOV, 1, 0
    B RET
s_name: .asciz "bytecode rounds=66"
