/** The gdb server's protocol: packets of every kind of damage, and a client of its own over a real socket. */
import fc from 'fast-check'
import { type Socket, connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type GdbListener, listenForGdb } from '../../cli/gdb.js'
import { PACKET_SIZE, PacketReader, type Received, hexToText, packet, parseHex, textToHex } from '../../replay/gdb/packets.js' // prettier-ignore
import { CORE_REGISTERS, targetRegisters, targetXml } from '../../replay/gdb/target.js'
import { Names } from '../../replay/debugger/names.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'

const FAULT = 'traces/kaal-fault.kaal'
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

describe('packets', () => {
  const latin1 = fc.uint8Array({ maxLength: 60 }).map((codes) => String.fromCharCode(...codes))

  test('come out as they went in, however the stream is cut and whatever stands between them', () => {
    fc.assert(
      fc.property(fc.array(latin1, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 9 })), (list, cuts) => {
        const stream = bytes(list.map((data) => `${packet(data)}+`).join('noise#00'))
        const reader = new PacketReader()
        const received: Received[] = []
        let at = 0
        for (const cut of [...cuts, stream.length]) {
          received.push(...reader.take(stream.subarray(at, at + cut)))
          at += cut
        }
        const packets = received.filter(({ kind }) => kind === 'packet')
        expect(packets).toEqual(list.map((data) => ({ kind: 'packet', data })))
        expect(received.filter(({ kind }) => kind === 'ack').length).toBe(list.length)
      }),
    )
  })

  test('with a wrong checksum are damaged, or noise, and never another packet', () => {
    fc.assert(
      fc.property(latin1, fc.nat(), fc.integer({ min: 1, max: 255 }), (data, where, change) => {
        const stream = bytes(packet(data))
        stream[where % stream.length] ^= change
        for (const each of new PacketReader().take(stream)) if (each.kind === 'packet') expect(each.data).not.toBe('')
      }),
    )
    expect(new PacketReader().take(bytes('$g#68'))).toEqual([{ kind: 'damaged' }])
    expect(new PacketReader().take(bytes('$g#zz'))).toEqual([{ kind: 'damaged' }])
    expect(new PacketReader().take(bytes('$gg$g#67'))).toEqual([{ kind: 'packet', data: 'g' }])
    expect(new PacketReader().take(bytes('\u0003'))).toEqual([{ kind: 'interrupt' }])
  })

  test('that are too long are dropped as a whole, and what follows is taken', () => {
    const reader = new PacketReader()
    expect(reader.take(bytes(packet('m'.repeat(PACKET_SIZE))))).toMatchObject([{ kind: 'packet' }])
    expect(reader.take(bytes(packet('m'.repeat(PACKET_SIZE + 1))))).toEqual([{ kind: 'overlong' }])
    expect(reader.take(bytes(packet('g')))).toEqual([{ kind: 'packet', data: 'g' }])
  })

  test('numbers and text are read strictly', () => {
    expect([parseHex(''), parseHex('0x1'), parseHex('-1'), parseHex('1'.repeat(17))]).toEqual([undefined, undefined, undefined, undefined]) // prettier-ignore
    expect(parseHex('fFff')).toBe(0xffffn)
    expect([hexToText('1'), hexToText('zz'), hexToText(textToHex('größe'))]).toEqual([undefined, undefined, 'größe'])
  })
})

let reader: TraceReader
let timeline: Timeline
let listener: GdbListener
const clients: Client[] = []

beforeAll(async () => {
  reader = TraceReader.open(FAULT)
  timeline = new Timeline(reader)
  listener = await listenForGdb(reader, timeline, 0)
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})
afterAll(async () => {
  listener.close()
  await listener.ended
  reader.close()
})

/** A client that can send anything. */
class Client {
  readonly socket: Socket
  private readonly packets = new PacketReader()
  private readonly received: string[] = []
  private wake = (): void => {}
  acks = ''

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => this.wake())
    socket.on('data', (data: Buffer) => {
      for (const each of this.packets.take(data)) {
        if (each.kind === 'packet') this.received.push(each.data)
        else this.acks += each.kind === 'ack' ? '+' : each.kind === 'nack' ? '-' : '?'
      }
      this.wake()
    })
  }

  static async open(): Promise<Client> {
    const socket = connect(listener.port, '127.0.0.1')
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    const client = new Client(socket)
    clients.push(client)
    return client
  }

  raw(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** The next answer that is no console output. */
  async answer(): Promise<string> {
    for (;;) {
      const next = this.received.shift()
      if (next !== undefined && (next === 'OK' || !next.startsWith('O'))) return next
      if (next !== undefined) continue
      if (this.socket.destroyed) throw new Error('the server has closed the connection')
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  ask(data: string): Promise<string> {
    this.raw(packet(data))
    return this.answer()
  }

  monitor(command: string): Promise<string> {
    return this.ask(`qRcmd,${textToHex(command)}`)
  }

  async close(): Promise<void> {
    this.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('a client', () => {
  test('is told what the server can, and of its thread', async () => {
    const client = await Client.open()
    expect(await client.ask('qSupported:swbreak+;hwbreak+')).toContain('ReverseStep+;ReverseContinue+')
    expect(client.acks).toBe('+')
    expect(await client.ask('vMustReplyEmpty')).toBe('')
    expect([await client.ask('qfThreadInfo'), await client.ask('qsThreadInfo'), await client.ask('qC')]).toEqual(['m1', 'l', 'QC1']) // prettier-ignore
    expect([await client.ask('Hg0'), await client.ask('Hc-1'), await client.ask('Hg7')]).toEqual(['OK', 'OK', 'E01'])
    expect([await client.ask('T1'), await client.ask('T2'), await client.ask('qAttached')]).toEqual(['OK', 'E01', '1'])
    expect(await client.ask('?')).toMatch(/^T05thread:1;/)
    expect(await client.ask('Z5,0,0')).toBe('')
  })

  test('gets damaged packets asked for again, until it needs no acknowledgements', async () => {
    const client = await Client.open()
    client.raw('$qC#00')
    client.raw(packet('qC'))
    expect(await client.answer()).toBe('QC1')
    expect(client.acks).toBe('-+')
    client.raw('-')
    expect(await client.answer()).toBe('QC1')
    expect(await client.ask('QStartNoAckMode')).toBe('OK')
    client.acks = ''
    expect(await client.ask('qC')).toBe('QC1')
    expect(client.acks).toBe('')
  })

  test('reads every register as the machine has it, without any effect', async () => {
    const client = await Client.open()
    timeline.seek(2_000_000)
    const { cpu, hash } = timeline.machine
    hash.compute()
    const before = [hash.lo, hash.hi, cpu.mmu.tlb.save().join(',')]
    const registers = targetRegisters(cpu)
    const little = (value: bigint, digits: number) =>
      (value.toString(16).padStart(digits, '0').match(/../g) ?? []).toReversed().join('')
    const expected = [...cpu.state.x, cpu.state.sp, cpu.state.pc].map((value) => little(value, 16)).join('')
    const general = await client.ask('g')
    expect(general.slice(0, -8)).toBe(expected)
    for (const [number, register] of registers.entries())
      expect(await client.ask(`p${number.toString(16)}`)).toBe(little(register.read(), register.bits / 4))
    expect(await client.ask(`p${registers.length.toString(16)}`)).toBe('E01')
    const named = (name: string) => registers.find((register) => register.name === name)?.read()
    expect(named('SCTLR_EL1')).toBe(cpu.state.sctlr_el[1])
    expect(named('MIDR_EL1')).toBe(0x410f_d034n)
    expect(named('CurrentEL')).toBe(BigInt(cpu.state.el) << 2n)
    expect(named('HCR_EL2')).toBeUndefined()
    hash.compute()
    expect([hash.lo, hash.hi, cpu.mmu.tlb.save().join(',')]).toEqual(before)
  })

  test('gets the target description in pieces of any size', async () => {
    const client = await Client.open()
    const xml = targetXml(targetRegisters(timeline.machine.cpu))
    expect(xml.match(/<reg /g)?.length).toBeGreaterThan(CORE_REGISTERS + 50)
    for (const size of [0x333, 0xffff]) {
      let whole = ''
      for (let more = true; more;) {
        const piece = await client.ask(
          `qXfer:features:read:target.xml:${whole.length.toString(16)},${size.toString(16)}`,
        )
        more = piece.startsWith('m')
        whole += piece.slice(1)
      }
      expect(whole).toBe(xml)
    }
    expect(await client.ask('qXfer:features:read:other.xml:0,10')).toBe('E00')
    expect(await client.ask('qXfer:features:read:target.xml:ffffffffff,10')).toBe('l')
  })

  test('reads memory as it is mapped, as far as it is', async () => {
    const client = await Client.open()
    timeline.seek(timeline.end)
    const { pc } = timeline.machine.cpu.state
    const expected = Buffer.from(timeline.readMemory(pc, 16) ?? []).toString('hex')
    expect(await client.ask(`m${pc.toString(16)},10`)).toBe(expected)
    expect(await client.ask('m123456789abc,8')).toBe('E14')
    // The guard page below the stack is not mapped; what ends in front of it is.
    const guard = timeline.symbols.addressOf('__stack_bottom')
    expect(guard).toBeDefined()
    expect(await client.ask(`m${((guard ?? 0n) - 16n).toString(16)},20`)).toBe('E14')
    const top = timeline.symbols.addressOf('__stack_top') ?? 0n
    const reply = await client.ask(`m${(top - 16n).toString(16)},20`)
    expect(reply).toMatch(/^[0-9a-f]{32}$/)
    for (const bad of ['m', 'm1', 'mx,1', 'm1,x', 'm-1,1']) expect(await client.ask(bad)).toBe('E01')
    expect((await client.ask(`m${pc.toString(16)},ffffffffffffffff`)).length).toBeLessThanOrEqual(PACKET_SIZE)
  })

  test('is refused all writes', async () => {
    const client = await Client.open()
    for (const write of ['P0=0000000000000000', 'G00', 'M40200000,1:00', 'X40200000,0:', 'c40200000'])
      expect(await client.ask(write)).toMatch(/^E\.a recording cannot be changed/)
  })

  test('moves both ways, and is told of both ends', async () => {
    const client = await Client.open()
    await client.monitor('goto 2')
    expect([await client.ask('bs'), timeline.position]).toEqual(['T05thread:1;', 1])
    expect(await client.ask('bs')).toBe('T05thread:1;')
    expect(await client.ask('bs')).toBe('T05thread:1;replaylog:begin;')
    expect(await client.ask('bc')).toBe('T05thread:1;replaylog:begin;')
    expect([await client.ask('vCont;s:1;c'), timeline.position]).toEqual(['T05thread:1;', 1])
    expect([await client.ask('s'), timeline.position]).toEqual(['T05thread:1;', 2])
    expect([await client.ask('vCont;c'), timeline.position]).toEqual(['T05thread:1;replaylog:end;', timeline.end])
    expect(await client.ask('vCont;s:1')).toBe('T05thread:1;replaylog:end;')
    expect([await client.ask('bc'), timeline.position]).toEqual(['T05thread:1;replaylog:begin;', 0])
    for (const bad of ['vCont;', 'vCont;x', 'vCont;s:2']) expect(await client.ask(bad)).toBe('E01')
    expect(await client.ask('bx')).toBe('')
  })

  test('is told by which breakpoint or watchpoint it stopped, and can go on if it steps over none', async () => {
    const client = await Client.open()
    await client.ask('qSupported:swbreak+;hwbreak+')
    const main = timeline.symbols.addressOf('kernel_main')?.toString(16)
    await client.monitor('goto start')
    expect(await client.ask(`Z0,${main},4`)).toBe('OK')
    expect(await client.ask('c')).toBe('T05thread:1;swbreak:;')
    expect(await client.ask(`z0,${main},4`)).toBe('OK')
    expect(await client.ask(`Z1,${main},4`)).toBe('OK')
    await client.ask('c')
    expect(await client.ask('bc')).toBe('T05thread:1;hwbreak:;')
    expect(await client.ask(`z1,${main},4`)).toBe('OK')
    const ticks = new Names(timeline.symbols).addressOf('kaal::arch::aarch64::timer::TICKS') ?? 0n
    expect(await client.ask(`Z2,${ticks.toString(16)},8`)).toBe('OK')
    const hits: number[] = []
    for (let i = 0; i < 5; i++) {
      expect(await client.ask('c')).toMatch(/^T05thread:1;watch:[0-9a-f]+;$/)
      hits.push(timeline.position)
    }
    expect(hits).toEqual([...new Set(hits)].toSorted((a, b) => a - b))
    const back: number[] = []
    for (let i = 0; i < 4; i++) {
      expect(await client.ask('bc')).toMatch(/^T05thread:1;watch:/)
      back.push(timeline.position)
    }
    // Forwards they are told in front of the access, backwards behind it; the fifth is not yet done.
    expect(back).toEqual(
      hits
        .slice(0, 4)
        .toReversed()
        .map((position) => position + 1),
    )
    for (const bad of ['Z0,1,4', 'Z2,ffffffffffffffff,2', 'Z2,0,0', 'Z0', 'Z0,zz,4', 'Z2,0,ffffffffffffff'])
      expect(await client.ask(bad)).toMatch(/^E/)
  })

  test('steps a range of addresses, as gdb does for a line', async () => {
    const client = await Client.open()
    await client.monitor('goto 1_000_000')
    const { pc } = timeline.machine.cpu.state
    expect(await client.ask(`vCont;r${pc.toString(16)},${(pc + 8n).toString(16)}:1`)).toBe('T05thread:1;')
    const now = timeline.machine.cpu.state.pc
    expect(now < pc || now >= pc + 8n).toBe(true)
    expect(await client.ask('vCont;r1')).toBe('E01')
  })

  test('stops a long run', async () => {
    const client = await Client.open()
    await client.monitor('goto start')
    // Stops all the time, for nothing: this would take minutes.
    timeline.watchpoints.add({ address: 0xffff_0000_0000_0000n, length: 2 ** 47, kind: 'access' }, () => false)
    client.raw(packet('c'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    client.raw('\u0003')
    const stop = await client.answer()
    for (const { id } of timeline.watchpoints.list()) timeline.watchpoints.delete(id)
    expect(stop).toBe('T02thread:1;')
    expect(timeline.position).toBeLessThan(timeline.end)
  })

  test('is heard though its interrupt comes at once with what it is for', async () => {
    const client = await Client.open()
    await client.monitor('goto 7')
    client.raw(`${packet('c')}\u0003`)
    expect(await client.answer()).toBe('T02thread:1;')
    // And an interrupt with nothing to interrupt does nothing.
    client.raw('\u0003')
    expect(await client.ask('s')).toBe('T05thread:1;')
  })

  test('stops a long range step', async () => {
    const client = await Client.open()
    await client.monitor('goto start')
    client.raw(packet('vCont;r0,ffffffffffffffff:1'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    client.raw('\u0003')
    expect(await client.answer()).toBe('T02thread:1;')
    expect(timeline.position).toBeLessThan(timeline.end)
  })

  test('that comes while there is another is turned away; when that has gone, the next is served', async () => {
    const first = await Client.open()
    expect(await first.ask('qC')).toBe('QC1')
    const second = await Client.open()
    await expect(second.ask('qC')).rejects.toThrow('closed')
    await first.close()
    const third = await Client.open()
    expect(await third.ask('qC')).toBe('QC1')
    expect(await third.ask('D')).toBe('OK')
    await new Promise((resolve) => setTimeout(resolve, 50))
    const fourth = await Client.open()
    expect(await fourth.ask('?')).toMatch(/^T05/)
  })

  test('that disappears in the middle leaves nothing behind', async () => {
    const client = await Client.open()
    await client.monitor('goto start')
    await client.ask('Z0,40200000,4')
    client.raw(packet('c'))
    await client.close()
    const next = await Client.open()
    expect(await next.ask('qC')).toBe('QC1')
    expect([timeline.breakpoints.list(), timeline.watchpoints.list()]).toEqual([[], []])
  })
})

describe('hostile clients', () => {
  /** Commands that keep the time of a test short: nothing that runs far. */
  const verb = fc.constantFrom('g', 'p', 'm', 'M', 'P', 's', 'bs', 'Z0,', 'z2,', 'Z3,', 'H', 'T', 'v', 'vCont', 'vCont;s', 'q', 'qXfer:', 'qRcmd,', 'qSupported', '?', '!', 'R', 'F', 'i') // prettier-ignore
  const junk = fc.uint8Array({ maxLength: 40 }).map((codes) => String.fromCharCode(...codes))
  const hex = fc.uint8Array({ maxLength: 12 }).map((codes) => Buffer.from(codes).toString('hex'))
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(verb, fc.oneof(hex, junk)).map(([head, tail]) => packet(head + tail)) },
    { weight: 1, arbitrary: junk.filter((text) => !text.includes('k') && !text.includes('c')) },
    { weight: 1, arbitrary: fc.constantFrom('$', '#', '$#', '$$$', '}', '$}#', '---', '+++', '$g#6', '\u0003\u0003') },
  )

  test('get answers or none, and the next one is served as ever', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
        const client = await Client.open()
        for (const each of pieces) client.raw(each)
        client.raw(packet('qC'))
        // Behind whatever was begun, the end of a packet and a good one bring it back.
        client.raw(`#00${packet('qC')}`)
        let answer = await client.answer()
        while (answer !== 'QC1') answer = await client.answer()
        await client.close()
      }),
      { numRuns: 60 },
    )
  })

  test('that send without end are made to wait', async () => {
    const client = await Client.open()
    client.raw(packet('m40200000,7000').repeat(2000))
    client.raw(packet('qC'))
    let answers = 0
    while ((await client.answer()) !== 'QC1') answers++
    expect(answers).toBe(2000)
    client.raw('$'.repeat(100_000))
    client.raw(`$${'x'.repeat(3 * PACKET_SIZE)}#00`)
    expect(await client.answer()).toBe('E01')
    expect(await client.ask('qC')).toBe('QC1')
  })
})
