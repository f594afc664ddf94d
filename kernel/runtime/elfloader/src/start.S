// Entry, and what is done to memory while the MMU is off: all of it is Device memory then, so every access is aligned.

.section .text.start, "ax"
.global _start
.type   _start, %function
_start:
        b       1f                              // an arm64 Image header, should anybody make one of this file
        .long   0
        .quad   0x1000000
        .quad   LOADER_SIZE
        .quad   2
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0
1:      mrs     x1, mpidr_el1
        tst     x1, #0xff
        b.ne    4f                              // only processor 0 goes on
        adrp    x1, __stack_top
        add     x1, x1, :lo12:__stack_top
        mov     sp, x1
        mov     x29, #0
        mov     x30, #0
        bl      load
4:      wfe
        b       4b

// copy(to, from, bytes): words as long as both are aligned, then bytes.
.section .text.memory, "ax"
.global copy
.type   copy, %function
copy:   orr     x3, x0, x1
        tst     x3, #7
        b.ne    2f
1:      cmp     x2, #8
        b.lo    2f
        ldr     x3, [x1], #8
        str     x3, [x0], #8
        sub     x2, x2, #8
        b       1b
2:      cbz     x2, 3f
        ldrb    w3, [x1], #1
        strb    w3, [x0], #1
        sub     x2, x2, #1
        b       2b
3:      ret

// clear(from, bytes)
.global clear
.type   clear, %function
clear:  cbz     x1, 3f
        tst     x0, #7
        b.ne    2f
1:      cmp     x1, #16
        b.lo    2f
        stp     xzr, xzr, [x0], #16
        sub     x1, x1, #16
        b       clear
2:      strb    wzr, [x0], #1
        sub     x1, x1, #1
        b       clear
3:      ret

// line() -> bytes in the smallest data cache line
line:   mrs     x3, ctr_el0
        ubfx    x3, x3, #16, #4
        mov     x2, #4
        lsl     x2, x2, x3
        ret

// flush(from, to): writes dirty lines back and drops them, before memory is written past the cache.
.global flush
.type   flush, %function
flush:  mov     x4, x30
        bl      line
        sub     x3, x2, #1
        bic     x0, x0, x3
1:      dc      civac, x0
        add     x0, x0, x2
        cmp     x0, x1
        b.lo    1b
        dsb     sy
        ret     x4

// forget(from, to): drops lines that were filled meanwhile. Nobody wrote to them, since the MMU is off.
.global forget
.type   forget, %function
forget: mov     x4, x30
        bl      line
        sub     x3, x2, #1
        bic     x0, x0, x3
1:      dc      ivac, x0
        add     x0, x0, x2
        cmp     x0, x1
        b.lo    1b
        dsb     sy
        ret     x4

// enter(tree, start, end, entry, offset, kernel)
.global enter
.type   enter, %function
enter:  ic      iallu
        dsb     sy
        isb
        br      x5
