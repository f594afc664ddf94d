/* smc: code that writes code. A function is written anew with other constants and another operation each time, made visible and
 * called; one instruction of a loop is patched, as kernels do with static keys; and a loop counts in a word of its own page. */
#include "guest.h"

const char s_name[] = "smc";

enum { WRITTEN = 180000, PATCHED = 60000, COUNTED = 12000, SLOTS = 16 };
#define RET 0xd65f03c0u
#define NOP 0xd503201fu

typedef u64 function(u64 x, u64 n);

static u32 movz(u32 rd, u32 imm, u32 part) { return 0xd2800000u | part << 21 | (imm & 0xffff) << 5 | rd; }
static u32 movk(u32 rd, u32 imm, u32 part) { return 0xf2800000u | part << 21 | (imm & 0xffff) << 5 | rd; }

/* x0 = x0 op constant, rotated, then RET: eight instructions. */
static void write_function(u32 *at, u64 constant, u32 kind)
{
    static const u32 operations[4] = {0x8b020000, 0xca020000, 0xcb020000, 0x9b027c00}; /* add, eor, sub, mul x0, x0, x2 */
    at[0] = movz(2, constant, 0);
    at[1] = movk(2, constant >> 16, 1);
    at[2] = movk(2, constant >> 32, 2);
    at[3] = movk(2, constant >> 48, 3);
    at[4] = operations[kind & 3];
    at[5] = 0x93c00000u | (1 + constant % 63) << 10; /* ror x0, x0, #... */
    at[6] = kind & 4 ? NOP : 0x91000400u;            /* add x0, x0, #1 */
    at[7] = RET;
    code_written(at, 32);
}

u64 work(u8 *scratch)
{
    u64 x = 1, random = 0x9e3779b97f4a7c15ul;
    /* Sixteen functions in two pages, so that their neighbours are code that stays. */
    for (u32 i = 0; i < WRITTEN; i++) {
        random = next_random(random);
        u32 *at = (u32 *)(scratch + (random >> 50) % SLOTS * 512);
        write_function(at, random, random >> 32);
        for (u32 call = 0; call < 8; call++) x = ((function *)at)(x, 0);
    }
    /* for (; n; n--) { x += n; x = ror(x, 3); PATCHED } return x; */
    u32 *loop = (u32 *)(scratch + 0x10000);
    static const u32 body[] = {0x8b010000, 0x93c00c00, NOP, 0xf1000421, 0x54ffff81, RET};
    for (u32 i = 0; i < 6; i++) loop[i] = body[i];
    code_written(loop, sizeof body);
    for (u32 i = 0; i < PATCHED; i++) {
        loop[2] = i & 1 ? NOP : 0xaa2003e0u; /* mvn x0, x0 */
        code_written(loop + 2, 4);
        x = ((function *)loop)(x, 100);
    }
    /* ldr x2, [x3]; add x0, x0, x2; add x2, x2, #1; str x2, [x3]; subs x1, x1, #1; b.ne; ret, with x3 = adr of a word in the same page. */
    u32 *counter = (u32 *)(scratch + 0x20000);
    static const u32 count[] = {0x10004003, 0xf9400062, 0x8b020000, 0x91000442, 0xf9000062, 0xf1000421, 0x54ffff61, RET};
    for (u32 i = 0; i < 8; i++) counter[i] = count[i];
    *(u64 *)(counter + 512) = 0;
    code_written(counter, sizeof count);
    for (u32 i = 0; i < COUNTED; i++) x = ((function *)counter)(x, 50);
    return x ^ *(u64 *)(counter + 512) << 32;
}
