/** A person at a terminal: keys that go to the guest, the keys that end it, and the debugger's prompt. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { testFolder } from '../trace/folder.js'
import { KERNEL, ROOT, build, guest, kaal } from './kaal.js'

const folder = testFolder()
const SESSION = fileURLToPath(new URL('terminal_session.py', import.meta.url))

type Step = readonly ['expect', string] | readonly ['send', string | Uint8Array] | readonly ['signal', string]

interface Session {
  readonly output: string
  readonly code: number
  readonly raw: boolean
  readonly restored: boolean
}

/** No colours, unless asked for, and a history of its own. */
const terminal = { TERM: 'xterm', NO_COLOR: '1', XDG_STATE_HOME: folder('state') }

/** Runs `kaal` on a pseudo-terminal of its own. */
function session(args: readonly string[], steps: readonly Step[], env: NodeJS.ProcessEnv = {}): Promise<Session> {
  const encoded = steps.map(([kind, text]) => [kind, kind === 'send' ? Buffer.from(text).toString('hex') : text])
  const command = [SESSION, JSON.stringify(encoded), process.execPath, `${ROOT}cli/bin.js`, ...args]
  return new Promise((resolve, reject) => {
    execFile(
      'python3',
      command,
      { env: { ...process.env, ...terminal, ...env }, maxBuffer: 1 << 26 },
      (error, stdout) => {
        if (error) return reject(error)
        const result = JSON.parse(stdout) as Session
        resolve({ ...result, output: Buffer.from(result.output, 'hex').toString('latin1') })
      },
    )
  })
}

beforeAll(build)

describe('a recording on a terminal', () => {
  it('takes 4 KiB pasted at once; all of it arrives, and replays', async () => {
    const pasted = Uint8Array.from({ length: 4096 }, (_, n) => (n === 4095 ? 4 : 32 + ((n * 7919) % 95)))
    const sum = pasted.reduce((total, byte) => total + byte, 0).toString(16)
    for (const name of ['echo', 'echo-spin']) {
      const path = folder(`${name}.kaal`)
      const { output, ...end } = await session(
        ['record', '-o', path, guest(name)],
        [
          ['expect', '>'],
          ['send', pasted],
          ['expect', 'result='],
        ],
      )
      expect(output).toMatch(new RegExp(`result=0*${sum}\\b`))
      expect(end).toEqual({ code: 0, raw: true, restored: true })
      const { code, stdout } = await kaal(['replay', path])
      expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(`${sum} ticks`) })
    }
  })

  it('sends Ctrl-C and, by Ctrl-A a, Ctrl-A to the guest; Ctrl-A x ends it', async () => {
    const path = folder('keys.kaal')
    const { output, ...end } = await session(
      ['record', '-o', path, guest('echo')],
      [
        ['expect', '>'],
        ['send', 'ab\u0003c\u0001a\u0001z!'],
        ['expect', '!'],
        ['send', '\u0001'],
        ['send', 'x'],
      ],
    )
    expect(output).toContain('stopped at')
    expect(end).toEqual({ code: 0, raw: true, restored: true })
    const { stdout } = await kaal(['dump', '--json', '--table', 'inputs', path])
    const payload = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { payload: string }).payload)
    expect(payload.join('')).toBe('616203630121')
    expect(await kaal(['verify', path])).toMatchObject({ code: 0 })
  })

  it('gives the terminal back when it is told to end by a signal', async () => {
    const { output, ...end } = await session(
      ['record', '-o', folder('term.kaal'), guest('echo')],
      [
        ['expect', '>'],
        ['send', 'a'],
        ['expect', 'a'],
        ['signal', '15'],
      ],
    )
    expect(output).toContain('final digest')
    expect(end).toEqual({ code: 0, raw: true, restored: true })
  })

  it('asks before it replaces a trace', async () => {
    const path = folder('asked.kaal')
    writeFileSync(path, 'precious')
    const no = await session(
      ['record', '-o', path, guest('null')],
      [
        ['expect', '[y/N]'],
        ['send', 'n\r'],
      ],
    )
    expect(no).toMatchObject({ code: 255, output: expect.stringContaining('exists already'), restored: true })
    const yes = await session(
      ['record', '-o', path, guest('null')],
      [
        ['expect', '[y/N]'],
        ['send', 'y\r'],
      ],
    )
    expect(yes).toMatchObject({ code: 0, restored: true })
    expect(existsSync(path) && (await kaal(['verify', path])).code).toBe(0)
  })
})

describe('the debugger on a terminal', () => {
  it('completes commands and symbols, repeats on an empty line, and goes on after an error', async () => {
    const path = folder('boot.kaal')
    await kaal(['record', '-o', path, KERNEL])
    const { output, code, restored } = await session(
      ['debug', path],
      [
        ['expect', '(kaal)'],
        ['send', 'nonsense\r'],
        ['expect', 'no such command'],
        // The tab comes by itself: within other keys it would be taken as pasted.
        ['send', 'reverse-s'],
        ['expect', 'reverse-s'],
        ['send', '\t'],
        ['expect', 'tep'],
        ['send', '\r'],
        ['expect', 'start of the trace'],
        ['send', 'b kernel_main\r'],
        ['expect', 'breakpoint 1 at'],
        ['send', 'step 10\r'],
        ['expect', '\n10  '],
        ['send', '\r'],
        ['expect', '\n20  '],
        ['send', 'quit\r'],
      ],
    )
    expect(output).toMatch(/breakpoint 1 at 0x[0-9a-f]{16} <kernel_main>/)
    expect(output).toMatch(/\n20 {2}0x/)
    expect({ code, restored }).toEqual({ code: 0, restored: true })
  })

  it('keeps its history for the next session, shows it with the arrows, and completes registers', async () => {
    const path = 'traces/kaal-fault.kaal'
    const env = { XDG_STATE_HOME: folder('history') }
    const file = folder('history/kaal/debug_history')
    const first = await session(
      ['debug', path],
      [
        ['expect', '(kaal)'],
        ['send', 'goto 1234\r'],
        ['expect', '\n1_234  '],
        ['send', 'regs curr'],
        ['expect', 'regs curr'],
        ['send', '\t'],
        ['expect', 'entel'],
        ['send', '\r'],
        ['expect', 'currentel 0x0000000000000004'],
        ['send', 'quit\r'],
      ],
      env,
    )
    expect(first.output).toMatch(/ {2}EL +3:2 +1 +EL1\r?\n/)
    expect(readFileSync(file, 'utf8')).toBe('goto 1234\nregs currentel\nquit\n')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const up = '\u001b[A'
    const second = await session(
      ['debug', path],
      [
        ['expect', '(kaal)'],
        ['send', up],
        ['expect', 'quit'],
        ['send', up],
        ['expect', 'regs currentel'],
        ['send', up],
        ['expect', 'goto 1234'],
        ['send', '\r'],
        ['expect', '\n1_234  '],
        ['send', 'quit\r'],
      ],
      env,
    )
    expect(second).toMatchObject({ code: 0, restored: true, output: expect.stringMatching(/\n1_234 {2}0x/) })
    expect(readFileSync(file, 'utf8')).toBe('regs currentel\ngoto 1234\nquit\n')
  })

  it('goes on without a history that it cannot keep', async () => {
    writeFileSync(folder('no-folder'), '')
    const { output, code } = await session(
      ['debug', 'traces/kaal-fault.kaal'],
      [
        ['expect', '(kaal)'],
        ['send', 'when\r'],
        ['expect', '0 of '],
        ['send', 'q\r'],
      ],
      { XDG_STATE_HOME: folder('no-folder') },
    )
    expect(code).toBe(0)
    expect(output).toContain('0 of 3_825_986')
  })

  it('has colours, but not for those who do not want them', async () => {
    const steps: Step[] = [
      ['expect', '(kaal)'],
      ['send', 'goto 3_788_668\r'],
      ['send', 'bt\r'],
      ['send', 'nonsense\r'],
      ['send', 'quit\r'],
    ]
    const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')
    const on = await session(['debug', 'traces/kaal-fault.kaal'], steps, { NO_COLOR: '' })
    expect(on.output).toContain('\u001b[36m <vectors+0x200>\u001b[0m')
    expect(on.output).toContain('\u001b[1m3_788_668\u001b[0m')
    expect(on.output).toContain('\u001b[31m    <exception: Data Abort from EL1h>\u001b[0m')
    expect(on.output.match(escapes)?.length).toBeGreaterThan(10)
    for (const env of [{ NO_COLOR: '1' }, { NO_COLOR: '', TERM: 'dumb' }]) {
      const off = await session(['debug', 'traces/kaal-fault.kaal'], steps, env)
      expect(off.output).toContain('<exception: Data Abort from EL1h>')
      expect(off.output).not.toMatch(escapes)
    }
    const piped = await kaal(['debug', 'traces/kaal-fault.kaal'], { input: 'bt\n', env: { NO_COLOR: '' } })
    expect(piped.stdout).not.toMatch(escapes)
  })
})
