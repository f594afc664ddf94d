/** Differences between engines that generated guests have found, each in a guest of a few instructions. */
import { expect, test } from 'vitest'
import { START, agree, reference } from './agreement.js'
import { DEVICE } from './subject.js'

const ERET = 0xd69f03e0

test('an instruction in a device is not read again to be translated', () => {
  // What the device answers is UNDEFINED; the handler returns to it.
  agree({ 0xa00: ERET }, ({ state }) => {
    state.vbar_el[1] = START + 0x800n
    state.pc = BigInt(DEVICE)
  }, [100]) // prettier-ignore
  expect(reference.events.some((event) => event.includes('read'))).toBe(true)
})
