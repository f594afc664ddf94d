/** Random instructions, faults and interrupts against stored results of QEMU 7.2: a change of meaning fails here, on machines without QEMU too. */
import { describe, expect, it } from 'vitest'
import { instructions } from '../../../cpu/isa/table.js'
import { follow } from '../../lockstep/compare.js'
import { RunHash } from '../../lockstep/hash.js'
import { MachineSubject } from '../../lockstep/machine-subject.js'
import { BASE, CASES } from '../../lockstep/random/image.js'
import { MEMORY_MIB } from '../../lockstep/random/run.js'
import { type StoredGuest, storedCheckpoints, storedGuests, storedImage } from '../../lockstep/random/store.js'

const guests = storedGuests()
/** Index of the first case's first word in an image: behind the ELF header's page. */
const FIRST_CASE = (0x1000 + CASES - BASE) / 4
const AGAIN = 'if the guests are to change, store them anew: npm run lockstep -- --store'

function subject({ image, icountShift, virtualization }: StoredGuest, bytes: Uint8Array): MachineSubject {
  const options = { virtualization, icountShift, append: undefined, initrd: undefined, memoryMiB: MEMORY_MIB }
  return new MachineSubject({ kernel: image, bytes, ...options })
}

function replay(guest: StoredGuest, bytes: Uint8Array) {
  const machine = subject(guest, bytes)
  return { machine, outcome: follow(machine, new RunHash(), storedCheckpoints(guest)) }
}

describe('stored results of QEMU', () => {
  it.each(guests)('$title: runs as on QEMU', (guest) => {
    const { machine, outcome } = replay(guest, storedImage(guest))
    const first = outcome.agreed * guest.every
    expect(outcome, `the first difference is among instructions ${first} to ${first + guest.every}; ${AGAIN}`).toEqual({
      count: guest.total,
      agreed: guest.hashes.length / 16,
      same: true,
    })
    expect(machine.running).toBe(false)
    const free = subject(guest, storedImage(guest))
    free.runToEnd()
    expect(free.sameEnd(machine), 'a run in one go ends in the same state').toBe(true)
  })

  it('hold words of every row', () => {
    const rows = instructions.map(({ name }) => name)
    const count = (row: string): number => guests.reduce((sum, { words }) => sum + (words[row] ?? 0), 0)
    expect(
      rows.filter((row) => count(row) < 50),
      AGAIN,
    ).toEqual([])
  })

  it('notice one bit of one instruction', () => {
    const [guest] = guests
    const image = Buffer.from(storedImage(guest))
    const words = new Uint32Array(image.buffer, image.byteOffset, image.length / 4)
    // The first ADD (shifted register) among the cases; bit 30 makes it a SUB.
    const index = words.findIndex((word, i) => i >= FIRST_CASE && (word & 0x7f200000) === 0x0b000000)
    words[index] ^= 1 << 30
    expect(replay(guest, image).outcome.same).toBe(false)
  })
})
