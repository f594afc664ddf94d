/** The state hash: 64 bits over the state area of a machine's memory, or over a page of its RAM, computed in place by a small WebAssembly module. */
import type { MachineMemory } from '../machine-memory.js'
import { PAGE_SIZE, RAM_BASE, STATE_BASE } from '../machine-memory.js'
import { FunctionBuilder, I32, Label, ModuleBuilder, mem, op } from './assembler.js'

const LANES = 4
const BLOCK = LANES * 8
/** Odd multipliers, one a lane, so that every step is a bijection of its lane. */
const MULTIPLIERS: readonly (readonly [number, number])[] = [
  [0x85ebca87, 0x9e3779b1],
  [0x27d4eb4f, 0xc2b2ae3d],
  [0x9e3779f9, 0x165667b1],
  [0xc2b2ae63, 0x85ebca77],
]

/**
 * Builds `hash(start, bytes, result)`: four lanes take 8 bytes each in turn, `lane = rotl((lane ^ word) * odd, 29)`, and are folded into one
 * word at the end, which goes to `result`. `bytes` is a multiple of 32.
 */
function hashModule(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(1)
  const f = new FunctionBuilder([I32, I32, I32])
  const [start, bytes, result] = [0, 1, 2]
  const lanes = MULTIPLIERS.map(() => f.local(0x7e))
  const { i32, i64 } = op
  lanes.forEach((lane, i) => f.i64(MULTIPLIERS[i][1], MULTIPLIERS[i][0]).set(lane))
  const loop = new Label()
  f.loop(loop)
  lanes.forEach((lane, i) => {
    f.get(lane)
      .get(start)
      .memory(mem.i64_load, i * 8)
      .op(i64.xor)
    f.i64(...MULTIPLIERS[i])
      .op(i64.mul)
      .i64(29, 0)
      .op(i64.rotl)
      .set(lane)
  })
  f.get(start).i32(BLOCK).op(i32.add).set(start)
  f.get(bytes).i32(BLOCK).op(i32.sub).tee(bytes).i32(0).op(i32.gt_s).brIf(loop)
  f.end()
  f.get(result)
  f.get(lanes[0])
  for (const [i, lane] of lanes.entries()) {
    if (i === 0) continue
    f.i64(...MULTIPLIERS[i])
      .op(i64.mul)
      .get(lane)
      .op(i64.xor)
  }
  // The high bits of a product depend on all lower ones: fold them down twice.
  const folded = f.local(0x7e)
  for (const multiplier of MULTIPLIERS.slice(0, 2)) {
    f.set(folded)
      .get(folded)
      .get(folded)
      .i64(32, 0)
      .op(i64.shr_u, i64.xor)
      .i64(...multiplier)
      .op(i64.mul)
  }
  f.set(folded).get(folded).get(folded).i64(29, 0).op(i64.shr_u, i64.xor)
  f.memory(mem.i64_store, 0)
  module.add(f, 'hash')
  return module.bytes()
}

/** The hash of a page of zeros, as [low, high]. */
export const ZERO_PAGE_HASH = [0x2a3d9acb, 0xf7c3aaee] as const

let compiled: WebAssembly.Module | undefined

/** Hashes a machine's state area. */
export class StateHash {
  private readonly memory: MachineMemory
  private readonly hash: (start: number, bytes: number, result: number) => void

  constructor(memory: MachineMemory) {
    this.memory = memory
    compiled ??= new WebAssembly.Module(hashModule())
    const instance = new WebAssembly.Instance(compiled, { env: { memory: memory.wasm } })
    this.hash = instance.exports['hash'] as typeof this.hash
  }

  /** Hashes the state as it stands; the result goes to {@link lo} and {@link hi}. Bytes between the last block and a multiple of 32 are zero. */
  compute(): void {
    const bytes = Math.ceil((this.memory.stateEnd - STATE_BASE) / BLOCK) * BLOCK
    this.hash(STATE_BASE, bytes, RESULT)
  }

  /** Hashes the page of guest RAM with this number, counted from its first; the result goes to {@link lo} and {@link hi}. */
  computePage(page: number): void {
    this.hash(RAM_BASE + page * PAGE_SIZE, PAGE_SIZE, RESULT)
  }

  /** Low and high half of the last result, unsigned. */
  get lo(): number {
    return this.memory.u32[RESULT >>> 2]
  }
  get hi(): number {
    return this.memory.u32[(RESULT >>> 2) + 1]
  }
}

/** Where the result goes: scratch below the state area. */
const RESULT = 0x180
