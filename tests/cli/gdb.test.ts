/** `kaal debug --gdb`: real sessions of gdb-multiarch, forwards and backwards. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GdbListener, listenForGdb } from '../../cli/gdb.js'
import { Names } from '../../replay/debugger/names.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'
import { record, words } from '../replay/recording.js'
import { KERNEL, ROOT, build, kaal } from './kaal.js'

const GDB = 'gdb-multiarch'
const installed = spawnSync(GDB, ['--version']).status === 0
if (!installed) console.warn(`${GDB} is not installed: its sessions are not tested (apt-get install ${GDB})`)
/** A boot of KaaL that ends in a read of address 0, as asked for on its command line. */
const FAULT = `${ROOT}traces/kaal-fault.kaal`
const ELF = KERNEL

let reader: TraceReader
let timeline: Timeline
let listener: GdbListener
/** The count of the kernel's timer interrupts, as gdb's C writes it; each is one atomic addition. */
let ticks: string

beforeAll(async () => {
  reader = TraceReader.open(FAULT)
  timeline = new Timeline(reader)
  listener = await listenForGdb(reader, timeline, 0)
  const names = new Names(timeline.symbols)
  ticks = `*(long *)0x${(names.addressOf('kaal::arch::aarch64::timer::TICKS') ?? 0n).toString(16)}`
})
afterAll(async () => {
  listener.close()
  await listener.ended
  reader.close()
})

/** Runs a gdb session: the commands come after `target remote`; gives what gdb prints, and then what `monitor` does. */
function gdb(commands: readonly string[], port = listener.port): Promise<string> {
  const setup = ['set pagination off', 'set confirm off', 'set width 0', 'set language c']
  const file = port === listener.port ? [`file ${ELF}`] : []
  const lines = [...setup, ...file, `target remote :${port}`, ...commands]
  const child = spawn(GDB, ['--batch', '-nx', ...lines.flatMap((line) => ['-ex', line])], { timeout: 15_000 })
  // Two streams, whose pieces would come in any order.
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()))
  return new Promise((resolve) => child.on('close', () => resolve(`${stdout}\n${stderr}`)))
}

/** Goes to a position, and has gdb see it. */
const goto = (position: string): string[] => [`monitor goto ${position}`, 'maintenance flush register-cache']

/** What a `monitor when` has said, the digits without separators. */
const positions = (output: string): number[] =>
  [...output.matchAll(/^([\d_]+) of [\d_]+, EL/gm)].map(([, digits]) => Number(digits.replaceAll('_', '')))

describe.skipIf(!installed)('gdb', () => {
  test('steps and steps back, to the start of the log', async () => {
    const steps = ['stepi', 'stepi', 'reverse-stepi', 'monitor when', 'reverse-stepi', 'monitor when', 'reverse-stepi']
    const output = await gdb([...goto('start'), ...steps, 'monitor when'])
    expect(positions(output).slice(-3)).toEqual([1, 0, 0])
    expect(output).toContain('No more reverse-execution history')
    expect(output).toMatch(/0x0000000040200000 in _head/)
  })

  test('stops at a symbol, shows registers, a backtrace and the thread', async () => {
    const output = await gdb([
      ...goto('start'),
      'break kernel_main',
      'continue',
      'info registers pc sp cpsr',
      'info registers system',
      'printf "vbar %lx\\n", $VBAR_EL1',
      'bt 2',
      'info threads',
      'x/2i $pc',
    ])
    expect(output).toMatch(/Breakpoint 1, kernel_main \(\) at src\/boot\/mod\.rs/)
    expect(output).toMatch(/^pc +0xffff0000402[0-9a-f]+ .*<kernel_main\+\d+>/m)
    expect(output).toMatch(/^cpsr .*\[.* EL=1 F I A D/m)
    expect(output).toMatch(/^SCTLR_EL1 +0x30dcd81d/m)
    expect(output).toMatch(/^MIDR_EL1 +0x410fd034/m)
    expect(output).toMatch(/^CurrentEL +0x4/m)
    expect(output).toMatch(/^vbar ffff0000402/m)
    expect(output).toMatch(/#1 .* in upper_half/)
    expect(output).toMatch(/Thread 1 \(vCPU 0, EL1\)/)
    expect(output).toMatch(/=> 0x[0-9a-f]+ <kernel_main/)
  })

  test('runs to the end of the log, and back through a breakpoint to its start', async () => {
    const output = await gdb([
      ...goto('start'),
      'continue',
      'monitor when',
      'hbreak kernel_main',
      'reverse-continue',
      'monitor when',
      'delete',
      'reverse-continue',
      'monitor when',
    ])
    const { end } = timeline
    const [, last, main, start] = positions(output)
    expect([last, start]).toEqual([end, 0])
    expect(main).toBeGreaterThan(0)
    expect(output.match(/No more reverse-execution history/g)?.length).toBe(2)
    expect(output).toMatch(/Breakpoint 1, kernel_main/)
  })

  test('goes back from the end to the instruction that wrote a value, and forwards to the next that does', async () => {
    const output = await gdb([
      ...goto('end'),
      `watch ${ticks}`,
      'reverse-continue',
      'monitor when',
      'x/i $pc',
      'reverse-continue',
      'monitor when',
      'continue',
      'monitor when',
      'x/i $pc-4',
      'continue',
      'monitor when',
      'delete',
      'reverse-stepi',
      'monitor when',
    ])
    const [, last, before, behindBefore, behindLast, inFront] = positions(output)
    expect([...output.matchAll(/Old value = (\d+)\nNew value = (\d+)/g)].map(([, from, to]) => [from, to])).toEqual([
      ['12', '11'],
      ['11', '10'],
      ['10', '11'],
      ['11', '12'],
    ])
    expect(output).toMatch(/=> .*stxr/)
    expect([behindBefore, behindLast, inFront]).toEqual([before + 1, last + 1, last])
    // The interrupts say when: the last tick is in the handler of the last timer interrupt.
    const taken = [...reader.interrupts()]
      .filter(({ intid }) => intid === 27 || intid === 30)
      .map(({ icount }) => icount)
    expect(taken.filter((icount) => icount <= last).length).toBeGreaterThanOrEqual(12)
  })

  test('from the end of a boot that faulted, back to the instruction that made the bad pointer', async () => {
    const output = await gdb([
      ...goto('end'),
      'monitor uart 24',
      'monitor catch exception',
      'reverse-continue',
      'x/i $pc',
      'printf "pointer %lx\\n", $x8',
      'reverse-stepi',
      'x/i $pc',
      'printf "before %lx\\n", $x8',
      'delete',
      'stepi',
      'stepi',
      'printf "esr %lx far %lx\\n", $ESR_EL1, $FAR_EL1',
    ])
    expect(output).toContain('KERNEL PANIC: fault in the kernel: data abort')
    expect(output).toMatch(/^exception \d+ at 3_7[\d_]+$/m)
    expect(output).toMatch(/=> .*ldr\s+x8, \[x8\]/)
    expect(output).toMatch(/^pointer 0$/m)
    expect(output).toMatch(/=> .*mov\s+x8, xzr/)
    expect(output).toMatch(/^before (?!0$)[0-9a-f]+$/m)
    expect(output).toMatch(/^esr 96000004 far 0$/m)
  })

  test('reads and access watchpoints, with the ranges that gdb makes of them', async () => {
    const output = await gdb([
      ...goto('end'),
      `rwatch ${ticks}`,
      'reverse-continue',
      'monitor when',
      'x/i $pc',
      'delete',
      `awatch ${ticks}`,
      'continue',
      'monitor when',
    ])
    expect(output).toMatch(/Hardware read watchpoint 1/)
    expect(output).toMatch(/Hardware access \(read\/write\) watchpoint 2/)
    expect(output).toMatch(/=> .*ld/)
    const [, read, again] = positions(output)
    expect(again).toBe(read + 1)
  })

  test('steps a source line and finishes a function', async () => {
    const output = await gdb([
      ...goto('start'),
      'break kernel_main',
      'continue',
      'next',
      'monitor when',
      'reverse-next',
      'monitor when',
    ])
    const [, after, back] = positions(output)
    expect(after).toBeGreaterThan(back)
    expect(output).not.toMatch(/Error|error|Cannot/)
  })

  test('refuses to change the recording, and says what memory cannot be read', async () => {
    const output = await gdb([...goto('end'), 'set var $x0 = 1', 'set var *(int *)$sp = 1', 'x/gx 0x123456789abc'])
    expect(output).toContain('a recording cannot be changed')
    expect(output).toMatch(/Cannot access memory at address 0xffff/)
    expect(output).toMatch(/Cannot access memory at address 0x123456789abc/)
  })

  test('monitor: bookmarks, events, output, and mistakes', async () => {
    const output = await gdb([
      ...goto('1_000_000'),
      'monitor checkpoint',
      ...goto('2_000_000'),
      'monitor checkpoint',
      'monitor checkpoints',
      'monitor restart 1',
      'monitor when',
      'monitor catch uart Self tests',
      'monitor catch interrupt',
      'continue',
      'monitor uart 1',
      'monitor delete 2',
      'monitor goto 9_000_000_000',
      'monitor nonsense',
      'monitor restart 9',
      'monitor help',
    ])
    expect(output).toMatch(/^1 {2}1_000_000\n2 {2}2_000_000$/m)
    expect(positions(output)).toContain(1_000_000)
    expect(output).toMatch(/^uart \d+ at/m)
    expect(output).toContain('goto 9_000_000_000: give a position of 0 to')
    expect(output).toContain('nonsense: no such command; there are when, goto')
    expect(output).toContain('restart 9: no such checkpoint; there are 1')
    expect(output).toMatch(/^goto POSITION\|start\|end {2,}go to a position$/m)
  })

  test('the next gdb finds the timeline where the last one left it, however that ended', async () => {
    await gdb([...goto('123_456'), 'detach'])
    expect(positions(await gdb(['monitor when']))).toEqual([123_456])
    const child = spawn(GDB, ['--batch', '-nx', '-ex', `target remote :${listener.port}`, '-ex', 'shell kill -9 $PPID'])
    await new Promise((resolve) => child.on('close', resolve))
    expect(positions(await gdb(['monitor when']))).toEqual([123_456])
  })
})

describe.skipIf(!installed)('a buffer overflow', () => {
  /** Fills a buffer of 16 bytes with 24, and so the function pointer behind it, and calls that. */
  const code = [
    0x10004005, // adr x5, vectors
    0xd518c005, // msr vbar_el1, x5
    0xd2a82000, // mov x0, #0x41000000: the buffer
    0x10000141, // adr x1, good
    0xf9000801, // str x1, [x0, #16]
    0x52800823, // mov w3, #0x41
    0xd2800002, // mov x2, #0
    0x38226803, // fill: strb w3, [x0, x2]
    0x91000442, // add x2, x2, #1
    0xf100605f, // cmp x2, #24
    0x54ffffa1, // b.ne fill
    0xf9400804, // ldr x4, [x0, #16]
    0xd63f0080, // blr x4
    0xd65f03c0, // good: ret
  ]
  /** Powers off. */
  const handler = [
    0x52800100, // mov w0, #8
    0x72b08000, // movk w0, #0x8400, lsl #16
    0xd4000002, // hvc #0
  ]

  test('is found from its consequence: the pointer called, and each byte written over it', async () => {
    const image = Array.from({ length: (0x800 + 0x200) / 4 }, (_, n) => code[n] ?? 0xd503201f)
    const { path } = await record({ kernel: words(...image, ...handler) })
    const trace = TraceReader.open(path)
    const other = await listenForGdb(trace, new Timeline(trace), 0)
    try {
      const commands = [
        ...goto('end'),
        'monitor catch exception',
        'reverse-continue',
        'printf "called %lx\\n", $pc',
        'reverse-stepi',
        'x/i $pc',
        'watch -l *(long *)($x0 + 16)',
        'reverse-continue',
        'x/i $pc',
        'printf "index %d byte %x\\n", $x2, $x3',
        ...Array.from({ length: 8 }, () => 'reverse-continue'),
        'x/i $pc',
      ]
      const output = await gdb(commands, other.port)
      expect(output).toMatch(/^called 4141414141414141$/m)
      expect([...output.matchAll(/=> 0x[0-9a-f]+:\s+(.*)/g)].map(([, text]) => text.replace('\t', ' '))).toEqual([
        'blr x4',
        'strb w3, [x0, x2]',
        'str x1, [x0, #16]',
      ])
      expect(output).toMatch(/^index 23 byte 41$/m)
      // From 0x4141414141414141 by eight bytes to the address of the function that should have been called.
      const values = [...output.matchAll(/^New value = (\d+)$/gm)].map(([, value]) => BigInt(value))
      expect(values.length).toBe(9)
      expect(values[0]).toBe(0x41_4141_4141_4141n)
      expect(values[7]).toBe(BigInt(/^Old value = (\d+)\nNew value = 0$/m.exec(output)?.[1] ?? -1))
      expect(values[8]).toBe(0n)
    } finally {
      other.close()
      await other.ended
      trace.close()
    }
  })
})

describe.skipIf(!installed)('docs/gdb.md', () => {
  const blocks = [...readFileSync(`${ROOT}docs/gdb.md`, 'utf8').matchAll(/^```gdb\n(.*?)^```/gms)].map(
    ([, text]) => text,
  )

  test('shows what happens', async () => {
    const lines = blocks[0].trimEnd().split('\n').slice(2)
    const commands = lines.filter((line) => line.startsWith('(gdb) ')).map((line) => line.slice('(gdb) '.length))
    const shown = lines.filter((line) => !line.startsWith('(gdb) '))
    expect(shown.length).toBeGreaterThan(2)
    // Numbers of points go on from session to session.
    const output = (await gdb(commands)).replaceAll(/(catchpoint|exception) \d+/g, '$1 1')
    for (const line of shown) expect(output).toContain(line)
  })

  test('has a definition that gdb takes', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'kaal-gdb-')), 'goto.gdb')
    writeFileSync(file, blocks[1])
    const output = await gdb([`source ${file}`, 'goto 1_000_000', 'goto end', 'printf "pc %lx\\n", $pc'])
    timeline.seek(timeline.end)
    expect(output).toContain(`pc ${timeline.machine.cpu.state.pc.toString(16)}`)
    rmSync(dirname(file), { recursive: true })
  })
})

describe('the command', () => {
  beforeAll(build)

  test('ends when gdb kills its target', { skip: !installed }, async () => {
    let session: Promise<string> | undefined
    const { code, stderr } = await kaal(['debug', '--gdb', '0', FAULT], {
      onOutput: (text) => {
        const port = /127\.0\.0\.1:(\d+)/.exec(text)?.[1]
        if (port !== undefined) session ??= gdb(['stepi', 'kill'], Number(port))
      },
    })
    expect([code, stderr.split('\n').length]).toEqual([0, 2])
    expect(await session).toContain('killed')
  })

  test('ends in order on a signal', async () => {
    const { code } = await kaal(['debug', '--gdb', '0', FAULT], {
      onOutput: (text, kill) => {
        if (text.includes('waiting for gdb')) kill('SIGTERM')
      },
    })
    expect(code).toBe(0)
  })

  test('says in a line that the port is in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const { code, stderr } = await kaal(['debug', '--gdb', String(port), FAULT])
    server.close()
    expect([code, stderr]).toEqual([255, `kaal: --gdb ${port}: port ${port} of 127.0.0.1 is in use; give another one, or 0 for any\n`]) // prettier-ignore
  })

  test.each([
    ['--gdb', '65536'],
    ['--gdb', 'x'],
    ['--checkpoint-memory', '0'],
  ])('refuses %s %s', async (option, value) => {
    const { code, stderr } = await kaal(['debug', option, value, FAULT])
    expect([code, stderr.trim().split('\n').length]).toEqual([255, 1])
  })

  test('refuses --gdb with a script', async () => {
    const { code, stderr } = await kaal(['debug', '--gdb', '0', '-e', 'when', FAULT])
    expect(code).toBe(255)
    expect(stderr).toContain('exclude each other')
  })
})
