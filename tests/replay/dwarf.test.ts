/** Line tables against binutils and LLVM, address by address; and debugging information that is damaged. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readSections } from '../../devices/loader/sections.js'
import { type SourceFrame, SourceLines } from '../../replay/dwarf/source-lines.js'
import { KAAL } from './recording.js'

const ADDR2LINE = 'aarch64-linux-gnu-addr2line'
const OBJDUMP = 'aarch64-linux-gnu-objdump'
const GCC = 'aarch64-linux-gnu-gcc'
const fixture = (name: string): string => join(import.meta.dirname, 'dwarf', name)
const folder = mkdtempSync(join(tmpdir(), 'kaal-dwarf-'))
afterAll(() => rmSync(folder, { recursive: true }))

const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0
const hasBinutils = has(ADDR2LINE) && has(OBJDUMP)
const hasGcc = has(GCC)

/** Every instruction of an executable. */
function instructions(path: string): bigint[] {
  const found: bigint[] = []
  for (const { flags, address, size } of readSections(readFileSync(path)))
    if ((flags & 4) !== 0) for (let at = address; at < address + size; at += 4n) found.push(at)
  return found
}

const open = (path: string): SourceLines => new SourceLines(readFileSync(path), path)
const shown = ({ file, line }: { file: string; line: number }): string => `${file}:${line === 0 ? '?' : line}`

/** What addr2line says of each address, the innermost function first. A file name alone comes from a symbol, not from a line table. */
function addr2line(path: string, addresses: readonly bigint[]): string[][] {
  const input = addresses.map((address) => address.toString(16)).join('\n')
  const output = execFileSync(ADDR2LINE, ['-a', '-i', '-e', path], { input, maxBuffer: 2 ** 28, encoding: 'utf8' })
  return output
    .split(/^0x[0-9a-f]{16}\n/m)
    .slice(1)
    .map((text) =>
      text
        .trim()
        .split('\n')
        .map((line) => line.replace(/ \(discriminator \d+\)$/, ''))
        .filter((line) => !/^[^/]*:[?0]$/.test(line)),
    )
}

/** Compares a whole executable with addr2line. Returns at how many addresses there is a line. */
function compareWithAddr2line(path: string): number {
  const lines = open(path)
  expect(lines.problems).toEqual([])
  const addresses = instructions(path)
  const theirs = addr2line(path, addresses)
  const differing = addresses.flatMap((address, n) => {
    const ours = lines.framesAt(address).map(shown)
    return ours.join(' ') === theirs[n].join(' ') ? [] : [{ address: address.toString(16), ours, theirs: theirs[n] }]
  })
  expect(differing).toEqual([])
  return theirs.filter(({ length }) => length > 0).length
}

/** The rows of `objdump --dwarf=decodedline`: address, line, whether a statement begins; the rows that end a sequence aside. */
function objdumpRows(path: string): string[] {
  const output = execFileSync(OBJDUMP, ['--dwarf=decodedline', path], { maxBuffer: 2 ** 28, encoding: 'utf8' })
  return [...output.matchAll(/^\S+ +(\d+) +(0x[0-9a-f]+|0)(?: +\d+)?( +x)? *$/gm)].map(
    ([, line, address, statement]) => `${BigInt(address).toString(16)} ${line} ${statement === undefined ? '' : 'x'}`,
  )
}

describe.skipIf(!hasBinutils)('the whole KaaL image', () => {
  it('has at each instruction the lines that addr2line finds, inlined functions included', () => {
    expect(compareWithAddr2line(KAAL)).toBeGreaterThan(15_000)
  })

  it('has the rows that objdump decodes', () => {
    const lines = open(KAAL)
    const ours = [...lines.rows()].map(
      ({ address, line, statement }) => `${address.toString(16)} ${line} ${statement ? 'x' : ''}`,
    )
    const code = instructions(KAAL)
    const [first, last] = [code[0], code[code.length - 1]]
    // Sequences of code that the linker has thrown away stay at low addresses.
    const theirs = objdumpRows(KAAL).filter((row) => {
      const address = BigInt(`0x${row.split(' ')[0]}`)
      return address >= first && address <= last + 4n
    })
    expect(ours.length).toBeGreaterThan(5_000)
    expect(ours.toSorted()).toEqual(theirs.toSorted())
  })
})

describe.skipIf(!hasBinutils || !hasGcc)("gcc's versions", () => {
  for (const version of [2, 3, 4, 5]) {
    for (const optimization of ['-O0', '-O2']) {
      it(`${version} with ${optimization}`, () => {
        const path = join(folder, `nested${version}${optimization}.elf`)
        const options = [
          '-nostdlib',
          '-ffreestanding',
          '-static',
          '-ffunction-sections',
          '-Wl,--gc-sections',
          '-o',
          path,
        ]
        execFileSync(GCC, [`-gdwarf-${version}`, optimization, fixture('nested.c'), ...options])
        expect(compareWithAddr2line(path)).toBeGreaterThan(20)
      })
    }
  }

  it('5 in the 64-bit format', () => {
    const path = join(folder, 'wide.elf')
    execFileSync(GCC, [
      '-gdwarf-5',
      '-gdwarf64',
      '-O2',
      fixture('nested.c'),
      '-nostdlib',
      '-ffreestanding',
      '-static',
      '-o',
      path,
    ])
    // Binutils 2.40 cannot read these itself; the same code in the 32-bit format has the same lines.
    const narrow = join(folder, 'narrow.elf')
    execFileSync(GCC, ['-gdwarf-5', '-O2', fixture('nested.c'), '-nostdlib', '-ffreestanding', '-static', '-o', narrow])
    const [wide, usual] = [open(path), open(narrow)]
    expect(wide.problems).toEqual([])
    const places = (of: SourceLines, at: string) => instructions(at).map((address) => of.framesAt(address))
    expect(places(wide, path)).toEqual(places(usual, narrow))
  })
})

describe("LLVM's version 5, with its indexed addresses, strings and ranges", () => {
  // nested-rust5.txt is what llvm-symbolizer 14 says of nested-rust5.elf, which rustc 1.96 made of nested.rs.
  it('has the lines, columns and functions that llvm-symbolizer finds', () => {
    const lines = open(fixture('nested-rust5.elf'))
    expect(lines.problems).toEqual([])
    const expected = readFileSync(fixture('nested-rust5.txt'), 'utf8').trim().split('\n')
    expect(expected.length).toBe(instructions(fixture('nested-rust5.elf')).length)
    const frame = ({ name, file, line, column }: SourceFrame) => `${name}@${file}:${line}:${column}`
    for (const row of expected) {
      const [address, ...frames] = row.split(' ')
      expect([address, ...lines.framesAt(BigInt(address)).map(frame)]).toEqual([address, ...frames])
    }
  })

  it('leads from a line to the first instruction of each function that it is in', () => {
    const lines = open(fixture('nested-rust5.elf'))
    const [file] = lines.filesLike('nested.rs')
    expect(lines.filesLike('ested.rs')).toEqual([])
    for (const line of lines.linesOf(file)) {
      const found = lines.addressesOf(file, line)
      expect(found?.line).toBe(line)
      expect(found?.addresses.length).toBeGreaterThan(0)
      for (const address of found?.addresses ?? []) expect(lines.lineAt(address)).toMatchObject({ file, line })
    }
    // A line without code means the next one that has some; behind the last there is none.
    const last = lines.linesOf(file).at(-1) ?? 0
    expect(lines.addressesOf(file, 1)?.line).toBe(lines.linesOf(file)[0])
    expect(lines.addressesOf(file, last + 1)).toBeUndefined()
    const inlined = lines.addressesOf(file, 6)
    expect(inlined?.addresses.length).toBeGreaterThan(1)
  })
})

describe('debugging information that is damaged', () => {
  const whole = readFileSync(fixture('nested-rust5.elf'))
  const sections = readSections(whole).filter(({ name }) => name.startsWith('.debug'))
  const code = instructions(fixture('nested-rust5.elf'))

  /** Reads it and asks for everything. */
  function use(bytes: Uint8Array): SourceLines {
    const lines = new SourceLines(bytes, 'damaged.elf')
    for (const address of code) {
      lines.lineAt(address)
      lines.framesAt(address)
    }
    for (const file of lines.filesLike('nested.rs')) lines.addressesOf(file, 1)
    for (const problem of lines.problems) expect(problem).toMatch(/^damaged\.elf: \.debug[^\n]+$/)
    return lines
  }

  it('gives lines or one line of what is wrong, whatever bytes have changed', () => {
    const change = fc.record({
      section: fc.nat(sections.length - 1),
      at: fc.nat(),
      bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.constantFrom(...EXTREMES)),
    })
    const started = performance.now()
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Uint8Array.from(whole)
        for (const { section, at, bytes: put } of changes) {
          const { data } = sections[section]
          const offset = data.byteOffset - whole.byteOffset + (at % data.length)
          bytes.set(put.subarray(0, data.length - (at % data.length)), offset)
        }
        use(bytes)
      }),
      { numRuns: 1500 },
    )
    expect(performance.now() - started).toBeLessThan(50_000)
  })

  it('says where it is cut off', () => {
    const line = readSections(whole).find(({ name }) => name === '.debug_line')
    const bytes = Uint8Array.from(whole)
    const at = (line?.data.byteOffset ?? 0) - whole.byteOffset
    bytes.set([0xff, 0xff, 0xff, 0x7f], at)
    expect(use(bytes).problems).toEqual([
      expect.stringMatching(
        /^damaged\.elf: \.debug_line at 0x4: 2147483647 bytes wanted where are \d+; source lines are known up to there$/,
      ),
    ])
    bytes.set([4, 0, 0, 0, 9, 0], at)
    expect(use(bytes).problems).toEqual([expect.stringContaining('.debug_line at 0x6: version 9: 2 to 5 can be read')])
  })

  it('ends although a table claims two billion entries of nothing', () => {
    const header = [1, 1, 1, -3, 12, 1]
    const directories = [0, 0xff, 0xff, 0xff, 0xff, 7]
    const body = [5, 0, 8, 0, header.length + directories.length, 0, 0, 0, ...header, ...directories]
    const bytes = withSection(whole, '.debug_line', Uint8Array.from([body.length, 0, 0, 0, ...body]))
    expect(use(bytes).problems.join()).toContain('a table of 2147483647 entries in 0 bytes')
  })

  describe('ends soon, and says why, although a file of 1 MB asks for', () => {
    const COUNT = 1 << 18
    /** A unit of version 4 of one-byte entries: the first is the unit, the others functions with these attributes. */
    const unit = (size: number): Uint8Array => {
      const info = new Uint8Array(11 + 1 + size).fill(2)
      new DataView(info.buffer).setUint32(0, info.length - 4, true)
      info.set([4, 0, 0, 0, 0, 0, 8, 1], 4)
      return info
    }
    const LOW = [0x11, 0x01]

    it('a million attributes for each entry', () => {
      const attributes = Array.from({ length: 300 }, () => [0x3f, 0x19]).flat()
      const abbrev = Uint8Array.from([1, 0x11, 1, 0, 0, 2, 0x2e, 0, ...attributes, 0, 0, 0])
      const { problems } = timely({ '.debug_info': unit(COUNT), '.debug_abbrev': abbrev })
      expect(problems.join()).toContain('more than 256 attributes')
    })

    it('one list of ranges for all functions', () => {
      // DW_AT_ranges as an implicit constant: entries of one byte that all have the list at 0.
      const abbrev = Uint8Array.from([1, 0x11, 1, ...LOW, 0x55, 0x17, 0, 0, 2, 0x2e, 0, 0x55, 0x21, 0, 0, 0, 0])
      const info = new Uint8Array(11 + 1 + 12 + COUNT).fill(2)
      new DataView(info.buffer).setUint32(0, info.length - 4, true)
      info.set([4, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 4)
      const ranges = new Uint8Array(16 * (COUNT >> 2))
      const view = new DataView(ranges.buffer)
      for (let n = 0; n < (COUNT >> 2) - 1; n++) {
        view.setBigUint64(16 * n, BigInt(n) * 4n, true)
        view.setBigUint64(16 * n + 8, BigInt(n) * 4n + 2n, true)
      }
      const { lines } = timely({
        '.debug_info': info,
        '.debug_abbrev': abbrev,
        '.debug_ranges': ranges,
        '.debug_line': oneRow(),
      })
      expect(lines.framesAt(0x1000n)).toEqual([{ file: 'a', line: 1, column: 0, name: undefined, inlined: false }])
    })

    it('a string of its own at each place of a section without an end', () => {
      const header = [1, 1, 1, 0xfb, 12, 1]
      const formats = [1, 1, 0x1f, 1, 0, 0, 0, 0]
      const files = [1, 1, 0x1f, ...uleb(COUNT)]
      const table = new Uint8Array(4 * COUNT)
      const view = new DataView(table.buffer)
      for (let n = 0; n < COUNT; n++) view.setUint32(4 * n, n, true)
      const inner = Uint8Array.from([...header, ...formats, ...files, ...table])
      const body = Uint8Array.from([5, 0, 8, 0, ...u32(inner.length), ...inner])
      const strings = new Uint8Array(COUNT).fill(97)
      const { problems } = timely({
        '.debug_line': Uint8Array.from([...u32(body.length), ...body]),
        '.debug_line_str': strings,
      })
      expect(problems.join()).toMatch(/strings that overlap: more than a file of this size can need|paths: more than/)
    })

    it('a row at each byte, all of one line', () => {
      const { lines } = timely({ '.debug_line': oneRow(COUNT) })
      expect(lines.addressesOf('a', 1)?.addresses).toEqual([0x1000n])
    })
  })

  it('tells people what to do about compressed sections', () => {
    const bytes = Uint8Array.from(whole)
    const view = new DataView(bytes.buffer)
    const table = Number(view.getBigUint64(40, true))
    readSections(whole).forEach(({ name }, n) => {
      if (name === '.debug_line') view.setBigUint64(table + 64 * n + 8, 0x800n, true)
    })
    expect(use(bytes).problems).toEqual([
      'damaged.elf: .debug_line is compressed: give a copy made with objcopy --decompress-debug-sections',
    ])
  })
})

const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]
const uleb = (value: number): number[] => (value < 128 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)])

/** A line program of version 4 with one file, `a`, and so many rows of line 1 from 0x1000 on. */
function oneRow(rows = 1): Uint8Array {
  const header = [1, 1, 1, 0xfb, 12, 10, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 97, 0, 0, 0, 0, 0]
  const start = [0, 9, 2, 0, 0x10, 0, 0, 0, 0, 0, 0]
  // A row, then by special opcodes one a byte on, of the same line.
  const body = Uint8Array.from([...start, 1, ...Array.from({ length: rows - 1 }, () => 10 + 12 + 5), 2, 4, 0, 1, 1])
  const whole = Uint8Array.from([4, 0, ...u32(header.length), ...header, ...body])
  return Uint8Array.from([...u32(whole.length), ...whole])
}

/** Reads an ELF file of these sections, and of code everywhere; asks for what a debugger asks for, and is done soon. */
function timely(sections: Readonly<Record<string, Uint8Array>>): { lines: SourceLines; problems: readonly string[] } {
  const bytes = elf(sections)
  const started = performance.now()
  const lines = new SourceLines(bytes, 'hostile.elf')
  for (const address of [0n, 0x1000n, 0x1002n]) lines.framesAt(address)
  for (const file of lines.filesLike('a')) lines.addressesOf(file, 1)
  expect(performance.now() - started).toBeLessThan(15_000)
  return { lines, problems: lines.problems }
}

/** The smallest ELF file with these sections. */
function elf(contents: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const names = ['', '.text', ...Object.keys(contents), '.shstrtab']
  const strings = new TextEncoder().encode(`${names.join('\0')}\0`)
  const data = [new Uint8Array(0), new Uint8Array(0), ...Object.values(contents), strings]
  const total = 64 + data.reduce((sum, { length }) => sum + length, 0)
  const bytes = new Uint8Array(total + 64 * names.length)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setBigUint64(40, BigInt(total), true)
  view.setUint16(58, 64, true)
  view.setUint16(60, names.length, true)
  view.setUint16(62, names.length - 1, true)
  let [offset, name] = [64, 0]
  data.forEach((part, n) => {
    const at = total + 64 * n
    bytes.set(part, offset)
    view.setUint32(at, name, true)
    view.setUint32(at + 4, n === 1 ? 8 : 1, true)
    view.setUint32(at + 8, n === 1 ? 6 : 0, true)
    view.setBigUint64(at + 24, BigInt(offset), true)
    view.setBigUint64(at + 32, BigInt(n === 1 ? 0x1000_0000 : part.length), true)
    offset += part.length
    name += names[n].length + 1
  })
  return bytes
}

/** Values that lengths, offsets and counts like least. */
const EXTREMES = [
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xf0, 0xff, 0xff, 0xff],
  [0, 0, 0, 0],
  [0x80, 0x80, 0x80, 0x80],
  [0, 0, 0, 0x80],
].map((bytes) => Uint8Array.from(bytes))

/** A copy with a section's bytes replaced by fewer. */
function withSection(whole: Uint8Array, wanted: string, data: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(whole)
  const view = new DataView(bytes.buffer)
  const table = Number(view.getBigUint64(40, true))
  readSections(whole).forEach((section, n) => {
    if (section.name !== wanted) return
    bytes.set(data, section.data.byteOffset - whole.byteOffset)
    view.setBigUint64(table + 64 * n + 32, BigInt(data.length), true)
  })
  return bytes
}
