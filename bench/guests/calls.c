/* calls: mostly calls and returns. Recursion (fib; Ackermann's function, some 500 deep), a chain of small functions across pages,
 * and a table of functions called by pointer. No function is inlined; each group begins a page of 4 KiB. */
#include "guest.h"

const char s_name[] = "calls";

#define FUNCTION static __attribute__((noipa))
#define NEW_PAGE FUNCTION __attribute__((aligned(4096)))

NEW_PAGE u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
FUNCTION u64 ackermann(u64 m, u64 n)
{
    if (m == 0) return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

/* Each calls the next, in another page, and comes back to do something of its own. */
NEW_PAGE u64 last(u64 x) { return x * 0x9e3779b97f4a7c15ul; }
NEW_PAGE u64 fourth(u64 x) { return last(x + 4) ^ x >> 9; }
NEW_PAGE u64 third(u64 x) { return fourth(x ^ x << 7) + 3; }
NEW_PAGE u64 second(u64 x) { return third(x + 2) - (x >> 3); }
NEW_PAGE u64 first(u64 x) { return second(x ^ 1) + x; }

typedef u64 operation(u64, u64);
NEW_PAGE u64 op_add(u64 a, u64 b) { return a + b; }
FUNCTION u64 op_sub(u64 a, u64 b) { return a - b; }
FUNCTION u64 op_xor(u64 a, u64 b) { return a ^ b; }
FUNCTION u64 op_mul(u64 a, u64 b) { return a * (b | 1); }
NEW_PAGE u64 op_ror(u64 a, u64 b) { return a >> (b & 63) | a << (-b & 63); }
FUNCTION u64 op_max(u64 a, u64 b) { return a > b ? a : b; }
FUNCTION u64 op_mean(u64 a, u64 b) { return (a >> 1) + (b >> 1); }
FUNCTION u64 op_chain(u64 a, u64 b) { return first(a) + b; }

u64 work(void *scratch)
{
    /* Filled in here rather than by the linker, so that the image can stand anywhere. */
    operation *volatile *table = scratch;
    table[0] = op_add, table[1] = op_sub, table[2] = op_xor, table[3] = op_mul;
    table[4] = op_ror, table[5] = op_max, table[6] = op_mean, table[7] = op_chain;
    u64 x = 0, random = 0x2545f4914f6cdd1dul;
    for (u32 round = 0; round < 48; round++) {
        x = x * 31 + fib(22 + (round & 1));
        x = x * 31 + ackermann(2, 240);
        for (u32 i = 0; i < 40000; i++) x += first(x ^ i);
        for (u32 i = 0; i < 100000; i++) {
            random = next_random(random);
            x = table[random >> 40 & 7](x, random);
        }
    }
    return x;
}
