/** Load/store exclusive and ordered (Arm ARM DDI 0487, C4.1.94.2): LDXR, STXR, their pairs and ordered forms, LDAR, STLR. */
import { Value } from '../ir/value.js'
import { registerAddress } from '../state.js'
import { mem } from '../wasm/assembler.js'
import type { ElementSize, Semantics } from '../ir/semantics.js'
import { X, memory, text } from './assembly.js'
import { insn } from './instruction.js'

const OPEN = registerAddress('exclusive')
const ADDRESS = registerAddress('exclusive_address')
const DATA = registerAddress('exclusive_data')
const DATA_HIGH = registerAddress('exclusive_data', 1)
const aligned = { aligned: true }

const setMonitor = <Raw>(c: Semantics<Raw>, open: number) => c.setCell(OPEN, mem.i32_store, Value.constant('i32', open))

const allocated = ({ size, o2, o1, ordered }: { size: number; o2: number; o1: number; ordered: number }) =>
  o2 ? !o1 && ordered === 1 : !o1 || size >= 2

/**
 * The monitor remembers the address and the data of the load; a store-exclusive succeeds if both still agree, so that whatever else
 * wrote to the location in between, a device included, makes it fail.
 */
const EXCLUSIVE = insn('size:2 001000 o2:1 L:1 o1:1 Rs:5 ordered:1 Rt2:5 Rn:5 Rt:5', 'LDXR/STXR/LDXP/STXP/LDAR/STLR', {
  allocated,
  rare: true,
  asm({ size, o2, L, o1, Rs, ordered, Rt2, Rn, Rt }) {
    const order = ordered ? (L ? 'a' : 'l') : ''
    const mnemonic = `${L ? 'ld' : 'st'}${order}${o2 ? 'r' : o1 ? 'xp' : 'xr'}${['b', 'h', '', ''][size]}`
    const status = o2 || L ? undefined : X(Rs, 0)
    const sf = size === 3 ? 1 : 0
    return text(mnemonic, status, X(Rt, sf), o1 ? X(Rt2, sf) : undefined, memory(Rn, 0))
  },
  exec(c, f) {
    if (!allocated(f)) return c.UNDEFINED()
    const size = (1 << f.size) as ElementSize
    const pairSize = size as 4 | 8
    const address = c.XSP(f.Rn)
    if (f.o2) {
      if (f.L) c.setX(f.Rt, c.load(address, size, undefined, aligned))
      else c.store(address, size, c.X(f.Rt), aligned)
      return undefined
    }
    if (f.L) {
      const [first, second] = f.o1
        ? c.loadPair(address, pairSize, undefined, aligned)
        : [c.load(address, size, undefined, aligned), undefined]
      setMonitor(c, 1)
      c.setCell(ADDRESS, mem.i64_store, address)
      c.setCell(DATA, mem.i64_store, first)
      c.setX(f.Rt, first)
      if (second) {
        c.setCell(DATA_HIGH, mem.i64_store, second)
        c.setX(f.Rt2, second)
      }
      return undefined
    }
    const fail = () => c.setX(f.Rs, Value.constant('i32', 1))
    const watched = c.cell(OPEN, mem.i32_load, 'i32').and(c.cell(ADDRESS, mem.i64_load, 'i64').compare('eq', address))
    const expected = c.cell(DATA, mem.i64_load, 'i64')
    c.if(
      watched,
      () => {
        const succeed = () => c.setX(f.Rs, Value.constant('i32', 0))
        if (!f.o1) {
          const held = c.load(address, size, undefined, aligned)
          c.if(
            held.compare('eq', expected),
            () => {
              c.store(address, size, c.X(f.Rt), aligned)
              succeed()
            },
            fail,
          )
          return
        }
        const [first, second] = c.loadPair(address, pairSize, undefined, aligned)
        const same = first.compare('eq', expected).and(second.compare('eq', c.cell(DATA_HIGH, mem.i64_load, 'i64')))
        c.if(
          same,
          () => {
            c.storePair(address, pairSize, c.X(f.Rt), c.X(f.Rt2), aligned)
            succeed()
          },
          fail,
        )
      },
      fail,
    )
    return setMonitor(c, 0)
  },
})

/** The rows of this class. */
export const exclusives = [EXCLUSIVE]
