// From reset to Rust: drop to EL1, clear .bss, build a coarse map, turn the MMU on, jump to the upper half.
// Names in braces are constants from mod.rs.

.section .boot.head, "ax"
.global _head
.type   _head, %function
_head:                                          // an arm64 Image header, for loaders that want one
        b       primary_entry
        .long   0
        .quad   0x200000                        // offset of the image from the start of RAM
        .quad   IMAGE_SIZE
        .quad   0x2                             // little-endian, 4 KiB pages
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0

.type   primary_entry, %function
primary_entry:
        mov     x19, x0                         // device tree, or 0
        mov     x22, x1                         // the root task's image, first and one past the last physical address,
        mov     x23, x2                         // its entry point, and physical minus virtual addresses: all 0 if there
        mov     x24, x3                         // is none
        mov     x25, x4
        mrs     x20, CurrentEL
        lsr     x20, x20, #2                    // the exception level we came in at
        mrs     x1, mpidr_el1
        tst     x1, #0xff
        b.ne    park                            // only processor 0 goes on
        cmp     x20, #2
        b.lo    at_el1
        b.hi    park                            // EL3 is a firmware's place, not ours

        mov     x0, #{HCR_RW}                     // EL1 is AArch64, nothing traps to EL2
        msr     hcr_el2, x0
        mov     x0, #{CPTR_RES1}
        msr     cptr_el2, x0
        msr     hstr_el2, xzr
        mov     x0, #3                          // EL1 may use the physical counter and timer
        msr     cnthctl_el2, x0
        msr     cntvoff_el2, xzr
        msr     vttbr_el2, xzr
        mrs     x0, midr_el1
        msr     vpidr_el2, x0
        mrs     x0, mpidr_el1
        msr     vmpidr_el2, x0
        ldr     w0, ={SCTLR_RES1}
        msr     sctlr_el1, x0
        mov     x0, #0x3c5                      // EL1h, everything masked
        msr     spsr_el2, x0
        adr     x0, at_el1
        msr     elr_el2, x0
        isb
        eret

.type   at_el1, %function
at_el1:
        msr     daifset, #15
        msr     spsel, #1

        ldr     x0, =__bss_start - {KERNEL_OFFSET}
        ldr     x1, =__bss_end - {KERNEL_OFFSET}
1:      stp     xzr, xzr, [x0], #16
        cmp     x0, x1
        b.lo    1b

        // One set of tables serves both halves: the offset between them is zero below bit 48.
        ldr     x21, =boot_tables - {KERNEL_OFFSET}
        add     x1, x21, #0x1000                // level 1
        add     x2, x21, #0x2000                // level 2: the first GiB of RAM
        orr     x3, x1, #3
        str     x3, [x21]
        ldr     x3, ={BLOCK_DEVICE}
        str     x3, [x1]
        orr     x3, x2, #3
        str     x3, [x1, #8]
        ldr     x3, ={BLOCK_DATA}
        mov     x4, #512
1:      str     x3, [x2], #8
        add     x3, x3, #0x200000
        subs    x4, x4, #1
        b.ne    1b
        sub     x2, x2, #0x1000
        ldr     x3, ={BLOCK_CODE}
        str     x3, [x2, #8]                    // 0x40200000: code and constants

        ldr     x0, ={MAIR}
        msr     mair_el1, x0
        ldr     x0, ={TCR}
        mrs     x1, id_aa64mmfr0_el1
        and     x1, x1, #15                     // PARange: as many physical address bits as there are, up to 48
        mov     x2, #5
        cmp     x1, x2
        csel    x1, x1, x2, lo
        orr     x0, x0, x1, lsl #32
        msr     tcr_el1, x0
        msr     ttbr0_el1, x21
        msr     ttbr1_el1, x21
        msr     cpacr_el1, xzr                  // no floating point, in the kernel or below
        dsb     sy
        tlbi    vmalle1
        ic      iallu
        dsb     sy
        isb
        ldr     w0, ={SCTLR_ON}
        msr     sctlr_el1, x0
        isb
        ldr     x0, =upper_half
        br      x0

.type   park, %function
park:   wfe
        b       park

// switch_kernel_map(root): loads TTBR1_EL1. Runs in the identity map, so that no instruction is fetched through the map
// that goes away, and no TLB ever holds entries of both.
.global switch_kernel_map
.type   switch_kernel_map, %function
switch_kernel_map:
        msr     ttbr1_el1, x0
        isb
        tlbi    vmalle1
        dsb     nsh
        isb
        ret
        .ltorg

.section .text.head, "ax"
.type   upper_half, %function
upper_half:
        ldr     x0, =__stack_top
        mov     sp, x0
        ldr     x0, =vectors
        msr     vbar_el1, x0
        isb
        mov     x0, x19
        mov     x1, x20
        mov     x2, x22
        mov     x3, x23
        mov     x4, x24
        mov     x5, x25
        mov     x29, #0
        mov     x30, #0
        bl      kernel_main
1:      wfi
        b       1b
        .ltorg

.section .bss.boot_tables, "aw", @nobits
.balign 4096
.global boot_tables
boot_tables:
        .skip   3 * 4096
