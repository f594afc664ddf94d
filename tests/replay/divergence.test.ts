/** A replay by a kaal that is wrong in one bit: the first instruction whose effect differs is found, and what differs is named with both values. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decode } from '../../cpu/isa/table.js'
import { RAM_BASE, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import type { Machine } from '../../devices/machine.js'
import { type Narrowing, narrow } from '../../replay/divergence/narrow.js'
import { reportLines } from '../../replay/divergence/report.js'
import { Side, machineWith } from '../../replay/divergence/side.js'
import type { MachineFactory } from '../../replay/execution.js'
import { type Divergence, Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { altered } from './altered-trace.js'
import { atPosition, onDeviceWrite, onWalk, withChangedMachine, withChangedRow } from './changed-kaal.js'
import { KAAL, record } from './recording.js'

let path: string
let reader: TraceReader

beforeAll(async () => {
  ;({ path } = await record({ kernel: KAAL }))
  reader = TraceReader.open(path)
})
afterAll(() => reader.close())

const plain = { name: 'the plain one', make: machineWith('hybrid') }

/** Replays with another kaal, and narrows where it has diverged. */
async function diverge(
  make: MachineFactory,
  opinions = [plain],
  from = reader,
): Promise<{ divergence: Divergence; narrowing: Narrowing; text: string }> {
  const replayer = new Replayer(from, { make })
  const result = await replayer.run()
  if (result.kind !== 'diverged') throw new Error('the replay is the same')
  const subject = { name: 'the changed one', make }
  const { divergence } = result
  const { machine: diverged } = replayer.execution
  const narrowing = await narrow(from, divergence, { subject, opinions, diverged })
  return { divergence, narrowing, text: reportLines(narrowing).join('\n') }
}

/** The first position of a plain machine, by single steps, at which something is so. */
function firstPosition(holds: (machine: Machine, position: number) => boolean): number {
  const side = new Side(reader, machineWith('interpreter'))
  for (let position = 0; position < reader.meta.instructions; position++) {
    if (holds(side.machine, position)) return position
    side.advance(position + 1)
    side.forget()
  }
  throw new Error('never')
}

/** The name of the table's row for the instruction that comes next. */
function nextRow({ cpu, memory }: Machine): string | undefined {
  const { pc, el } = cpu.state
  const physical = cpu.mmu.peek(Number(pc & 0xffff_ffffn), Number(pc >> 32n), el)
  return physical < 0
    ? undefined
    : decode(memory.view.getUint32(RAM_BASE + physical - RAM_PHYSICAL, true))?.instruction.name
}

/** The narrowing's one item of a kind, with both values as numbers. */
function item({ items }: Narrowing, kind: string, name: RegExp): [bigint, bigint] {
  const found = items.filter((each) => each.kind === kind && name.test(each.name))
  expect(found, JSON.stringify(items)).toHaveLength(1)
  return [BigInt(found[0].recorded), BigInt(found[0].replayed)]
}

describe('a fault of one bit', () => {
  it('in the result of an instruction', async () => {
    const changed = await withChangedRow('MADD/MSUB', (c) => ({ setX: (n, value) => c.setX(n, value.xor(1)) }))
    const { divergence, narrowing, text } = await diverge(changed)
    const expected = firstPosition((machine) => nextRow(machine) === 'MADD/MSUB')
    expect(narrowing).toMatchObject({ kind: 'instruction', from: expected, reference: 'the plain one' })
    expect(expected).toBeLessThan(divergence.recorded.icount + divergence.recorded.count)
    expect(narrowing.items).toHaveLength(1)
    const [one, other] = item(narrowing, 'register', /^x\d+$/)
    expect(other).toBe(one ^ 1n)
    expect(narrowing.place?.instruction).toMatch(/^m(add|sub|ul|neg) x\d+, /)
    expect(text).toMatch(/ <\S.*\+0x[0-9a-f]+> {2}m(add|sub|ul|neg) x/)
    expect(text).toContain(`0x${one.toString(16)}`)
  })

  it('in a flag', async () => {
    const changed = await withChangedRow('CCMN/CCMP', (c) => ({
      setFlagsIf: (condition, flags, nzcv) => {
        c.setFlagsIf(condition, flags, nzcv)
        c.setNZCV(c.NZCV.xor(4))
      },
    }))
    const { narrowing } = await diverge(changed)
    const expected = firstPosition((machine) => nextRow(machine) === 'CCMN/CCMP')
    expect(narrowing).toMatchObject({ kind: 'instruction', from: expected })
    const [one, other] = item(narrowing, 'flag', /^Z$/)
    expect(other).toBe(1n - one)
    expect(narrowing.items).toHaveLength(1)
    expect(narrowing.place?.instruction).toMatch(/^ccm[np] /)
  })

  it('in a permission of the MMU', async () => {
    // The page of one of the walks, well into the boot, that leads to where data may be written.
    let page: readonly [number, number] | undefined
    let walks = 0
    const pick = (machine: Machine) =>
      onWalk(machine, (lo, hi, { fault, attributes }) => {
        if (fault === 0 && (attributes & 2) === 0 && machine.cpu.state.el === 0 && ++walks === 3) page = [lo, hi]
      })
    const side = new Side(reader, withChangedMachine(pick))
    side.advance(reader.meta.instructions)
    expect(page).toBeDefined()
    const isPage = (lo: number, hi: number) => page?.[0] === lo && page[1] === hi
    // Where it is walked first.
    let expected = -1
    const watch = (machine: Machine) =>
      onWalk(machine, (lo, hi, { fault, attributes }) => {
        if (expected < 0 && isPage(lo, hi) && fault === 0 && (attributes & 2) === 0) expected = machine.current
      })
    new Side(reader, withChangedMachine(watch)).advance(reader.meta.instructions)
    const change = (machine: Machine) =>
      onWalk(machine, (lo, hi, result) => {
        if (isPage(lo, hi) && result.fault === 0) result.attributes |= 2
      })
    const { narrowing } = await diverge(withChangedMachine(change))
    expect(narrowing).toMatchObject({ kind: 'instruction', from: expected })
    const entry = narrowing.items.find(({ kind }) => kind === 'TLB')
    expect(entry?.recorded).toContain('writable')
    expect(entry?.replayed).toContain('read-only')
  })

  it('in a register of a device', async () => {
    const IMSC = 0x0900_0038
    let expected = -1
    const note = (machine: Machine) =>
      onDeviceWrite(machine, (physical, value) => {
        if (expected < 0 && physical === IMSC) expected = machine.current
        return value
      })
    new Side(reader, withChangedMachine(note)).advance(reader.meta.instructions)
    const change = (machine: Machine) =>
      onDeviceWrite(machine, (physical, value) => (physical === IMSC ? value ^ 0x400 : value))
    const { narrowing } = await diverge(withChangedMachine(change))
    expect(narrowing).toMatchObject({ kind: 'instruction', from: expected })
    const [one, other] = item(narrowing, 'device', /^pl011\.imsc$/)
    expect(other).toBe(one ^ 0x400n)
    expect(narrowing.place?.instruction).toMatch(/^str /)
  })

  it('in a timer, by one instruction', async () => {
    // Two nanoseconds are an instruction.
    const late = (machine: Machine) => {
      const { timers } = machine
      const deadline = timers.nextDeadline.bind(timers)
      timers.nextDeadline = () => deadline() + 2
    }
    const { narrowing, text } = await diverge(withChangedMachine(late))
    // Where a deadline is met first: the timer's condition comes true at that boundary, behind the instruction before.
    let met = -1
    const note = (machine: Machine) => {
      const { timers } = machine
      const update = timers.update.bind(timers)
      timers.update = () => {
        if (met < 0 && machine.now() >= timers.nextDeadline()) met = machine.icount
        update()
      }
    }
    new Side(reader, withChangedMachine(note)).advance(reader.meta.instructions)
    expect(narrowing).toMatchObject({ kind: 'instruction', from: met - 1 })
    expect(item(narrowing, 'system register', /^cntv_ctl_el0$/)).toEqual([5n, 1n])
    expect(item(narrowing, 'device', /^gicv2\.level\[0\]$/)).toEqual([1n << 27n, 0n])
    expect(text).toMatch(/\n {2}processor irq +recorded 0x1 {2}replayed 0x0\n/)
  })

  it('in memory that nobody reads again', async () => {
    const at = 600_000
    const change = (machine: Machine) =>
      atPosition(machine, at, () => {
        const { ram } = machine.memory
        ram[ram.length - 100] ^= 8
        machine.cpu.mmu.dirty[ram.length / 4096 - 1] = 1
      })
    const { divergence, narrowing } = await diverge(withChangedMachine(change))
    // The snapshot has it.
    expect(divergence.recorded.ended).toBe('snapshot')
    expect(narrowing).toMatchObject({ kind: 'instruction', from: at - 1 })
    expect(narrowing.items).toEqual([{ kind: 'memory', name: 'byte at 0x43ffff9c', recorded: '00', replayed: '08' }])
  })

  it('that comes only where many instructions are run at once', async () => {
    // Behind an instruction that writes a register, so that it is known who has written it.
    let before: readonly bigint[] = []
    const at = firstPosition(({ cpu }, position) => {
      const registers = [...cpu.state.x]
      const written = registers.filter((value, i) => value !== before[i]).length
      before = registers
      return position >= 100_000 && written === 1
    })
    const side = new Side(reader, plain.make)
    side.advance(at - 1)
    before = [...side.machine.cpu.state.x]
    side.advance(at)
    const written = [...side.machine.cpu.state.x].findIndex((value, i) => value !== before[i])
    const change = (machine: Machine) =>
      atPosition(
        machine,
        at,
        () => {
          machine.cpu.state.x[written] ^= 1n
          machine.cpu.state.dbgbvr[0] ^= 1n
        },
        2,
      )
    const { narrowing, text } = await diverge(withChangedMachine(change))
    expect(narrowing).toMatchObject({ kind: 'run', to: at, reference: 'the plain one' })
    expect(item(narrowing, 'system register', /^dbgbvr\[0\]$/)).toEqual([0n, 1n])
    const [one, other] = item(narrowing, 'register', /^x\d+$/)
    expect(other).toBe(one ^ 1n)
    expect(narrowing.writers.map((each) => [each.item, each.place.position])).toEqual([[`x${written}`, at - 1]])
    expect(text).toContain('one by one they do what the plain one does')
    expect(text).toContain(`x${written} was last written at `)
  })

  it('that comes once', async () => {
    let machines = 0
    const change = (machine: Machine) => {
      if (machines++ === 0) atPosition(machine, 800_000, () => (machine.cpu.state.dbgbvr[0] ^= 1n))
    }
    const { narrowing, text } = await diverge(withChangedMachine(change))
    expect(narrowing.kind).toBe('unstable')
    expect(item(narrowing, 'system register', /^dbgbvr\[0\]$/)).toEqual([0n, 1n])
    expect(text).toContain('the difference does not come again')
  })

  it('of which only the trace can tell is narrowed as far as that shows', async () => {
    const changed = await withChangedRow('MADD/MSUB', (c) => ({ setX: (n, value) => c.setX(n, value.xor(1)) }))
    const { divergence, narrowing, text } = await diverge(changed, [{ name: 'the same', make: changed }])
    expect(narrowing).toMatchObject({ kind: 'interval', from: divergence.recorded.icount, reference: undefined })
    const expected = firstPosition((machine) => nextRow(machine) === 'MADD/MSUB')
    expect(narrowing.from).toBeLessThanOrEqual(expected)
    expect(narrowing.to).toBeGreaterThan(expected)
    expect(text).toContain('asked and found to disagree with the trace too: the same')
    expect(text).toContain('--reference')
  })
})

describe('a trace that was changed', () => {
  const find = async (name: string, change: Parameters<typeof altered>[2], original = path) => {
    const copy = TraceReader.open(altered(original, name, change))
    try {
      return await diverge(plain.make, [plain], copy)
    } finally {
      copy.close()
    }
  }
  const changedRow = async (...parameters: Parameters<typeof find>) => {
    const { narrowing } = await find(...parameters)
    expect(narrowing.kind).toBe('row')
    return narrowing.rows[0]
  }

  it('in the digest of a batch', async () => {
    const row = await changedRow('digest', (database) =>
      database.exec('UPDATE batches SET digest = digest + 1 WHERE n = 3'),
    )
    expect(row).toMatchObject({ table: 'batches', row: 3, column: 'digest' })
    expect(BigInt(`0x${row.recorded}`) - BigInt(`0x${row.replayed}`)).toBe(1n)
  })

  it('in the pc of a batch', async () => {
    const row = await changedRow('pc', (database) => database.exec('UPDATE batches SET pc = pc + 4 WHERE n = 3'))
    expect(row).toMatchObject({ table: 'batches', row: 3, column: 'pc' })
    expect(BigInt(row.recorded) - BigInt(row.replayed)).toBe(4n)
  })

  it('in a byte that the guest has sent', async () => {
    const original = [...reader.uart()][6].byte
    const row = await changedRow('uart', (database) => {
      const events = database.prepare('SELECT events FROM uart_runs WHERE n = 1').pluck().get() as Buffer
      events[4 * 6 + 3] ^= 2
      database.prepare('UPDATE uart_runs SET events = ? WHERE n = 1').run(events)
    })
    expect(row).toEqual({
      table: 'uart',
      row: 7,
      column: 'byte',
      recorded: String(original ^ 2),
      replayed: String(original),
    })
  })

  it('in an interrupt, and in an exception', async () => {
    const interrupt = await changedRow('interrupt', (database) =>
      database.exec('UPDATE interrupts SET intid = 30 WHERE rowid = 4'),
    )
    expect(interrupt).toMatchObject({ table: 'interrupts', row: 4, column: 'intid', recorded: '30', replayed: '27' })
    const exception = await changedRow('exception', (database) =>
      database.exec('DELETE FROM exceptions WHERE rowid = (SELECT max(rowid) FROM exceptions)'),
    )
    expect(exception).toMatchObject({ table: 'exceptions', column: 'the row', recorded: 'missing' })
  })

  it('in a snapshot', async () => {
    const row = await changedRow('snapshot', (database) =>
      // Another state: that of position 0 would be, but none has it; the pages of none.
      database.prepare('UPDATE snapshots SET pages = ? WHERE n = 1').run(Buffer.from([0x90])),
    )
    expect(row).toMatchObject({ table: 'snapshots', row: 1, recorded: 'missing' })
    expect(row.column).toMatch(/^page \d+$/)
  })

  it('in an input', async () => {
    const echo = await record({
      kernel: 'bench/guests/prebuilt/echo.elf',
      input: Uint8Array.from([0x61]),
    })
    const row = await changedRow(
      'input',
      (database) => database.prepare('UPDATE inputs SET payload = ? WHERE rowid = 1').run(Buffer.from([0x62])),
      echo.path,
    )
    expect(row).toMatchObject({ table: 'inputs', row: 1, column: 'payload' })
    expect(row.recorded).toMatch(/^byte 0x62 at \d+$/)
    expect(row.replayed).toMatch(/^byte 0x61 at \d+ as uart has it$/)
  })
})
