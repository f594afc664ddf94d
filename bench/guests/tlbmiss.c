/* tlbmiss: 65,536 pages of 4 KiB, mapped to 4,096 pages of memory in a scattered order, and visited in ways that no TLB holds:
 * at random, page after page, and with a stride of 257 and of 4,096 pages. */
#include "guest.h"

const char s_name[] = "tlbmiss pages=65536";

enum { PAGES = 65536, FRAMES = 4096, PAGE = 4096, PASSES = 12 };
#define WINDOW 0x80000000ul     /* entry 2 of the first-level table, which the common map leaves empty */
#define NORMAL 0x60000000000705ul /* AF, inner shareable, AttrIdx1, never executable; bit 1 makes it a page */
#define TABLE 3ul

u64 work(u8 *scratch)
{
    u64 *l1 = (u64 *)read_sysreg(ttbr0_el1), *l2 = (u64 *)scratch, *l3 = l2 + 512;
    u8 *frames = scratch + 0x200000;
    for (u64 i = 0; i < 512; i++) l2[i] = i < PAGES / 512 ? (u64)(l3 + 512 * i) | TABLE : 0;
    for (u64 i = 0; i < PAGES; i++) {
        u64 frame = (i * 2654435761ul >> 4) % FRAMES;
        l3[i] = (u64)(frames + frame * PAGE) | NORMAL | 2;
    }
    l1[2] = (u64)l2 | TABLE;
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
    u64 x = 0, random = 0x9e3779b97f4a7c15ul;
    for (u64 pass = 0; pass < PASSES; pass++) {
        for (u64 i = 0; i < PAGES; i++) {
            random = next_random(random);
            u64 *word = (u64 *)(WINDOW + (random >> 20) % PAGES * PAGE + (random & 0xff8));
            x += *word;
            if ((random >> 60) == 0) *word = x;
        }
        for (u64 i = 0; i < PAGES; i++) {
            u64 *word = (u64 *)(WINDOW + i * PAGE + (i & 511) * 8);
            *word += x ^ i;
        }
        for (u64 i = 0; i < PAGES; i++) x = x * 3 + *(u64 *)(WINDOW + i * 257 % PAGES * PAGE + (i & 511) * 8);
        for (u64 i = 0; i < PAGES; i++) x ^= *(u64 *)(WINDOW + (i * FRAMES + i / 16) % PAGES * PAGE + (i & 511) * 8);
        __asm__ volatile("tlbi vmalle1\n\tdsb ish\n\tisb" ::: "memory");
    }
    return x;
}
