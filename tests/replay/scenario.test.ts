/** Scenarios: what a trace demands of another build, and how builds are judged by it. */
import { describe, expect, it } from 'vitest'
import { machineWith } from '../../replay/divergence/side.js'
import type { MachineDescription } from '../../replay/description.js'
import { imageFiles, machineRecord } from '../../replay/description.js'
import { Replayer } from '../../replay/replayer.js'
import { ConditionError, DEFAULT_CONDITIONS, parseCondition } from '../../replay/scenario/conditions.js'
import { type RerunResult, cap, rerun } from '../../replay/scenario/rerun.js'
import { type Scenario, readScenario } from '../../replay/scenario/scenario.js'
import { TraceReader } from '../../trace/reader.js'
import { TraceWriter } from '../../trace/writer.js'
import { testFolder } from '../trace/folder.js'
import { type Recording, record } from './recording.js'
import { ADDER, compile } from './tiny-guest.js'

const folder = testFolder()
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
let traces = 0

async function scenarioOf(recording: Recording): Promise<Scenario & { path: string; digest: string }> {
  const { path, result } = await record(recording)
  const reader = TraceReader.open(path)
  const scenario = await readScenario(reader, machineWith('hybrid'), true)
  reader.close()
  return { ...scenario, path, digest: result.finalDigest }
}

/** Runs a scenario on a build, into a trace, which must replay. */
async function run(
  scenario: Scenario,
  kernel: string | Uint8Array,
  failIf: readonly string[] = DEFAULT_CONDITIONS,
  maxInstructions?: number,
): Promise<RerunResult & { output: string; path: string; digest: string | undefined }> {
  const path = folder(`${++traces}.kaal`)
  const output: number[] = []
  const result = await rerun(
    scenario,
    { name: 'new', bytes: typeof kernel === 'string' ? compile(kernel) : kernel },
    failIf.map(parseCondition),
    {
      engine: 'hybrid',
      writer: (description: MachineDescription) =>
        TraceWriter.create(path, {
          kaal: 'test',
          machine: machineRecord(description),
          images: imageFiles(description.files),
        }),
      open: () => TraceReader.open(path),
      onTransmit: (byte) => output.push(byte),
      ...(maxInstructions !== undefined && { maxInstructions }),
    },
  )
  let digest: string | undefined
  if (result.end !== undefined) {
    const reader = TraceReader.open(path)
    const replayed = await new Replayer(reader).run()
    expect(replayed.kind).toBe('same')
    digest = reader.meta.finalDigest
    reader.close()
  }
  return { ...result, output: String.fromCharCode(...output), path, digest }
}

describe('the inputs of a scenario', async () => {
  const scenario = await scenarioOf({ kernel: compile(ADDER), input: bytes('ab\x04') })

  it('follow what was printed before them, and how long after', () => {
    expect(scenario.inputs.map(({ payload, prompt }) => [String.fromCharCode(...payload), prompt])).toEqual([
      ['a', { text: '>', occurrence: 1 }],
      ['b', undefined],
      ['\x04', { text: 'a', occurrence: 1 }],
    ])
    expect(scenario.poweredOff).toBe(true)
  })

  it('come to the same kernel at the same instructions: the traces are the same', async () => {
    const again = await run(scenario, ADDER)
    expect(again).toMatchObject({ verdict: 'good', inputs: { given: 3, of: 3 }, digest: scenario.digest })
  })

  const gives = async (path: string): Promise<[string, string][]> => {
    const reader = TraceReader.open(path)
    const given = [...reader.inputs()].map(({ icount, payload }): [string, string] => [
      [...reader.uart({ to: icount - 1 })]
        .flatMap(({ direction, byte }) => (direction === 0 ? [byte] : []))
        .map((byte) => String.fromCharCode(byte))
        .join(''),
      String.fromCharCode(...payload),
    ])
    reader.close()
    return given
  }

  it.each([
    ['prints more', ADDER.replace('Adder 1', String.raw`Adder 2\nnow with\nthree lines`)],
    ['takes longer', ADDER.replace('print >', 'delay 60000\ndelay 60000\nprint >').replace('get', 'delay 50000\nget')],
    ['is quicker', ADDER.replace(String.raw`print Adder 1\n`, '')],
  ])('come after the same output to a build that %s', async (_what, source) => {
    const other = await run(scenario, source)
    expect(other).toMatchObject({ verdict: 'good', inputs: { given: 3, of: 3 } })
    expect(other.output.endsWith('>ab\x04\nsumMH\n')).toBe(true)
    const start = other.output.slice(0, other.output.indexOf('>') + 1)
    const [first, second, third] = await gives(other.path)
    expect(first).toEqual([start, 'a'])
    expect([start, `${start}a`]).toContain(second[0])
    expect(second[1]).toBe('b')
    expect(third).toEqual([expect.stringMatching(/a$|ab$/), '\x04'])
  })

  it('wait for the same occurrence of a prompt', async () => {
    const twice = ADDER.replace('print >', 'print >\nprint  one\\n\nprint >')
    const asked = await scenarioOf({ kernel: compile(twice.replace('get', 'delay 9\nget')), input: bytes('a\x04') })
    expect(asked.inputs[0].prompt).toEqual({ text: '>', occurrence: 2 })
    const other = await run(asked, twice.replace('print  one', 'delay 65000\nprint  one'))
    expect(other.verdict).toBe('good')
    expect((await gives(other.path))[0][0]).toMatch(/> one\n>$/)
  })

  it('that were given at a line break wait for the whole line', async () => {
    const source = ADDER.replace('print >', '')
    const asked = await scenarioOf({ kernel: compile(source), input: bytes('\x04') })
    expect(asked.inputs[0].prompt).toEqual({ text: 'Adder 1\n', occurrence: 1 })
    const other = await run(asked, `print Adder 0\\n\n${source}`)
    expect((await gives(other.path))[0][0]).toBe('Adder 0\nAdder 1\n')
  })

  it('are given at the same time to a guest that has printed nothing', async () => {
    const silent = ADDER.replace(/print [A>].*\n/g, '')
    const asked = await scenarioOf({ kernel: compile(silent.replace('get', 'delay 1000\nget')), input: bytes('a\x04') })
    const [first] = asked.inputs
    expect(first.prompt).toBeUndefined()
    expect(first.delay).toBeGreaterThan(0)
    const other = await run(asked, silent.replace('get', 'delay 500\nget'))
    expect(other.verdict).toBe('good')
    const reader = TraceReader.open(other.path)
    const [{ icount }] = [...reader.inputs()]
    reader.close()
    // An instruction takes 2 ns.
    expect(icount).toBe(first.delay / 2)
  })

  it('are given at once to a guest that sleeps for ever, and is the one it is for', async () => {
    const asked = await scenarioOf({ kernel: compile(ADDER), input: bytes('a\x04') })
    const other = await run(asked, 'print >\nsleep\n', ['exit'])
    expect(other).toMatchObject({ verdict: 'bad', end: 'asleep', inputs: { given: 1, of: 2 } })
    expect(other.message).toMatch(/^exit: the guest did not power off: guest idle with nothing to wake it at [\d_]+/)
  })

  it('of which one never comes are named', async () => {
    const other = await run(scenario, ADDER.replace('print >', 'print $'), ['uart:never'], 2_000_000)
    expect(other).toMatchObject({ verdict: 'cannot-tell', inputs: { given: 0, of: 3 } })
    expect(other.message).toContain('input 1 of 3, "a", waits for ">"')
  })
})

describe('a build is', async () => {
  const scenario = await scenarioOf({ kernel: compile(ADDER), input: bytes('ab\x04') })
  const judged = async (source: string, ...failIf: string[]): Promise<string> => {
    const conditions = failIf.map(parseCondition)
    const kernel = { name: 'new', bytes: compile(source) }
    const { verdict, message } = await rerun(scenario, kernel, conditions, { engine: 'hybrid' })
    return `${verdict}: ${message}`
  }

  it('judged by its output', async () => {
    expect(await judged(ADDER, 'uart:^sumIO$')).toMatch(/^good: none of uart:/)
    const wrong = ADDER.replace('sum\necho', 'sum\nsum\necho')
    expect(await judged(wrong, 'uart:^sum[I-L]')).toMatch(/^bad: uart:.*: the output matches: sumIO, at [\d_]+$/)
    expect(await judged(wrong, 'no-uart:^sumMH$')).toMatch(/^bad: no-uart:\^sumMH\$: the output does not match, at /)
    expect(await judged(ADDER, 'no-uart:^sumMH$')).toMatch(/^good/)
    expect(await judged(wrong, String.raw`uart:b[^]*\nsum`)).toMatch(/^bad/)
  })

  it('bad if it panics or loops on faults', async () => {
    const panic = ADDER.replace('print >', String.raw`print KERNEL PANIC: at the disco\n` + '\nprint >')
    expect(await judged(panic, 'panic')).toMatch(/^bad: panic: the guest panicked: KERNEL PANIC: at the disco/)
    const { message, end } = await run(scenario, new Uint8Array(64), ['panic'])
    expect(message).toMatch(/^panic: guest loops on faults: 10000 in a row/)
    expect(end).toBe('fault-loop')
    expect(await run(scenario, new Uint8Array(64), ['uart:x'])).toMatchObject({ verdict: 'cannot-tell' })
  })

  it('bad if the kernel faults more often than before', async () => {
    const faulty = ADDER.replace('print >', 'fault\nprint >')
    expect(await judged(faulty, 'fault')).toMatch(
      /^bad: fault: the kernel took an exception, which the recorded run never had: Unknown reason, at \d+$/,
    )
    const faulted = await scenarioOf({ kernel: compile(faulty), input: bytes('\x04') })
    expect((await run(faulted, faulty)).verdict).toBe('good')
    const twice = await run(faulted, faulty.replace('fault', 'fault\nfault'))
    expect(twice.message).toMatch(/once more than the recorded run's 1: Unknown reason/)
    expect((await run(faulted, ADDER)).verdict).toBe('good')
  })

  it('bad if it hangs', async () => {
    expect(await judged(ADDER.replace('print >', 'loop for ever'), 'hang:100_000')).toMatch(
      /^bad: hang:100_000: no output for [\d_]+ instructions; input 1 of 3, "a", waits for ">", at /,
    )
    expect(await judged(ADDER.replace('print >', 'sleep'), 'hang')).toMatch(
      /^bad: hang: guest idle with nothing to wake it/,
    )
    expect(await judged(ADDER, 'hang:5_000_000')).toMatch(/^good/)
  })

  it('bad if it does not end as the recorded one', async () => {
    expect(await judged(ADDER.replace('again until 4', 'again until 4\nsleep'), 'exit')).toMatch(
      /^bad: exit: the guest did not power off: guest idle/,
    )
    expect(await judged(ADDER.replace('get', 'off\nget'), 'exit')).toMatch(
      /^bad: exit: the guest powered off too early; input 1 of 3/,
    )
    expect(await judged(ADDER.replace('off', String.raw`print 3 passed, 2 failed\n` + '\noff'), 'exit')).toMatch(
      /^bad: exit: the guest reports 2 failed, at/,
    )
  })

  it('bad if it takes too long', async () => {
    const slow = ADDER.replace('print >', 'delay 65000\nprint >')
    expect(await judged(slow, `budget:${scenario.instructions}`)).toMatch(
      /^bad: budget:\d+: more than [\d_]+ instructions, at/,
    )
    expect(await judged(slow, 'budget:1.5x')).toMatch(/^good/)
    expect(await judged(slow, 'budget:1.05x')).toMatch(/^bad: budget:1.05x: more than [\d_]+ instructions/)
    expect(await judged(ADDER, `budget:${scenario.instructions}`)).toMatch(/^good/)
  })

  it('not to be told from if it asks for what is not modelled, or does not load', async () => {
    expect(await judged(`return to AArch32\n${ADDER}`, 'exit')).toMatch(
      /^cannot-tell: the kernel asks for what is not modelled: /,
    )
    expect(await run(scenario, new Uint8Array(0))).toMatchObject({
      verdict: 'cannot-tell',
      message: 'the kernel does not load: new: is empty',
      end: undefined,
    })
  })

  it('stopped after so many instructions as no condition counts to', async () => {
    const most = cap(scenario, [])
    expect(most).toBe(2 ** 28)
    expect(cap({ ...scenario, instructions: 10 ** 9 }, [])).toBe(8 * 10 ** 9)
    expect(cap(scenario, [parseCondition('budget:1_000_000_000')])).toBeGreaterThan(10 ** 9)
    expect(cap(scenario, [parseCondition('hang:1_000_000_000')])).toBeGreaterThan(10 ** 9)
    const endless = await run(scenario, ADDER.replace('again until 4', 'loop for ever'), ['uart:never'], 3_000_000)
    expect(endless).toMatchObject({ verdict: 'cannot-tell', instructions: 3_000_000 })
  })

  it('run as long as the recorded one, if that was ended from outside', async () => {
    const source = 'print on\\n\nloop for ever'
    const ended = await scenarioOf({ kernel: compile(source), run: { maxInstructions: 1_500_000 } })
    expect(ended).toMatchObject({ poweredOff: false, asleep: false })
    expect(await run(ended, source)).toMatchObject({ verdict: 'good', instructions: 1_500_000 })
    expect(await run(ended, 'print on\\n\nsleep')).toMatchObject({ verdict: 'bad', end: 'asleep' })
    const asleep = await scenarioOf({ kernel: compile('print on\\n\nsleep') })
    expect(asleep.asleep).toBe(true)
    expect(await run(asleep, 'delay 5000\nprint on\\n\nsleep')).toMatchObject({ verdict: 'good', end: 'asleep' })
  })
})

describe('a condition', () => {
  it.each([
    ['', 'give uart:REGEX'],
    ['panics', 'give uart:REGEX'],
    ['panic:1', 'has no value'],
    ['uart', 'regular expression'],
    ['uart:', 'regular expression'],
    ['no-uart:a(', 'Unterminated group'],
    ['hang:0', 'hang:100_000_000'],
    ['hang:many', 'hang:100_000_000'],
    ['budget', 'budget:1.5x'],
    ['budget:x', 'budget:1.5x'],
    ['budget:0x', 'budget:1.5x'],
    ['budget:-5', 'budget:1.5x'],
    ['assert', 'SYMBOL:EXPRESSION'],
    ['assert:main', 'SYMBOL:EXPRESSION'],
    ['assert:main:$x0', 'SYMBOL:EXPRESSION'],
    ['assert:main:$x0 = 1', 'SYMBOL:EXPRESSION'],
    ['assert:main:$x99 == 1', '$x99'],
    ['assert:main:1 == [', 'SYMBOL:EXPRESSION'],
  ])('%s is refused in one line', (text, part) => {
    const read = (): unknown => parseCondition(text)
    expect(read).toThrow(ConditionError)
    expect(read).toThrow(part)
    expect(read).toThrow(new RegExp(`^[^\\n]+$`))
  })
})
