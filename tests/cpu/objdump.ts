/**
 * Compares the disassembler with GNU objdump (`aarch64-linux-gnu-objdump`, binutils 2.40), which must be installed.
 *
 *   node dist/tests/cpu/objdump.js [words for each row, default 10000] [seed, default 1]
 *   node dist/tests/cpu/objdump.js FILE.elf
 *
 * The first takes random words of every row of the table, the second the words of an ELF's executable sections. Both end with
 * exit 1 if a text differs in more than `deliberate` allows, and with exit 255 if objdump cannot be run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

const [first = '10000', seed = '1'] = process.argv.slice(2)
const file = /^\d+$/.test(first) ? undefined : first
if (file !== undefined) readFileSync(file)
const lines = file === undefined ? randomLines(Number(first), Number(seed)) : objdump(['-d', '-z', file])

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
    if (times <= SHOWN)
      console.log(
        `${pc.toString(16)}: ${word.toString(16).padStart(8, '0')} (${row})\n  kaal    ${ours}\n  objdump ${theirs}`,
      )
  }
}
console.log(
  `${lines.length} words: ${counts.same} with the same text, ${counts.undefined} undefined in both, ${counts.different} different`,
)
for (const [reason, count] of reasons) console.log(`  ${count} different on purpose: ${reason}`)
process.exitCode = counts.different === 0 ? 0 : 1
