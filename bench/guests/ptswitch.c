/* ptswitch: 32 address spaces in turn. A switch writes TTBR0_EL1 with the table and the ASID of the next; in each, a function that
 * is mapped at the same address, but is one of four, works on 24 pages of its own. Now and then two pages of a space that is not
 * current change places, with TLBI by ASID, or two of the current one, with TLBI by address. */
#include "guest.h"

const char s_name[] = "ptswitch spaces=32";

enum { SPACES = 32, PAGES = 24, PAGE = 4096, SWITCHES = 200000, KINDS = 4, CODE = 511 };
#define WINDOW 0x80000000ul     /* entry 2 of a first-level table, which the common map leaves empty */
#define NORMAL 0x0f07ul         /* page, AF, inner shareable, AttrIdx1; not global; executable at EL1 */
#define TABLE 3ul

/* visit(x0 = first page, x1 = seed, x2 = pages): x0 = what it makes of them. Position independent, 4 of them, 64 bytes each. */
__asm__(".pushsection .text\n"
        ".balign 64\n"
        "visits:\n"
        ".irp does, add, eor, sub, bic\n"
        "1: ldr x3, [x0, x1, lsl #3]\n"
        "   madd x4, x3, x2, x1\n"
        "   \\does x3, x4, x3, lsr #3\n"
        "   str x3, [x0, x1, lsl #3]\n"
        "   eor x1, x1, x3\n"
        "   and x1, x1, #511\n"
        "   add x0, x0, #4096\n"
        "   subs x2, x2, #1\n"
        "   b.ne 1b\n"
        "   add x0, x3, x1\n"
        "   ret\n"
        ".balign 64\n"
        ".endr\n"
        ".popsection\n");
extern const u64 visits[] __attribute__((visibility("hidden"))); /* else it is found through a table of addresses, which ties the image to one */

typedef u64 visit(u64 page, u64 seed, u64 pages);
struct space {
    u64 ttbr;
    u64 *entries;
};

static u64 *page(u8 **free)
{
    u64 *at = (u64 *)*free;
    *free += PAGE;
    for (u32 i = 0; i < PAGE / 8; i++) at[i] = 0;
    return at;
}

static void swap(u64 *entries, u64 a, u64 b)
{
    u64 kept = entries[a];
    entries[a] = entries[b];
    entries[b] = kept;
    __asm__ volatile("dsb ishst" ::: "memory");
}

u64 work(u8 *scratch)
{
    struct space spaces[SPACES];
    u8 *free = scratch;
    u64 home = read_sysreg(ttbr0_el1);
    const u64 *common = (const u64 *)home;
    u64 *code[KINDS];
    for (u32 kind = 0; kind < KINDS; kind++) {
        code[kind] = page(&free);
        for (u32 i = 0; i < 8; i++) code[kind][i] = visits[kind * 8 + i];
        code_written(code[kind], 64);
    }
    for (u64 s = 0; s < SPACES; s++) {
        u64 *l1 = page(&free), *l2 = page(&free), *l3 = page(&free);
        l1[0] = common[0];
        l1[1] = common[1];
        l1[2] = (u64)l2 | TABLE;
        l2[0] = (u64)l3 | TABLE;
        for (u32 i = 0; i < PAGES; i++) {
            u64 *data = page(&free);
            data[s] = s * PAGES + i;
            l3[i] = (u64)data | NORMAL;
        }
        l3[CODE] = (u64)code[s % KINDS] | NORMAL;
        spaces[s] = (struct space){(u64)l1 | (s + 1) << 48, l3};
    }
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
    u64 x = 0;
    for (u64 i = 0; i < SWITCHES; i++) {
        u64 s = i % SPACES;
        write_sysreg(ttbr0_el1, spaces[s].ttbr);
        x = x * 31 + ((visit *)(WINDOW + CODE * PAGE))(WINDOW, (x + i) & 511, PAGES);
        if (i % 61 == 0) {
            u64 other = (s + 7) % SPACES;
            swap(spaces[other].entries, x % PAGES, i % PAGES);
            __asm__ volatile("tlbi aside1, %0\n\tdsb ish\n\tisb" ::"r"((other + 1) << 48) : "memory");
        }
        if (i % 53 == 0) {
            swap(spaces[s].entries, 0, i % PAGES);
            u64 asid = (s + 1) << 48, first = WINDOW >> 12;
            __asm__ volatile("tlbi vae1, %0\n\ttlbi vae1, %1\n\tdsb ish\n\tisb" ::"r"(asid | first),
                             "r"(asid | (first + i % PAGES))
                             : "memory");
        }
    }
    write_sysreg(ttbr0_el1, home);
    return x;
}
