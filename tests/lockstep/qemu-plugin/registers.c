// A TCG plugin that shows the general registers of every instruction QEMU executes, before it executes.
//
// QEMU 7.2's plugin interface gives the address and the opcode of an instruction but no registers. They are read here
// straight from QEMU's CPU structure. Their offsets belong to one build of QEMU, so they are not trusted: at the first
// instruction, and again at every checkpoint, each value is compared with what QEMU's own gdb stub says of the same
// register, and a difference ends QEMU with one clear line. No QEMU header is needed to build this file.
//
// QEMU must run with -singlestep: then every translation block holds one instruction, and registers and flags are back
// in the structure whenever a block starts.
//
// Arguments: out=FILE           where lines go (default registers.out)
//            mode=hash|text     hash: a line "n a b pc" whenever n is a multiple of `every`, and "end n a b" at the end
//                               text: a line per instruction, "n pc opcode pstate icount ns x0 ... x30 sp", all but n,
//                                     icount and ns in hexadecimal
//            every=N            distance of checkpoints (default 65536)
//            skip=N max=N       text: the first instruction shown, and how many
//            stop=N             end QEMU when N instructions have been seen (default: never)
//
// The hash has two lanes of 32 bits, so that JavaScript can compute it with Math.imul (see ../hash.ts, which must agree). The opcode is
// left out: an instruction that differs shows in the registers of the next one.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The part of QEMU's plugin interface (version 1) that is used here.
typedef uint64_t plugin_id;
struct block;
struct instruction;
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
extern const void *qemu_plugin_insn_data(const struct instruction *);
extern size_t qemu_plugin_insn_size(const struct instruction *);
extern uint64_t qemu_plugin_insn_vaddr(const struct instruction *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *), int, void *);

// Functions and data of QEMU itself that the program exports.
struct byte_array {
  uint8_t *data;
  unsigned length;
};
extern void *qemu_get_cpu(int);
extern int aarch64_cpu_gdb_read_register(void *cpu, struct byte_array *, int);
extern struct byte_array *g_byte_array_new(void);
extern struct byte_array *g_byte_array_set_size(struct byte_array *, unsigned);
extern uint8_t timers_state[];
extern int singlestep;

// Offsets into Debian's 7.2.22 (1:7.2+dfsg-7+deb12u18). X0-X30 and SP are checked against the gdb stub while running.
enum {
  OFFSET_X0 = 0x1f10,     // X0-X30, then SP of the current exception level
  OFFSET_PSTATE = 0x2018, // all but NZCV and DAIF
  OFFSET_CF = 0x20e0,     // 0 or 1
  OFFSET_VF = 0x20e4,     // sign bit
  OFFSET_NF = 0x20e8,     // sign bit
  OFFSET_ZF = 0x20ec,     // Z is set when this is 0
  OFFSET_DAIF = 0x2100,
  OFFSET_ICOUNT_BUDGET = 0xe0,
  OFFSET_ICOUNT_EXTRA = 0xe8,
  OFFSET_ICOUNT_LOW = 0x1ec0,
  TIMERS_SHIFT = 0x1a,
  TIMERS_BIAS = 0x28,
  TIMERS_ICOUNT = 0x40,
};
// NZCV, IL, DAIF, and the mode field.
#define PSTATE_MASK 0xf01003dfu

enum { GDB_SP = 31, GDB_PC = 32, GDB_CPSR = 33 };

struct site {
  uint64_t pc;
  uint32_t opcode;
};

static FILE *out;
static bool text;
static uint64_t count, every = 65536, skip, maximum = UINT64_MAX, stop = UINT64_MAX;
static uint32_t lane_a = 0x6b61616c, lane_b = 0x7669727a;
static uint8_t *cpu;
static struct byte_array *stub_value;
static bool ended;

static uint64_t word64(unsigned offset) {
  uint64_t value;
  memcpy(&value, cpu + offset, sizeof value);
  return value;
}

static uint32_t word32(unsigned offset) {
  uint32_t value;
  memcpy(&value, cpu + offset, sizeof value);
  return value;
}

static uint32_t pstate(void) {
  uint32_t value = word32(OFFSET_PSTATE) | word32(OFFSET_DAIF);
  value |= word32(OFFSET_NF) & 0x80000000u;
  value |= word32(OFFSET_ZF) == 0 ? 0x40000000u : 0;
  value |= word32(OFFSET_CF) << 29;
  value |= (word32(OFFSET_VF) >> 31) << 28;
  return value & PSTATE_MASK;
}

static void finish(void) {
  if (ended) return;
  ended = true;
  if (!text) fprintf(out, "end %llu %08x %08x\n", (unsigned long long)count, lane_a, lane_b);
  fclose(out);
}

static void refuse(const char *what, unsigned long long ours, unsigned long long stub) {
  fprintf(stderr,
          "registers.so: %s reads as %llx but QEMU's gdb stub says %llx after %llu instructions: the offsets in "
          "registers.c are those of Debian's QEMU 7.2.22; this is another build\n",
          what, ours, stub, (unsigned long long)count);
  _exit(3);
}

static uint64_t stub_register(int number) {
  uint64_t value = 0;
  g_byte_array_set_size(stub_value, 0);
  aarch64_cpu_gdb_read_register(cpu, stub_value, number);
  memcpy(&value, stub_value->data, stub_value->length < 8 ? stub_value->length : 8);
  return value;
}

static void check_offsets(void) {
  char name[8];
  for (int i = 0; i < 32; i++) {
    uint64_t ours = word64(OFFSET_X0 + 8 * i), stub = stub_register(i);
    snprintf(name, sizeof name, i == GDB_SP ? "sp" : "x%d", i);
    if (ours != stub) refuse(name, ours, stub);
  }
  uint32_t stub = (uint32_t)stub_register(GDB_CPSR) & PSTATE_MASK;
  if (pstate() != stub) refuse("pstate", pstate(), stub);
}

static void fold(uint32_t low, uint32_t high) {
  lane_a = (lane_a ^ low) * 0x9e3779b1u;
  lane_a ^= lane_a >> 15;
  lane_b = (lane_b ^ high) * 0x85ebca77u;
  lane_b ^= lane_b >> 13;
}

static void show(const struct site *site) {
  uint16_t low;
  uint64_t executed, bias;
  uint16_t shift;
  memcpy(&low, cpu + OFFSET_ICOUNT_LOW, sizeof low);
  memcpy(&executed, timers_state + TIMERS_ICOUNT, sizeof executed);
  memcpy(&bias, timers_state + TIMERS_BIAS, sizeof bias);
  memcpy(&shift, timers_state + TIMERS_SHIFT, sizeof shift);
  // The block's one instruction has been taken off the budget already; what retired before it is one less.
  uint64_t retired = executed + word64(OFFSET_ICOUNT_BUDGET) - low - word64(OFFSET_ICOUNT_EXTRA) - 1;
  fprintf(out, "%llu %llx %08x %08x %llu %llu", (unsigned long long)count, (unsigned long long)site->pc, site->opcode,
          pstate(), (unsigned long long)retired, (unsigned long long)((retired << shift) + bias));
  for (int i = 0; i < 32; i++) fprintf(out, " %llx", (unsigned long long)word64(OFFSET_X0 + 8 * i));
  fputc('\n', out);
}

static void before_instruction(unsigned index, void *data) {
  const struct site *site = data;
  if (ended) return;
  if (!cpu) {
    if (!singlestep) {
      fprintf(stderr, "registers.so: QEMU must run with -singlestep\n");
      _exit(3);
    }
    cpu = qemu_get_cpu(index);
    stub_value = g_byte_array_new();
  }
  if (count < 256 || count % every == 0) check_offsets();
  if (count >= stop) {
    finish();
    // QEMU's own exit waits for this thread.
    _exit(0);
  }
  if (text) {
    if (count >= skip && count - skip < maximum) show(site);
    count++;
    return;
  }
  fold((uint32_t)site->pc, (uint32_t)(site->pc >> 32));
  fold(pstate(), 0);
  for (int i = 0; i < 32; i++) {
    uint64_t value = word64(OFFSET_X0 + 8 * i);
    fold((uint32_t)value, (uint32_t)(value >> 32));
  }
  count++;
  if (count % every == 0) {
    fprintf(out, "%llu %08x %08x %llx\n", (unsigned long long)count, lane_a, lane_b, (unsigned long long)site->pc);
  }
}

static void on_translation(plugin_id id, struct block *block) {
  (void)id;
  size_t instructions = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < instructions; i++) {
    struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
    struct site *site = calloc(1, sizeof *site);
    site->pc = qemu_plugin_insn_vaddr(instruction);
    // A misaligned PC has a block but no opcode.
    if (qemu_plugin_insn_size(instruction) >= 4) memcpy(&site->opcode, qemu_plugin_insn_data(instruction), 4);
    qemu_plugin_register_vcpu_insn_exec_cb(instruction, before_instruction, 0, site);
  }
}

static void at_exit(plugin_id id, void *data) {
  (void)id;
  (void)data;
  finish();
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  const char *path = "registers.out";
  for (int i = 0; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (!value) {
      fprintf(stderr, "registers.so: argument '%s' has no value\n", argv[i]);
      return 1;
    }
    *value++ = 0;
    const char *name = argv[i];
    if (!strcmp(name, "out")) path = strdup(value);
    else if (!strcmp(name, "mode") && !strcmp(value, "text")) text = true;
    else if (!strcmp(name, "mode") && !strcmp(value, "hash")) text = false;
    else if (!strcmp(name, "every")) every = strtoull(value, NULL, 0);
    else if (!strcmp(name, "skip")) skip = strtoull(value, NULL, 0);
    else if (!strcmp(name, "max")) maximum = strtoull(value, NULL, 0);
    else if (!strcmp(name, "stop")) stop = strtoull(value, NULL, 0);
    else {
      fprintf(stderr, "registers.so: unknown argument '%s'\n", name);
      return 1;
    }
  }
  out = fopen(path, "w");
  if (!out) {
    fprintf(stderr, "registers.so: cannot write %s\n", path);
    return 1;
  }
  setvbuf(out, NULL, _IOFBF, 1 << 20);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
