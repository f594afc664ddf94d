/* What the guests in C share: types, system registers, and making written code visible to fetches (Arm DDI 0487, B2.4.4). */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define read_sysreg(name) ({ u64 v_; __asm__ volatile("mrs %0, " #name : "=r"(v_)); v_; })
#define write_sysreg(name, value) __asm__ volatile("msr " #name ", %0\n\tisb" ::"r"((u64)(value)) : "memory")

/* Numbers from a seed (xorshift64). */
static inline u64 next_random(u64 x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

/* To be called between writing code and running it. Lines are of 64 bytes, as CTR_EL0 of the Cortex-A53 says. */
static inline void code_written(const void *from, u64 bytes)
{
    u64 begin = (u64)from & ~63ul, end = (u64)from + bytes;
    for (u64 at = begin; at < end; at += 64) __asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb ish" ::: "memory");
    for (u64 at = begin; at < end; at += 64) __asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
}
