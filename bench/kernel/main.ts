/** `npm run bench:kernel`: how many instructions KaaL's operations take, counted in recordings of its test suite. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { observe } from '../../replay/export/observe.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'
import { span } from '../statistics.js'

const USAGE = `usage: npm run bench:kernel -- [--json FILE] [--markdown] [--help]

Records kernel/prebuilt/bootimage.elf with parts of its test suite, and counts instructions from the SVC of a system call,
or from the boundary at which an interrupt is taken, to the return to a program.`

/** The project's folder, seen from dist/bench/kernel/. */
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url))
/** Names of system calls in x7, and labels of invocations in x1: kernel/runtime/kaal-abi says so. */
const SYSCALL = { CALL: -1, REPLY_RECV: -2, SEND: -3, YIELD: -7 } as const
const INVOCATION = { RETYPE: 1, PAGE_MAP: 31 } as const
/** An operation that takes longer is no operation but a wait. */
const LONGEST = 100_000
/** The most occurrences of an operation that are counted in a recording. */
const MOST = 200
/** The UART's interrupt, which the tests of interrupts use. */
const UART_INTID = 33

/** What the registers say at an entry, and where the kernel returned to. */
interface Entry {
  readonly number: number
  readonly label: number
  readonly words: number
  /** MR0: for Retype the type of the objects. */
  readonly first: number
  readonly sameThread: boolean
  readonly sameSpace: boolean
}

/** An operation: the tests that have it, and which entries are it. */
interface Operation {
  readonly name: string
  readonly suite: string
  readonly interrupt?: boolean
  readonly is: (entry: Entry) => boolean
}

const message = (number: number) => (words: number, name: string): Operation => ({
  name: `${name}, ${words} words`,
  suite: 'measure:',
  is: (entry) => entry.number === number && !entry.sameSpace && entry.words === words,
})

const OPERATIONS: readonly Operation[] = [
  message(SYSCALL.CALL)(1, 'call to another address space'),
  message(SYSCALL.REPLY_RECV)(1, 'reply and receive, to another address space'),
  {
    name: 'call within an address space, no words',
    suite: 'ipc:',
    is: ({ number, label, words, sameThread, sameSpace }) =>
      number === SYSCALL.CALL && label === 0 && words === 0 && !sameThread && sameSpace,
  },
  {
    name: 'signal that wakes a thread of higher priority',
    suite: 'notification:',
    is: ({ number, sameThread }) => number === SYSCALL.SEND && !sameThread,
  },
  {
    name: 'signal that is kept',
    suite: 'notification:',
    is: ({ number, sameThread }) => number === SYSCALL.SEND && sameThread,
  },
  {
    name: 'interrupt to its handler thread',
    suite: 'irq:',
    interrupt: true,
    is: ({ sameThread }) => !sameThread,
  },
  {
    name: 'yield to another thread',
    suite: 'scheduling: yielding',
    is: ({ number, sameThread }) => number === SYSCALL.YIELD && !sameThread,
  },
  {
    name: 'map a page',
    suite: 'vspace:',
    is: ({ number, label, sameThread }) => number === SYSCALL.CALL && label === INVOCATION.PAGE_MAP && sameThread,
  },
  {
    name: 'retype into an endpoint',
    suite: 'untyped:',
    is: ({ number, label, first, sameThread }) =>
      number === SYSCALL.CALL && label === INVOCATION.RETYPE && first === 2 && sameThread,
  },
]

/** Counts the entries of a recording that are operations. */
async function count(trace: string, operations: readonly Operation[]): Promise<Map<string, number[]>> {
  const reader = TraceReader.open(trace)
  try {
    const timeline = new Timeline(reader)
    const { happenings } = await observe(reader, { calls: true })
    const interrupts = new Set(
      [...reader.interrupts()].filter(({ intid }) => intid === UART_INTID).map(({ icount }) => icount),
    )
    const calls = happenings.filter(({ kind }) => kind === 'syscall').map(({ position }) => position)
    const counts = new Map<string, number[]>()
    for (const position of [...calls, ...interrupts]) {
      const interrupt = interrupts.has(position)
      const measured = measure(timeline, position, interrupt)
      if (!measured) continue
      for (const { name, is, interrupt: wanted = false } of operations) {
        const found = counts.get(name) ?? []
        if (wanted !== interrupt || found.length >= MOST || !is(measured.entry)) continue
        counts.set(name, [...found, measured.instructions])
      }
    }
    return counts
  } finally {
    reader.close()
  }
}

/** Runs from an entry to the return to a program; undefined if there is none soon, or it was not a program that was interrupted. */
function measure(
  timeline: Timeline,
  position: number,
  interrupt: boolean,
): { entry: Entry; instructions: number } | undefined {
  timeline.seek(position)
  const { cpu } = timeline.machine
  const { x, sp, ttbr0_el, el } = cpu.state
  // Where an interrupt is taken the processor stands at the vector already.
  const from = interrupt ? Number((cpu.state.spsr_el[1] >> 2n) & 3n) : el
  if (from !== 0) return undefined
  const [number, info, first, space, stack] = [x[7], x[1], x[2], ttbr0_el[1], interrupt ? undefined : sp]
  const own = interrupt ? cpu.state.elr_el[1] : undefined
  do {
    if (timeline.step().reason !== 'step' || timeline.position - position > LONGEST) return undefined
  } while (cpu.state.el !== 0)
  const after = cpu.state
  const sameSpace = after.ttbr0_el[1] === space
  const sameThread = interrupt ? after.pc === own && sameSpace : after.sp === stack && sameSpace
  const entry = {
    number: Number(BigInt.asIntN(64, number)),
    label: Number(info >> 12n),
    words: Number(info & 0x7fn),
    first: Number(BigInt.asUintN(53, first)),
    sameThread,
    sameSpace,
  }
  return { entry, instructions: timeline.position - position }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const folder = mkdtempSync(join(tmpdir(), 'kaal-kernel-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const image = join(PROJECT, 'kernel/prebuilt/bootimage.elf')
  const rows: { name: string; times: number; min: number; median: number; max: number }[] = []
  for (const suite of new Set(OPERATIONS.map((operation) => operation.suite))) {
    const trace = join(folder, 'suite.kaal')
    const command = ['record', '--force', '-m', '64M', '--append', `suite=${suite.split(' ')[0]}`, '-o', trace, image]
    const { status, stderr } = spawnSync(process.execPath, [join(PROJECT, 'cli/bin.js'), ...command], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`recording suite=${suite}: ${stderr.trim().split('\n').at(-1)}`)
    const operations = OPERATIONS.filter((operation) => operation.suite === suite)
    const counts = await count(trace, operations)
    for (const { name } of operations) {
      const found = counts.get(name)
      if (!found) throw new Error(`${name}: no test of suite=${suite} does that any more`)
      rows.push({ name, times: found.length, ...span(found) })
    }
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`)
  const table = [
    ['instructions', 'median', 'least', 'most', 'times'],
    ...rows.map(({ name, median, min, max, times }) => [name, ...[median, min, max, times].map(String)]),
  ]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  const lines = table.map((row) =>
    row.map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]))),
  )
  if (values.markdown) lines.splice(1, 0, widths.map((width, n) => (n === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)))
  for (const line of lines) console.log(values.markdown ? `| ${line.join(' | ')} |` : line.join('  '))
}

try {
  await main()
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 255
}
