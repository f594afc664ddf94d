/** `kaal debug` on the sample traces: sources, backtraces, registers, JSON, and what is said when something is missing. */
import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { Debugger } from '../../replay/debugger/debugger.js'
import { DebuggerError } from '../../replay/debugger/error.js'
import { TraceReader } from '../../trace/reader.js'
import { testFolder } from '../trace/folder.js'
import { type Outcome, build, guest, kaal } from './kaal.js'

const folder = testFolder()
const FAULT = 'traces/kaal-fault.kaal'
const SYMBOLS = 'tests/guests/kaal-chapter-3.elf'

beforeAll(build)

const debug = (options: readonly string[], ...commands: string[]): Promise<Outcome> =>
  kaal(['debug', FAULT, ...options, ...commands.flatMap((command) => ['-e', command])])

/** The lines that commands print. */
async function lines(options: readonly string[], ...commands: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await debug(options, ...commands)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout.trimEnd().split('\n')
}

describe('a fault, from the end of the trace back to its cause', () => {
  it('by the lines of the kernel', async () => {
    const shown = await lines(
      ['--symbols', SYMBOLS],
      'goto end',
      'prev exception data-abort',
      'bt',
      'regs esr_el1',
      'walk 0',
      'rs',
    )
    const text = shown.join('\n')
    expect(text).toMatch(
      /\nexception: Data Abort from the current Exception level, ESR 0x96000004, FAR 0x0+, pc 0x[0-9a-f]+ <kaal::debug::faults::run\+/,
    )
    expect(text).toMatch(
      /\n#1 {2}read_null at kernel\/src\/arch\/aarch64\/crash\.rs:\d+ \(inlined\)\n {4}0x[0-9a-f]+ <kaal::debug::faults::run\+0x[0-9a-f]+> at kernel\/src\/debug\/faults\.rs:\d+\n#2/,
    )
    expect(text).toMatch(/\n {2}DFSC +5:0 +0x4 +Translation fault, level 0\n/)
    expect(text).toMatch(/\n {2}level 0: .* invalid\n {2}Translation fault, level 0 \(fault status 0x4\)\n/)
    // The source text is that of the file.
    const [, file, line, source] = /^(\S+):(\d+) {2}(.*)$/.exec(shown.at(-1) ?? '') ?? []
    expect(readFileSync(file, 'utf8').split('\n')[Number(line) - 1].trim()).toBe(source)
    expect(source).toContain('ldr')
  })

  it('to the instruction that put the bad address where it was', async () => {
    const shown = await lines([], 'goto end', 'prev exception', 'rs', 'who-wrote $x8', 'goto 10', 'who-wrote $x28')
    expect(shown[4]).toMatch(/^last change of \$x8 before 3_788_667: 0x[0-9a-f]{16}.* -> 0x0{16}$/)
    expect(shown[5]).toMatch(/^3_788_666 {2}0x[0-9a-f]{16} <kaal::debug::faults::run\+0x[0-9a-f]+> {2}mov x8, xzr$/)
    expect(shown.at(-1)).toBe('$x28: no instruction has changed it since the start')
  })

  it('by symbols alone, since the sample traces have no line tables', async () => {
    const shown = await lines([], 'goto end', 'prev exception', 'bt')
    expect(shown[3]).toMatch(/^#0 {2}0x[0-9a-f]{16} <vectors\+0x200>$/)
    expect(shown.join('\n')).not.toContain('.rs')
  })
})

describe('breakpoints by line', () => {
  it('stop at that line, in each function that it is inlined into', async () => {
    const shown = await lines(['--symbols', SYMBOLS], 'b debug/faults.rs:25', 'goto 3_000_000', 'c')
    const set = shown[0]
    const [stop, where] = shown.slice(-3)
    expect(set).toMatch(
      /^breakpoint 1 at 0x[0-9a-f]{16} <kaal::debug::faults::run\+0x[0-9a-f]+> kernel\/src\/debug\/faults\.rs:\d+$/,
    )
    expect(stop).toBe('breakpoint 1')
    expect(where).toMatch(/^[\d_]+ {2}0x[0-9a-f]{16} <kaal::debug::faults::run\+/)
    const many = await lines(['--symbols', SYMBOLS], 'b arch/aarch64/phys.rs:38')
    expect(many.length).toBeGreaterThan(3)
    many.forEach((line, n) =>
      expect(line).toMatch(new RegExp(`^breakpoint ${n + 1} at .* kernel/src/arch/aarch64/phys.rs:38$`)),
    )
  })

  it('show the source around', async () => {
    const shown = await lines(['--symbols', SYMBOLS], 'list boot/mod.rs:20')
    const source = readFileSync('kernel/src/boot/mod.rs', 'utf8').split('\n')
    expect(shown[0]).toBe('kernel/src/boot/mod.rs:20')
    expect(shown.slice(1)).toEqual(
      source.slice(14, 25).map((text, n) => `${n === 5 ? '=> ' : '   '}${n + 15}  ${text}`.trimEnd()),
    )
  })

  it('find sources below a folder that --source names', async () => {
    writeFileSync(folder('crash.rs'), Array.from({ length: 60 }, (_, n) => `// line ${n + 1} of another`).join('\n'))
    const options = ['--symbols', SYMBOLS, '--source', folder('.')]
    const shown = await lines(options, 'goto end', 'prev exception', 'rs')
    expect(shown.at(-1)).toMatch(/crash\.rs:(\d+) {2}\/\/ line \1 of another$/)
  })
})

describe('--json', () => {
  it('is a line of JSON for each command', async () => {
    const commands = [
      'goto end',
      'when',
      'prev exception',
      'bt',
      'regs',
      'regs esr_el1 x0',
      'regs system',
      'walk $pc',
      'threads',
    ]
    const more = [
      'uart 2',
      'b kernel_main',
      'watch kernel_sp',
      'info breakpoints',
      'info trace',
      'x/2xg $sp',
      'disas',
      'rs',
      'who-wrote kernel_sp',
      'help',
    ]
    const shown = await lines(['--json', '--symbols', SYMBOLS], ...commands, ...more)
    const objects = shown.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(objects.map(({ command }) => command)).toEqual([...commands, ...more])
    const of = (command: string) => objects.find((object) => object['command'] === command)
    expect(of('when')).toMatchObject({ position: 3_825_986, end: 3_825_986 })
    expect(of('prev exception')).toMatchObject({ position: 3_788_668, symbol: 'vectors+0x200' })
    expect(of('bt')?.['frames']).toContainEqual({ kind: 'exception', what: 'Data Abort from EL1h' })
    expect(of('regs esr_el1 x0')).toMatchObject({
      registers: [{ register: 'ESR_EL1', value: '0x96000004', fields: expect.arrayContaining([]) }, { register: 'x0' }],
    })
    expect(of('walk $pc')).toMatchObject({
      mmu: true,
      el: 1,
      levels: [{ kind: 'table' }, {}, {}, { kind: 'page', level: 3 }],
    })
    expect(of('info breakpoints')).toMatchObject({
      breakpoints: [{ id: 1, symbol: 'kernel_main' }],
      watchpoints: [{ id: 2, length: 8 }],
    })
    expect(of('who-wrote kernel_sp')).toMatchObject({
      writer: { symbol: 'enter_user+0x24', access: { bytes: 8, write: true } },
    })
    expect(of('uart 2')?.['lines']).toHaveLength(2)
  })
})

describe('what is missing or wrong', () => {
  const failing: [string, readonly string[], string][] = [
    ['b faults.rs:25', [], 'there are no line tables; name an executable that has them with --symbols'],
    ['list', [], 'no source line is known for this instruction; name an executable with line tables with --symbols'],
    ['b nofile.rs:1', ['--symbols', SYMBOLS], 'no code comes from a file of that name'],
    ['b mod.rs:1', ['--symbols', SYMBOLS], 'could be '],
    ['b debug/faults.rs:99999', ['--symbols', SYMBOLS], 'no code there; the last line with code is'],
    ['list validations.rs:1', ['--symbols', SYMBOLS], 'is not at hand; say with --source'],
    ['regs nosuch_el1', [], 'no such register'],
    ['walk 0 el2', [], 'this machine has no EL2'],
    ['walk', [], 'give an address'],
    ['first nothing', [], 'give one of interrupt, exception, uart, syscall'],
    ['next exception sometimes', [], 'give one of undefined'],
    ['next interrupt x', [], 'give an INTID'],
    ['watch kernel_sp 0', [], 'at least 1'],
    ['watch 0xfffffffffffffffc 8', [], 'do not fit the address space'],
    ['who-wrote', [], 'give an address'],
    ['bt 3', [], 'takes no argument'],
  ]
  it('is said in one line', async () => {
    const reader = TraceReader.open(FAULT)
    const symbols = [{ name: SYMBOLS, bytes: readFileSync(SYMBOLS) }]
    const [plain, full] = [new Debugger(reader), new Debugger(reader, { symbols })]
    for (const [command, options, reason] of failing) {
      const error: unknown = await (options.length > 0 ? full : plain)
        .execute(command)
        .catch((thrown: unknown) => thrown)
      expect(error, command).toBeInstanceOf(DebuggerError)
      const { message } = error as DebuggerError
      expect(message).toContain(reason)
      expect(message).not.toContain('\n')
    }
    reader.close()
    const { code, stderr } = await debug([], failing[0][0])
    expect({ code, stderr }).toEqual({ code: 255, stderr: `kaal: -e, command 1: faults.rs: ${failing[0][2]}\n` })
  })

  it('in files of symbols too', async () => {
    const cases: [string, string | Uint8Array | undefined, RegExp][] = [
      ['missing.elf', undefined, /missing\.elf: there is no such file/],
      ['text.elf', 'no ELF', /text\.elf: is not an ELF file|text\.elf is not an ELF file/],
    ]
    for (const [name, content, reason] of cases) {
      if (content !== undefined) writeFileSync(folder(name), content)
      const { code, stderr } = await debug(['--symbols', folder(name)], 'when')
      expect(stderr).toMatch(reason)
      expect(stderr.trimEnd()).not.toContain('\n')
      expect(code).toBe(255)
    }
  })

  it('in debugging information that is damaged: one line, and symbols go on working', async () => {
    const bytes = readFileSync(SYMBOLS)
    const damaged = Buffer.from(bytes)
    // The version of the first line program.
    damaged.writeUInt16LE(77, lineSection(bytes) + 4)
    writeFileSync(folder('damaged.elf'), damaged)
    const { code, stdout, stderr } = await debug(['--symbols', folder('damaged.elf')], 'goto end', 'bt')
    expect(stderr).toMatch(
      /^kaal: \S+damaged\.elf: \.debug_line at 0x6: version 77: 2 to 5 can be read; source lines are known up to there\n$/,
    )
    expect(stdout).toContain('<kernel_main+')
    expect(code).toBe(0)
  })

  it('in a guest without symbols or frame pointers', async () => {
    const path = folder('svc.kaal')
    await kaal(['record', '-o', path, guest('svc')])
    const { code, stdout, stderr } = await kaal(['debug', path, '-e', 'next syscall', '-e', 'bt', '-e', 'threads'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^syscall: SVC #\d+, pc /)
    expect(stdout).toMatch(/\n {4}<exception: SVC #\d+ from EL\d[th]>\n/)
    expect(stdout).toMatch(/\nvCPU 0 {2}EL1.*\nthe kernel's own threads: no symbol tells of them/)
  })
})

describe('scripts', () => {
  it('are taken from -x and --command alike', async () => {
    writeFileSync(folder('commands.txt'), 'goto 100\nwhen\n')
    const short = await kaal(['debug', FAULT, '-x', folder('commands.txt')])
    expect(short).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('\n100 of ') })
    expect(await kaal(['debug', FAULT, '--command', folder('commands.txt')])).toEqual(short)
  })

  it('every command explains itself', async () => {
    const all = await lines([], 'help')
    expect(all.length).toBeGreaterThan(22)
    const names = all.map((line) => line.split(/[ /]/)[0])
    const page = readFileSync('docs/debugger.md', 'utf8')
    const rows = [...page.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell]) => cell.replaceAll('`', '').split(', '))
    expect(rows.toSorted()).toEqual(names.toSorted())
    const explained = await lines([], ...names.map((name) => `help ${name}`))
    for (const name of names) expect(explained.some((line) => line.startsWith(name) && line.includes(': '))).toBe(true)
  })
})

/** Where `.debug_line` begins in an ELF file. */
function lineSection(bytes: Buffer): number {
  const table = Number(bytes.readBigUInt64LE(40))
  const [count, names] = [bytes.readUInt16LE(60), bytes.readUInt16LE(62)]
  const strings = Number(bytes.readBigUInt64LE(table + 64 * names + 24))
  for (let n = 0; n < count; n++) {
    const at = table + 64 * n
    const name = strings + bytes.readUInt32LE(at)
    if (bytes.toString('latin1', name, bytes.indexOf(0, name)) === '.debug_line')
      return Number(bytes.readBigUInt64LE(at + 24))
  }
  throw new Error('no .debug_line')
}
