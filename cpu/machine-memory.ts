/**
 * The one WebAssembly memory of a machine: processor state, device state, TLBs, decoded instructions and guest RAM.
 *
 * Low to high: the *state area* (blocks declared with `stateBlock`, hashed by the batch digests), then caches that hold no
 * architectural state, then guest RAM. Everything below RAM stands at a constant offset, so that generated code addresses it
 * with immediate operands.
 */
import './wasm/webassembly.js'
import { type BlockImage, type BlockView, type Fields, type StateBlock, loadBlock, saveBlock } from './state-block.js'

/** Bytes in a page of guest memory: the 4 KiB granule. */
export const PAGE_SIZE = 4096
/** First byte of the state area. Offset 0 is kept free so that a null offset in generated code is never valid. */
export const STATE_BASE = 0x1000
/** End of the state area. */
export const STATE_END = 0x10000
/** Guest physical address of RAM on `virt`. */
export const RAM_PHYSICAL = 0x4000_0000
/** Smallest and largest RAM, in bytes: 16 MiB and 3 GiB. */
export const RAM_MIN = 16 * 2 ** 20
export const RAM_MAX = 3 * 2 ** 30
/** Byte offset of guest RAM in the memory; what lies between {@link STATE_END} and here belongs to `cpu/layout`. */
export const RAM_BASE = 0x400_0000

interface Placed {
  readonly block: StateBlock<Fields>
  readonly base: number
}

/** A machine's memory, and the directory of the state blocks in it. */
export class MachineMemory {
  readonly wasm: WebAssembly.Memory
  readonly buffer: ArrayBuffer
  readonly u8: Uint8Array
  readonly u32: Uint32Array
  readonly i32: Int32Array
  readonly view: DataView
  /** Guest RAM, from guest physical address {@link RAM_PHYSICAL} up. */
  readonly ram: Uint8Array<ArrayBuffer>
  readonly ramSize: number
  private readonly placed: Placed[] = []
  private next = STATE_BASE

  /**
   * @param ramSize bytes of guest RAM, a multiple of the page size between {@link RAM_MIN} and {@link RAM_MAX}.
   * @throws {RangeError} if it is not, or if the host has not enough address space for it.
   */
  constructor(ramSize: number) {
    if (!Number.isInteger(ramSize / PAGE_SIZE) || ramSize < RAM_MIN || ramSize > RAM_MAX) {
      throw new RangeError(`RAM of ${ramSize} bytes: give a multiple of 4096 between 16M and 3G`)
    }
    this.wasm = new WebAssembly.Memory({ initial: Math.ceil((RAM_BASE + ramSize) / 65536) })
    this.buffer = this.wasm.buffer
    this.u8 = new Uint8Array(this.buffer)
    this.u32 = new Uint32Array(this.buffer)
    this.i32 = new Int32Array(this.buffer)
    this.view = new DataView(this.buffer)
    this.ram = new Uint8Array(this.buffer, RAM_BASE, ramSize)
    this.ramSize = ramSize
  }

  /** First byte after the state blocks placed so far: the digests hash from {@link STATE_BASE} to here. */
  get stateEnd(): number {
    return this.next
  }

  /**
   * Gives `block` its place in the state area. The order of calls is part of a machine's definition: digests depend on it.
   *
   * @returns live accessors for the block's fields.
   */
  place<F extends Fields>(block: StateBlock<F>): BlockView<F> {
    const base = this.next
    if (base + block.size > STATE_END) throw new Error(`no room in the state area for ${block.name}`)
    this.placed.push({ block: block, base })
    this.next = base + block.size
    return block.view(this.buffer, base)
  }

  /** All blocks by name, for a snapshot. */
  saveState(): Record<string, BlockImage> {
    const state: Record<string, BlockImage> = {}
    for (const { block, base } of this.placed) state[block.name] = saveBlock(block, this.buffer, base)
    return state
  }

  /**
   * Puts all blocks back from a snapshot.
   *
   * @throws {Error} naming the block or field that is missing, unknown or of another shape.
   */
  loadState(state: Record<string, BlockImage>): void {
    const known = new Set(this.placed.map(({ block }) => block.name))
    for (const name of Object.keys(state))
      if (!known.has(name)) throw new Error(`snapshot has an unknown device ${name}`)
    for (const { block, base } of this.placed) {
      const image = state[block.name]
      if (!image) throw new Error(`snapshot lacks the state of ${block.name}`)
      loadBlock(block, this.buffer, base, image)
    }
  }
}
