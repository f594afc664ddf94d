/** What the debugger shows of the processor: system registers by field, table walks, events, writers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DecodedField, decodeFields } from '../../cpu/sysregs/fields/field.js'
import { LAYOUTS, registerFields } from '../../cpu/sysregs/fields/layouts.js'
import { EXCEPTION_CLASSES, syndromeFields } from '../../cpu/sysregs/fields/syndrome.js'
import { memoryAttribute } from '../../cpu/sysregs/fields/translation.js'
import { systemRegisters } from '../../cpu/sysregs/table.js'
import { Debugger } from '../../replay/debugger/debugger.js'
import { SYSTEM_REGISTERS, readSystemRegister } from '../../replay/debugger/system-registers.js'
import { walk } from '../../replay/debugger/table-walk.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record } from './recording.js'

let reader: TraceReader
let debug: Debugger

beforeAll(async () => {
  const { path } = await record({ kernel: KAAL, config: { append: 'fault=null' } })
  reader = TraceReader.open(path)
  debug = new Debugger(reader)
})
afterAll(() => reader.close())

/** Everything but RAM, and the debugger's view of it. */
function state(): string {
  const { hash, cpu } = debug.timeline.machine
  hash.compute()
  return `${debug.timeline.position} ${hash.hi} ${hash.lo} ${cpu.lo} ${cpu.hi}`
}

describe('fields', () => {
  const byName = (fields: readonly DecodedField[]) =>
    Object.fromEntries(fields.map(({ name, value, meaning }) => [name, meaning ?? Number(value)]))

  it('belong to registers that exist, lie within 64 bits and do not overlap', () => {
    const values = [0n, 1n, 2n ** 64n - 1n, ...Array.from({ length: 64 }, (_, ec) => BigInt(ec) << 26n)]
    for (const [name, layout] of LAYOUTS) {
      expect(systemRegisters.map((row) => row.name)).toContain(name)
      for (const value of values) {
        let taken = 0n
        for (const { high, low } of typeof layout === 'function' ? layout(value) : layout) {
          expect(high).toBeGreaterThanOrEqual(low)
          const mask = ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low)
          expect(mask < 1n << 64n && (taken & mask) === 0n).toBe(true)
          taken |= mask
        }
      }
    }
  })

  it('of syndromes say what the Arm ARM says', () => {
    const of = (value: bigint) => byName(decodeFields(syndromeFields, value))
    expect(of(0x9600_0045n)).toMatchObject({
      EC: 'Data Abort from the current Exception level',
      IL: '32-bit instruction',
      WnR: 'write',
      DFSC: 'Translation fault, level 1',
    })
    expect(of(0x8200_000fn)).toMatchObject({
      EC: 'Instruction Abort from a lower Exception level',
      IFSC: 'Permission fault, level 3',
    })
    expect(of(0x9200_0021n)).toMatchObject({ DFSC: 'Alignment fault' })
    expect(of(0x9240_0000n + (1n << 24n))).toMatchObject({ SAS: 'halfword', DFSC: 'Address size fault, level 0' })
    expect(of(0x5600_1234n)).toEqual({ EC: 'SVC in AArch64', IL: '32-bit instruction', imm16: 0x1234 })
    // MRS X5, ID_AA64MMFR0_EL1 and MSR DAIFSet from EL0.
    expect(of(0x6200_0000n | (3n << 20n) | (7n << 1n) | (5n << 5n) | 1n)).toMatchObject({
      EC: 'Trapped MSR, MRS or System instruction',
      Op0: 'ID_AA64MMFR0_EL1',
      Rt: 'x5',
      Direction: 'read (MRS)',
    })
    expect(of(0xf200_0042n)).toMatchObject({ EC: 'BRK in AArch64', Comment: 0x42 })
    expect(of(0x0000_0000n)).toMatchObject({ EC: EXCEPTION_CLASSES[0], IL: '16-bit instruction' })
  })

  it('of the other registers too', () => {
    const of = (name: string, value: bigint) => byName(registerFields(name, value) ?? [])
    expect(of('SPSR_EL1', 0x6000_03c5n)).toMatchObject({ N: 'not negative', Z: 'zero', C: 'carry', 'M[3:0]': 'EL1h' })
    expect(of('SPSR_EL1', 0x1_00d0n)).toMatchObject({ 'M[4]': 'AArch32', 'M[3:0]': 0 })
    expect(of('TCR_EL1', 0x2_8010_0010n)).toMatchObject({ IPS: '40 bits', TG1: '4 KiB', T1SZ: '48 bits of address' })
    expect(of('PAR_EL1', 0x80dn)).toMatchObject({ F: 'the translation failed', FST: 'Translation fault, level 2' })
    expect(of('PAR_EL1', 0xff00_0000_4020_1380n)).toMatchObject({ PA: '0x40201000', SH: 'Inner Shareable' })
    expect(of('CPACR_EL1', 3n << 20n)).toMatchObject({ FPEN: 'does not trap' })
    expect(of('CurrentEL', 8n)).toEqual({ EL: 'EL2' })
    expect(of('MIDR_EL1', 0x410f_d034n)).toMatchObject({ Implementer: 'Arm', PartNum: 'Cortex-A53' })
    const attributes = [0x00n, 0x04n, 0x44n, 0xffn, 0xbbn, 0x4fn].map(memoryAttribute)
    expect(attributes).toEqual([
      'Device-nGnRnE',
      'Device-nGnRE',
      'Normal, Non-cacheable',
      'Normal, Write-Back, Read and Write allocate',
      'Normal, Write-Through, Read and Write allocate',
      'Normal, outer Non-cacheable, inner Write-Back, Read and Write allocate',
    ])
  })
})

describe('system registers', () => {
  it('are read without any effect on the guest, all of them', () => {
    for (const position of [0, 1_000_000, 2_500_000, debug.timeline.end]) {
      debug.timeline.seek(position)
      const before = state()
      for (const name of SYSTEM_REGISTERS) readSystemRegister(debug.timeline.machine, name)
      expect(state()).toBe(before)
    }
    expect(SYSTEM_REGISTERS.length).toBeGreaterThan(120)
  })

  it('have the values that MRS gives', () => {
    // Each MRS of the boot that is executed: its register before must be its result after.
    const { timeline } = debug
    let checked = 0
    const entries = [...reader.interrupts(), ...reader.exceptions()].map(({ icount }) => icount + 1)
    for (const start of [0, ...entries]) {
      timeline.seek(start)
      for (let n = 0; n < 150; n++) {
        const { pc, x } = timeline.machine.cpu.state
        const bytes = debug.read(pc, 4)
        const word = bytes ? new DataView(bytes.buffer).getUint32(0, true) : 0
        if ((word & 0xfff0_0000) >>> 0 !== 0xd530_0000 || (word & 31) === 31) {
          timeline.step()
          continue
        }
        const key = (word >>> 5) & 0x7fff
        const row = systemRegisters.find((candidate) => candidate.key === key)
        const before =
          row && !/^CNT.CT|TVAL/.test(row.name) ? readSystemRegister(timeline.machine, row.name) : undefined
        timeline.step()
        if (!before || timeline.machine.cpu.state.pc !== pc + 4n) continue
        expect({ name: before.name, value: x[word & 31] }).toEqual(before)
        checked++
      }
    }
    expect(checked).toBeGreaterThan(50)
  })
})

describe('a walk', () => {
  it('leads where the processor goes, and says why it does not', () => {
    const { timeline } = debug
    const addresses = [0n, 0x40_0000n, 0x4020_0000n, 0x7fff_ffff_f000n, 0xffff_0000_4020_1000n, 0xffff_0000_0900_0000n]
    const more = [
      0xffff_0000_4041_0000n,
      0xffff_0000_4041_8008n,
      0xffff_ffff_ffff_fff8n,
      0x0001_0000_0000_0000n,
      0x8000_0000n,
    ]
    let [worked, failed] = [0, 0]
    for (const position of [5_000, 1_000_000, 2_500_000, timeline.end]) {
      timeline.seek(position)
      const before = state()
      for (const address of [...addresses, ...more, timeline.machine.cpu.state.pc]) {
        const { data } = walk(timeline.machine, address, 1)
        const physical = timeline.machine.cpu.mmu.peek(
          Number(address & 0xffff_ffffn) | 0,
          Number(address >> 32n) | 0,
          1,
        )
        // With the MMU off the debugger's look behind an address is wider than the 40 bits that there are.
        if (physical >= 2 ** 40) {
          expect(data?.['meaning']).toBe('Address size fault, level 0')
          continue
        }
        expect(data?.['physical'] ?? -1).toBe(physical)
        if (physical >= 0) worked++
        else {
          failed++
          expect(data?.['meaning']).toMatch(/^Translation fault, level \d$/)
        }
      }
      expect(state()).toBe(before)
    }
    expect(worked).toBeGreaterThan(12)
    expect(failed).toBeGreaterThan(12)
  })

  it('shows tables, descriptors, fields and rights', async () => {
    debug.timeline.seek(3_000_000)
    const lines = (await debug.execute('walk kernel_main')).join('\n')
    expect(lines).toMatch(/^0xffff[0-9a-f]{12} for EL1, translation regime EL1&0\n {2}ttbr1_el1 0x[0-9a-f]{16}\n/)
    for (const level of [0, 1, 2])
      expect(lines).toMatch(
        new RegExp(`level ${level}: table 0x[0-9a-f]+, index \\d+: \\[0x[0-9a-f]+\\] = 0x[0-9a-f]{16} table -> 0x`),
      )
    expect(lines).toMatch(/level 3: .* page -> 0x402[0-9a-f]+\n {4}UXN=1 \(not executed at EL0\), PXN=0 /)
    expect(lines).toMatch(/EL0: nothing; EL1: read, execute; memory: Normal, Write-Back/)
    debug.timeline.seek(0)
    expect((await debug.execute('walk 0x1000'))[1]).toContain('the MMU is off')
  })
})

describe('events', () => {
  const positionAfter = async (command: string): Promise<number> => {
    await debug.execute(command)
    return debug.timeline.position
  }

  it('are found forwards and backwards, each of them', async () => {
    const { timeline } = debug
    const interrupts = [...reader.interrupts()].map(({ icount }) => icount)
    const faults = [...reader.exceptions()].map(({ icount }) => icount + 1)
    for (const [event, places] of [['interrupt', interrupts] as const, ['exception', faults] as const]) {
      timeline.seek(timeline.end)
      expect(await positionAfter(`first ${event}`)).toBe(places[0])
      for (const place of places.slice(1, 6)) expect(await positionAfter(`next ${event}`)).toBe(place)
      timeline.seek(timeline.end)
      for (const place of places.toReversed().slice(0, 5)) expect(await positionAfter(`prev ${event}`)).toBe(place)
      timeline.seek(0)
      await expect(debug.execute(`prev ${event}`)).rejects.toThrow(/there is none before/)
    }
  })

  it('of the UART stop where the text is complete', async () => {
    debug.timeline.seek(debug.timeline.end)
    const [line] = await debug.execute('first uart /Self tests: [0-9]+ passed/')
    expect(line).toMatch(/^uart: Self tests: \d+ passed$/)
    await debug.execute('first uart Hello from')
    expect(debug.uartLines(1)).toEqual(['Hello from'])
    await expect(debug.execute('next uart never printed')).rejects.toThrow(/there is none from here on/)
    await expect(debug.execute('next uart /(/')).rejects.toThrow(/invalid regular expression/)
  })

  it('syscall finds each SVC that is executed, as single steps do', async () => {
    const { timeline } = debug
    expect(await positionAfter('first syscall')).toBeGreaterThan(2_000_000)
    const found = [timeline.position]
    for (let n = 0; n < 5; n++) found.push(await positionAfter('next syscall'))
    const stepped: number[] = []
    timeline.seek(found[0] - 1)
    while (timeline.position <= found[5]) {
      const { pc, el } = timeline.machine.cpu.state
      const bytes = debug.read(pc, 4)
      const word = bytes ? new DataView(bytes.buffer).getUint32(0, true) : 0
      timeline.step()
      if ((word & 0xffe0_001f) >>> 0 === 0xd400_0001 && (timeline.machine.cpu.state.el > el || el === 1))
        stepped.push(timeline.position)
      if (timeline.position - found[0] > 300_000) break
    }
    expect(found).toEqual(stepped.slice(0, 6))
    timeline.seek(found[5])
    for (const place of found.toReversed().slice(1)) expect(await positionAfter('prev syscall')).toBe(place)
    expect(timeline.breakpoints.list()).toEqual([])
  })
})

describe('who wrote', () => {
  it('finds the store after which single steps see no other', async () => {
    const { timeline } = debug
    let changes = 0
    for (const end of [300_000, 1_500_000, 2_060_500, 2_150_900, 3_000_000]) {
      timeline.seek(end)
      for (const offset of [-32n, 0n, 8n, 40n]) {
        timeline.seek(end)
        const address = timeline.machine.cpu.state.sp + offset
        const value = () => debug.read(address, 8)?.join() ?? ''
        const last = value()
        const [line] = await debug.execute(`who-wrote 0x${address.toString(16)}`)
        if (line.includes('no instruction has written there')) {
          expect(last).toBe('0,0,0,0,0,0,0,0')
          continue
        }
        expect(line).toMatch(/^last write before [\d_]+: \d+ bytes? at 0x[0-9a-f]{16}.*, 0x[0-9a-f]+ -> 0x[0-9a-f]+$/)
        const { position } = timeline
        expect(position).toBeLessThan(end)
        expect((await debug.execute('x/i $pc'))[0]).toMatch(/: (stp|str|strb|strh|stur|dc) /)
        const before = value()
        timeline.step()
        if (value() !== before) changes++
        for (let n = 0; n < 5_000 && timeline.position < end; n++) {
          expect(value()).toBe(last)
          timeline.step()
        }
      }
    }
    expect(changes).toBeGreaterThan(5)
  })

  it('is not stopped by what else is watched, and leaves it watched', async () => {
    const { timeline } = debug
    timeline.seek(timeline.end)
    await debug.execute('who-wrote kernel_sp')
    const { position } = timeline
    timeline.seek(timeline.end)
    await debug.execute('awatch kernel_sp')
    await debug.execute('break kernel_trap')
    await debug.execute('who-wrote kernel_sp')
    expect(timeline.position).toBe(position)
    expect(timeline.watchpoints.list().length + timeline.breakpoints.list().length).toBe(2)
    timeline.seek(timeline.end)
    expect((await debug.execute('reverse-continue'))[0]).toMatch(/^(watchpoint|breakpoint) \d+/)
    await debug.execute('delete')
    expect(await debug.execute('info breakpoints')).toEqual(['no breakpoints'])
  })

  it('finds writes from before the MMU was on, and says so if there are none', async () => {
    debug.timeline.seek(debug.timeline.end)
    const [line] = await debug.execute('last write to overflow_seen')
    expect(line).toMatch(/16 bytes at 0x0000000040402000/)
    expect(debug.timeline.position).toBeLessThan(2_000)
    debug.timeline.seek(1_000_000)
    expect(await debug.execute('who-wrote kernel_main 4')).toEqual([
      expect.stringMatching(/<kernel_main>: no instruction has written there before 1_000_000$/),
    ])
    expect(debug.timeline.position).toBe(1_000_000)
    expect(debug.timeline.watchpoints.list()).toEqual([])
  })
})
