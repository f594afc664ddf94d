/** `kaal dap`: sessions of a real client, forwards and backwards. */
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Timeline } from '../../../replay/timeline.js'
import { TraceReader } from '../../../trace/reader.js'
import { ROOT, build, kaal } from '../../cli/kaal.js'
import { testFolder } from '../../trace/folder.js'
import { DapClient } from './client.js'

const KERNEL = `${ROOT}kernel/prebuilt/kaal.elf`
const folder = testFolder()
/** A boot of KaaL that ends in a fault, with line tables. */
const FAULT = folder('fault.kaal')
let end = 0
let client: DapClient

beforeAll(async () => {
  build()
  await kaal(['record', '-o', FAULT, '-m', '64M', '--append', 'fault=null', KERNEL])
  const reader = TraceReader.open(FAULT)
  end = new Timeline(reader).end
  reader.close()
})
afterEach(async () => {
  expect(await client.end()).toBe(0)
  expect(client.stderr).toBe('')
})

/** A session that stands at a position. */
async function launched(position: string | number = 'start', trace = FAULT): Promise<DapClient> {
  client = new DapClient()
  await client.ask('initialize', { adapterID: 'kaal', pathFormat: 'path' })
  await client.ask('launch', { trace, position })
  await client.event('initialized')
  await client.ask('configurationDone')
  expect((await client.event('stopped')).body.reason).toBe('entry')
  return client
}

/** All general registers, and the position. */
async function state(): Promise<string> {
  const { variables } = await client.ask('variables', { variablesReference: 1 })
  const { result } = await client.ask('evaluate', { expression: 'when', context: 'repl' })
  return `${result}\n${variables.map(({ name, value }: { name: string; value: string }) => `${name} ${value}`).join('\n')}`
}

describe('a session', () => {
  test('leads from the end of a boot that faults back to the instruction that wrote the bad value', async () => {
    await launched('end')
    const panics = await client.ask('dataBreakpointInfo', { name: 'kaal::debug::panic::REPORTS' })
    expect(panics.accessTypes).toContain('write')
    const set = await client.ask('setDataBreakpoints', {
      breakpoints: [{ dataId: panics.dataId, accessType: 'write' }],
    })
    expect(set.breakpoints[0].verified).toBe(true)
    const stop = await client.move('reverseContinue')
    expect(stop).toMatchObject({ reason: 'data breakpoint', hitBreakpointIds: [set.breakpoints[0].id] })
    const { stackFrames } = await client.ask('stackTrace', { threadId: 1 })
    const names = stackFrames.map(({ name }: { name: string }) => name).join('\n')
    expect(names).toMatch(/atomic_add|fetch_add/)
    expect(names).toContain('report_fault')
    expect(names).toMatch(/<exception: .*abort.*>/i)
    expect(names).toContain('read_null')
    const read = stackFrames.find(({ name }: { name: string }) => name.includes('read_null'))
    expect(read.source.path).toMatch(/kernel\/src\/arch\/aarch64\/crash\.rs$/)
    // And on to the fault itself: the first exception before that.
    await client.ask('setDataBreakpoints', { breakpoints: [] })
    await client.ask('setExceptionBreakpoints', { filters: ['aborts'] })
    expect((await client.move('reverseContinue')).reason).toBe('exception')
    const [top] = (await client.ask('stackTrace', { threadId: 1, levels: 1 })).stackFrames
    expect(top.name).toContain('read_null')
  })

  test('steps by instruction there and back again', async () => {
    await launched(1_000_000)
    const before = await state()
    for (const command of ['next', 'stepIn', 'stepIn']) await client.move(command, { granularity: 'instruction' })
    expect(await state()).not.toBe(before)
    for (let n = 0; n < 3; n++)
      expect(await client.move('stepBack', { granularity: 'instruction' })).toMatchObject({ reason: 'step' })
    expect(await state()).toBe(before)
  })

  test('stops at a line of source, steps over, into and out of calls, and back', async () => {
    await launched()
    const path = '/somewhere/else/kernel/src/boot/mod.rs'
    const lines = (await import('node:fs')).readFileSync(`${ROOT}kernel/src/boot/mod.rs`, 'utf8').split('\n')
    const line = lines.findIndex((each) => each.includes('set_up_memory(&params')) + 1
    const { breakpoints } = await client.ask('setBreakpoints', { source: { path }, breakpoints: [{ line }] })
    expect(breakpoints).toMatchObject([{ verified: true, line }])
    expect((await client.move('continue')).reason).toBe('breakpoint')
    // The function itself is behind those that are inlined into it at the same place.
    const where = async (): Promise<{ name: string; line: number; depth: number }> => {
      const { stackFrames } = await client.ask('stackTrace', { threadId: 1 })
      const [{ instructionPointerReference: pc, line: at }] = stackFrames
      const own = stackFrames.findLast(
        (frame: { instructionPointerReference?: string }) => frame.instructionPointerReference === pc,
      )
      return { name: own.name, line: at, depth: stackFrames.length }
    }
    const start = await where()
    expect(start).toMatchObject({ line })
    await client.move('next')
    const next = await where()
    expect(next.line).toBeGreaterThan(line)
    await client.move('stepBack')
    expect(await where()).toEqual(start)
    await client.move('stepIn')
    let inside = await where()
    for (let n = 0; n < 20 && inside.name === start.name; n++) {
      await client.move('stepIn')
      inside = await where()
    }
    expect(inside.name).not.toBe(start.name)
    await client.move('stepOut')
    expect((await where()).name).toBe(start.name)
  })

  test('shows output, registers, memory, instructions and both ends of the recording', async () => {
    await launched()
    expect((await client.move('continue')).text).toMatch(/^end of the recording, position /)
    const { body } = await client.event('output')
    expect(body).toMatchObject({
      category: 'stdout',
      output: expect.stringContaining('Hello from KaaL Kernel!') as string,
    })
    const { scopes } = await client.ask('scopes', { frameId: 0 })
    expect(scopes.map(({ name }: { name: string }) => name)).toEqual(['Registers', 'Flags', 'System registers'])
    const { variables } = await client.ask('variables', { variablesReference: scopes[2].variablesReference })
    const esr = variables.find(({ name }: { name: string }) => name === 'ESR_EL1')
    const fields = (await client.ask('variables', { variablesReference: esr.variablesReference })).variables
    expect(fields[0]).toMatchObject({ name: expect.stringMatching(/^EC 31:26$/) as string })
    const pc = variables.find(({ name }: { name: string }) => name === 'ELR_EL1').memoryReference
    const read = await client.ask('readMemory', { memoryReference: pc, count: 8 })
    expect(Buffer.from(read.data, 'base64').length).toBe(8)
    const listing = await client.ask('disassemble', { memoryReference: pc, instructionOffset: -2, instructionCount: 5 })
    expect(listing.instructions.map(({ address }: { address: string }) => BigInt(address) - BigInt(pc))).toEqual([
      -8n,
      -4n,
      0n,
      4n,
      8n,
    ])
    expect(listing.instructions[2].instruction).toMatch(/^ldr /)
    const nowhere = await client.ask('disassemble', { memoryReference: '0x10', instructionCount: 1 })
    expect(nowhere.instructions[0].presentationHint).toBe('invalid')
    expect((await client.move('reverseContinue')).text).toMatch(/^start of the recording, position 0 of /)
    expect((await client.ask('evaluate', { expression: 'goto end', context: 'repl' })).result).toContain('_')
    expect((await client.event('stopped')).body.reason).toBe('goto')
  })

  test('can be paused while it runs', async () => {
    const long = folder('long.kaal')
    await kaal(['record', '-o', long, '-m', '64M', `${ROOT}bench/guests/prebuilt/cpu.elf`])
    await launched('end', long)
    // A breakpoint in the loop whose condition never holds: the run meets it a hundred million times.
    await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'loop', condition: '$xzr' }] })
    await client.ask('reverseContinue', { threadId: 1 })
    expect(await client.send('stackTrace', { threadId: 1 })).toMatchObject({
      success: false,
      message: expect.stringContaining('pause') as string,
    })
    await client.ask('pause', { threadId: 1 })
    expect((await client.event('stopped')).body.reason).toBe('pause')
  })
})

describe('what is wrong gets one line', () => {
  test('messages out of order', async () => {
    client = new DapClient()
    for (const command of ['continue', 'stackTrace', 'setBreakpoints', 'configurationDone'])
      expect(await client.send(command)).toMatchObject({ success: false, message: `${command}: launch a trace first` })
    expect((await client.send('fly')).message).toBe('there is no request "fly"')
    expect((await client.send('toString')).success).toBe(false)
    expect((await client.send('launch', {})).message).toContain('trace')
    expect((await client.send('launch', { trace: 'missing.kaal' })).message).toBe('missing.kaal: no such file')
    expect((await client.send('launch', { trace: KERNEL })).message).toMatch(/^[^\n]*kaal\.elf[^\n]*$/)
    expect((await client.send('launch', { trace: FAULT, position: end + 1 })).message).toContain('position')
    await client.ask('launch', { trace: FAULT })
    expect((await client.send('launch', { trace: FAULT })).message).toContain('open already')
    await client.ask('configurationDone')
    expect((await client.send('configurationDone')).success).toBe(false)
    for (const [command, args, part] of [
      ['variables', { variablesReference: 77 }, '77'],
      ['scopes', {}, 'frame'],
      ['setVariable', { name: 'x0', value: '1' }, 'cannot be changed'],
      ['readMemory', { memoryReference: '0x0', count: -1 }, 'count'],
      ['disassemble', { memoryReference: 'nonsense', instructionCount: 1 }, 'nonsense'],
      ['setBreakpoints', { breakpoints: [] }, 'path'],
      ['evaluate', { expression: 'frobnicate', context: 'repl' }, 'frobnicate'],
    ] as const)
      expect(await client.send(command, args)).toMatchObject({
        success: false,
        message: expect.stringContaining(part) as string,
      })
    const { breakpoints } = await client.ask('setBreakpoints', {
      source: { path: '/no/such.rs' },
      breakpoints: [{ line: 1 }],
    })
    expect(breakpoints).toMatchObject([{ verified: false, message: expect.stringContaining('/no/such.rs') as string }])
    await client.ask('disconnect')
  })

  test('what is no message', async () => {
    await launched()
    const bytes = fc.oneof(fc.string({ maxLength: 60 }), fc.json({ maxDepth: 2 }))
    await fc.assert(
      fc.asyncProperty(bytes, async (text) => {
        client.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
        const { threads } = await client.ask('threads')
        expect(threads).toEqual([{ id: 1, name: 'vCPU 0' }])
      }),
      { numRuns: 100 },
    )
  })
})
