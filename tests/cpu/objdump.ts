/**
 * Compares the disassembler with GNU objdump (`aarch64-linux-gnu-objdump`, binutils 2.40), which must be installed.
 *
 *   node dist/tests/cpu/objdump.js [words for each row, default 10000] [seed, default 1]
 *   node dist/tests/cpu/objdump.js FILE.elf
 *   node dist/tests/cpu/objdump.js --sample > tests/cpu/disassembler.txt
 *
 * The first takes random words of every row of the table, the second the words of an ELF's executable sections. Both end with
 * exit 1 if a text differs in more than `deliberate` allows, and with exit 255 if objdump cannot be run.
 * The third prints the sample that `disassembler.test.ts` compares with where there is no objdump.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { decode, instructions } from '../../cpu/isa/table.js'
import { deliberate, normalise } from './objdump-text.js'
import { Random, randomWord } from './words.js'

const OBJDUMP = 'aarch64-linux-gnu-objdump'
const SHOWN = 20

interface Line {
  readonly pc: bigint
  readonly word: number
  readonly text: string
}

function objdump(args: readonly string[]): Line[] {
  let output
  try {
    output = execFileSync(OBJDUMP, args, { encoding: 'utf8', maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'inherit'] })
  } catch (error) {
    console.error(
      `${OBJDUMP} ${args.join(' ')}: ${(error as Error).message}; it is in Debian's binutils-aarch64-linux-gnu`,
    )
    process.exit(255)
  }
  const lines: Line[] = []
  for (const line of output.split('\n')) {
    const match = /^\s*([0-9a-f]+):\t([0-9a-f]{8}) \t(.*)$/.exec(line)
    // Data among the code (literal pools), as the ELF's mapping symbols tell.
    if (match?.[3].startsWith('.word')) continue
    if (match) lines.push({ pc: BigInt(`0x${match[1]}`), word: Number.parseInt(match[2], 16), text: match[3] })
  }
  return lines
}

/** Random words of every row, as objdump reads them. */
function randomLines(each: number, seed: number): Line[] {
  const random = new Random(seed)
  const words = Uint32Array.from(
    instructions.flatMap((row) => Array.from({ length: each }, () => randomWord(row, random))),
  )
  const folder = mkdtempSync(join(tmpdir(), 'kaal-objdump-'))
  try {
    const file = join(folder, 'words.bin')
    writeFileSync(file, words)
    const lines = objdump(['-D', '-z', '-b', 'binary', '-m', 'aarch64', '--adjust-vma=0x40080000', file])
    if (lines.length !== words.length) throw new Error(`objdump gave ${lines.length} lines for ${words.length} words`)
    return lines
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Compares all lines, prints the first differences of each row and the counts; returns whether there was none. */
function compare(lines: readonly Line[]): boolean {
  const counts = { same: 0, undefined: 0, different: 0 }
  const reasons = new Map<string, number>()
  const shown = new Map<string, number>()
  for (const { pc, word, text } of lines) {
    const ours = normalise(disassemble(word, pc))
    const theirs = normalise(text)
    const reason = ours === theirs ? undefined : deliberate(word, ours, theirs)
    if (ours === theirs) counts[decode(word) ? 'same' : 'undefined']++
    else if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    else {
      counts.different++
      const row = decode(word)?.instruction.name ?? 'undefined'
      const times = (shown.get(row) ?? 0) + 1
      shown.set(row, times)
      if (times > SHOWN) continue
      console.log(`${pc.toString(16)}: ${word.toString(16).padStart(8, '0')} (${row})`)
      console.log(`  kaal    ${ours}\n  objdump ${theirs}`)
    }
  }
  console.log(
    `${lines.length} words: ${counts.same} with the same text, ${counts.undefined} undefined in both, ${counts.different} different`,
  )
  for (const [reason, count] of reasons) console.log(`  ${count} different on purpose: ${reason}`)
  return counts.different === 0
}

/** Prints one line for each form of text that each row has: address, word, objdump's text. */
function printSample(lines: readonly Line[]): void {
  const seen = new Set<string>()
  for (const { pc, word, text } of lines) {
    const theirs = normalise(text)
    const row = decode(word)?.instruction.name
    if (row === undefined || deliberate(word, normalise(disassemble(word, pc)), theirs) !== undefined) continue
    const form = `${row} ${theirs}`
      .replace(/\b(w?sp|[wx](\d+|zr))\b/g, 'r')
      .replace(/#?-?\b(0x[0-9a-f]+|\d+)\b|\bp(ld|li|st)l\d(keep|strm)/g, 'n')
      .replace(/[su]xt[bhwx]/g, (extend, at) => (at < row.length + 5 ? extend : 'extend'))
    if (seen.has(form)) continue
    seen.add(form)
    console.log(`${pc.toString(16)} ${word.toString(16).padStart(8, '0')} ${theirs}`)
  }
}

const [first = '10000', seed = '1'] = process.argv.slice(2)
if (first === '--sample') printSample(randomLines(20_000, 1))
else if (/^\d+$/.test(first)) process.exitCode = compare(randomLines(Number(first), Number(seed))) ? 0 : 1
else process.exitCode = compare(objdump(['-d', '-z', first])) ? 0 : 1
