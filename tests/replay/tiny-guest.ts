/** Small guests from a few lines of text: what the tests of scenarios build, change and break. */

/** Where the vector table stands in an image: any code ends before. */
const VECTORS = 0x2000
/** The table's entry for a synchronous exception from the current level with its own stack (Arm ARM DDI 0487, D1.3.1.5). */
const SYNCHRONOUS = 0x200

const SETUP = [
  0xd2a12009, // mov x9, #0x9000000: the PL011
  0x52806023, // mov w3, #0x301
  0xb9003123, // str w3, [x9, #48]: UARTCR: UARTEN, TXE, RXE
  0xd2800013, // mov x19, #0
  0x10000000 | ((VECTORS - 16) << 3), // adr x0, VECTORS
  0xd518c000, // msr vbar_el1, x0
  0xd5033fdf, // isb
]
/** Every exception skips the instruction that made it. */
const HANDLER = [
  0xd5384020, // mrs x0, elr_el1
  0x91001000, // add x0, x0, #4
  0xd5184020, // msr elr_el1, x0
  0xd69f03e0, // eret
]
const STORE_X0 = 0xb9000120 // str w0, [x9]
const ONE_LINE: Readonly<Record<string, readonly number[]>> = {
  // ldr w5, [x9, #24]; tbnz w5, #4, .-4; ldr w6, [x9]; and w6, w6, #0xff
  get: [0xb9401925, 0x3727ffe5, 0xb9400126, 0x12001cc6],
  // and w6, w6, #0x7f
  'strip bit 7': [0x120018c6],
  // add x19, x19, x6
  sum: [0x8b060273],
  // str w6, [x9]
  echo: [0xb9000126],
  // ubfx x0, x19, #4, #4; add w0, w0, #0x41; str w0, [x9]; and x0, x19, #0xf; add w0, w0, #0x41; str w0, [x9]
  'print sum': [0xd3441e60, 0x11010400, STORE_X0, 0x92400e60, 0x11010400, STORE_X0],
  // udf #0
  fault: [0],
  // wfi
  sleep: [0xd503207f],
  // b .
  'loop for ever': [0x14000000],
  // mov x0, #16; msr spsr_el1, x0; eret: there is no AArch32
  'return to AArch32': [0xd2800200, 0xd5184000, 0xd69f03e0],
  // mov x0, #8; movk x0, #0x8400, lsl #16; hvc #0: PSCI SYSTEM_OFF
  off: [0xd2800100, 0xf2b08000, 0xd4000002],
}

/**
 * Translates lines into a flat image: `print TEXT` (with `\n`), `delay N` (up to 65,535 turns of two instructions), `again until N` (back to
 * the first `get` unless it has read byte N), and the lines above.
 *
 * @throws {Error} naming a line that means nothing.
 */
export function compile(source: string): Uint8Array {
  const code = [...SETUP]
  let get = 0
  for (const line of source.split('\n')) {
    const text = line.replace(/#.*/, '').trim()
    if (text === '') continue
    const known = ONE_LINE[text]
    const [, verb, value] = /^(print|delay|again until) (.+)$/.exec(text) ?? []
    if (known) {
      if (text === 'get' && get === 0) get = code.length
      code.push(...known)
    } else if (verb === 'print')
      for (const c of Buffer.from(value.replaceAll(String.raw`\n`, '\n'))) code.push(0x52800000 | (c << 5), STORE_X0)
    else if (verb === 'delay') {
      // mov x1, #N; subs x1, x1, #1; b.ne .-4
      code.push(0xd2800001 | (Number(value) << 5), 0xf1000421, 0x54ffffe1)
    } else if (verb === 'again until') {
      // cmp w6, #N; b.ne get
      code.push(0x7100001f | (6 << 5) | (Number(value) << 10))
      code.push(0x54000001 | (((get - code.length) & 0x7ffff) << 5))
    } else throw new Error(`what is "${line}"?`)
  }
  if (code.length * 4 > VECTORS) throw new Error('too long')
  const image = new Uint32Array((VECTORS + SYNCHRONOUS) / 4 + HANDLER.length)
  image.set(code)
  image.set(HANDLER, (VECTORS + SYNCHRONOUS) / 4)
  return new Uint8Array(image.buffer)
}

/** A guest that asks for characters, up to ^D, and prints the low byte of their sum, a letter from A to P for each four bits. */
export const ADDER = String.raw`
print Adder 1\n
print >
get
sum
echo
again until 4
print \nsum
print sum
print \n
off
`
