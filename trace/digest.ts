/**
 * The digest chain: 8 bytes per batch over everything that happened in it, folded from 32-bit words as it happens.
 *
 * The function, exactly. All arithmetic is on 32-bit words modulo 2^32; `rotl` rotates left. The state is four lanes a, b, c, d.
 *
 *     block(x0, x1, x2, x3):
 *       a = (a ^ x0) * 0x9e3779b1      b = (b ^ x1) * 0x85ebca77
 *       c = (c ^ x2) * 0xc2b2ae3d      d = (d ^ x3) * 0x27d4eb2f
 *       b += rotl(a, 13)   c ^= rotl(b, 19)   d += rotl(c, 11)   a ^= rotl(d, 17)
 *
 * Every step is a bijection of the lanes (the multipliers are odd), so nothing folded in is ever lost before the end.
 *
 *     batch start, from d[n-1] = (lo, hi):
 *       a, b, c, d = lo ^ 0x6b61616c, hi ^ 0x74726163, 0x3c6ef372, 0xa54ff53a;   block(lo, hi, ~lo, ~hi)
 *     event(kind, icount, w0, w1, w2, w3):
 *       block(kind, icount mod 2^32, icount div 2^32, 0);   block(w0, w1, w2, w3)
 *     bytes(list):
 *       block(length, 0, 0, 1);   per sixteen bytes, the last ones padded with zeros, block(four little-endian words)
 *     interrupt:  event(2, icount, vcpu | el << 8, intid, pc low, pc high)
 *     exception:  event(3, icount, vcpu | code of the kind << 8, esr, far low, far high);   block(elr low, elr high, 0, 0)
 *     uart:       event(4, icount, direction, byte, 0, 0)
 *     input:      event(5, icount, length of source, length of payload, 0, 0);   per character of source, a UTF-16 unit,
 *                 block(unit, index, 0, 0);   bytes(payload)
 *     batch end:
 *       event(1, icount, count, vcpu | code of the end << 8, pc low, pc high)
 *       block(state hash low, state hash high, number of events, 2);   six times block(0, 0, 0, 0)
 *       d[n] = (a ^ rotl(c, 7), b ^ rotl(d, 21))
 *
 * It guards against accidents (a divergence, a damaged file), not against someone who wants a collision.
 */
import { type ExceptionKind, type BatchEnd, type UartDirection, BATCH_ENDS, EXCEPTION_KINDS } from './rows.js'
import { createSha256, toHex } from './platform.js'

/** Kinds of event, the first word of each in the digest. Append only. */
const EVENT = { batch: 1, interrupt: 2, exception: 3, uart: 4, input: 5 } as const

const TWO_32 = 4294967296
const PIECE = 1 << 15
const END_CODE = new Map<BatchEnd, number>(BATCH_ENDS.map((end, code) => [end, code]))
const KIND_CODE = new Map<ExceptionKind, number>(EXCEPTION_KINDS.map((kind, code) => [kind, code]))

/** Folds the events of a recording or a replay, batch by batch. Nothing is allocated per event. */
export class DigestChain {
  /** The digest of the last ended batch, unsigned: d[0] = 0 before the first. */
  lo = 0
  hi = 0
  private readonly lanes = new Int32Array(4)
  private events = 0

  constructor() {
    this.restart(0, 0)
  }

  /** Continues from the digest of an earlier batch, as when a replay starts at a snapshot. Drops events not yet in a batch. */
  restart(lo: number, hi: number): void {
    this.lo = lo >>> 0
    this.hi = hi >>> 0
    this.events = 0
    const lanes = this.lanes
    lanes[0] = lo ^ 0x6b61616c
    lanes[1] = hi ^ 0x74726163
    lanes[2] = 0x3c6ef372
    lanes[3] = 0xa54ff53a
    this.block(lo, hi, ~lo, ~hi)
  }

  /** Folds one event: its kind, its position (low and high 32 bits) and four words of what happened. */
  event(kind: number, icountLo: number, icountHi: number, w0: number, w1: number, w2: number, w3: number): void {
    this.events++
    // Two blocks at once: there is one event for each byte that a guest prints.
    const lanes = this.lanes
    let a = Math.imul(lanes[0] ^ kind, 0x9e3779b1)
    let b = Math.imul(lanes[1] ^ icountLo, 0x85ebca77)
    let c = Math.imul(lanes[2] ^ icountHi, 0xc2b2ae3d)
    let d = Math.imul(lanes[3], 0x27d4eb2f)
    b = (b + rotl(a, 13)) | 0
    c ^= rotl(b, 19)
    d = (d + rotl(c, 11)) | 0
    a = Math.imul(a ^ rotl(d, 17) ^ w0, 0x9e3779b1)
    b = Math.imul(b ^ w1, 0x85ebca77)
    c = Math.imul(c ^ w2, 0xc2b2ae3d)
    d = Math.imul(d ^ w3, 0x27d4eb2f)
    b = (b + rotl(a, 13)) | 0
    c ^= rotl(b, 19)
    d = (d + rotl(c, 11)) | 0
    lanes[0] = a ^ rotl(d, 17)
    lanes[1] = b
    lanes[2] = c
    lanes[3] = d
  }

  /** An interrupt taken; the arguments are those of `TraceWriter.interrupt`. */
  interrupt(icount: number, vcpu: number, intid: number, pcLo: number, pcHi: number, el: number): void {
    this.event(EVENT.interrupt, icount | 0, (icount / TWO_32) | 0, vcpu | (el << 8), intid, pcLo, pcHi)
  }

  /** A logged exception; the arguments are those of `TraceWriter.exception`. */
  exception(
    icount: number,
    vcpu: number,
    kind: ExceptionKind,
    esr: number,
    farLo: number,
    farHi: number,
    elrLo: number,
    elrHi: number,
  ): void {
    const code = KIND_CODE.get(kind) as number
    this.event(EVENT.exception, icount | 0, (icount / TWO_32) | 0, vcpu | (code << 8), esr, farLo, farHi)
    this.block(elrLo, elrHi, 0, 0)
  }

  /** A byte through the UART; the arguments are those of `TraceWriter.uart`. */
  uart(icount: number, direction: UartDirection, byte: number): void {
    this.event(EVENT.uart, icount | 0, (icount / TWO_32) | 0, direction, byte, 0, 0)
  }

  /** An external input; the arguments are those of `TraceWriter.input`. */
  input(icount: number, source: string, payload: Uint8Array): void {
    this.event(EVENT.input, icount | 0, (icount / TWO_32) | 0, source.length, payload.length, 0, 0)
    for (let i = 0; i < source.length; i++) this.block(source.charCodeAt(i), i, 0, 0)
    this.bytes(payload)
  }

  /** Folds a list of bytes into the event before it. */
  bytes(list: Uint8Array): void {
    this.block(list.length, 0, 0, 1)
    const word = (at: number) =>
      (list[at] ?? 0) | ((list[at + 1] ?? 0) << 8) | ((list[at + 2] ?? 0) << 16) | ((list[at + 3] ?? 0) << 24)
    for (let at = 0; at < list.length; at += 16) this.block(word(at), word(at + 4), word(at + 8), word(at + 12))
  }

  /**
   * Ends a batch: sets {@link lo} and {@link hi} to its digest and starts the next. The first arguments are those of
   * `TraceWriter.batch`; the last two are the hash of the state area at the batch's end.
   */
  endBatch(
    icount: number,
    count: number,
    vcpu: number,
    pcLo: number,
    pcHi: number,
    ended: BatchEnd,
    stateLo: number,
    stateHi: number,
  ): void {
    const events = this.events
    const code = END_CODE.get(ended) as number
    this.event(EVENT.batch, icount | 0, (icount / TWO_32) | 0, count, vcpu | (code << 8), pcLo, pcHi)
    this.block(stateLo, stateHi, events, 2)
    for (let round = 0; round < 6; round++) this.block(0, 0, 0, 0)
    const { lanes } = this
    this.restart(lanes[0] ^ rotl(lanes[2], 7), lanes[1] ^ rotl(lanes[3], 21))
  }

  private block(x0: number, x1: number, x2: number, x3: number): void {
    const lanes = this.lanes
    let a = Math.imul(lanes[0] ^ x0, 0x9e3779b1)
    let b = Math.imul(lanes[1] ^ x1, 0x85ebca77)
    let c = Math.imul(lanes[2] ^ x2, 0xc2b2ae3d)
    let d = Math.imul(lanes[3] ^ x3, 0x27d4eb2f)
    b = (b + rotl(a, 13)) | 0
    c ^= rotl(b, 19)
    d = (d + rotl(c, 11)) | 0
    a ^= rotl(d, 17)
    lanes[0] = a
    lanes[1] = b
    lanes[2] = c
    lanes[3] = d
  }
}

function rotl(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}

/** What {@link finalDigest} covers. */
export interface FinalState {
  /** The last batch's chained digest. */
  readonly digestLo: number
  readonly digestHi: number
  /** Instructions retired. */
  readonly instructions: number
  /**
   * The pages of guest RAM that are not all zero, by rising page number, each with its sha256 if it has not been written since the last snapshot,
   * else with its 64-bit hash (see `cpu/wasm/state-hash.ts`). The bytes are good until the next page is asked for.
   */
  readonly pages: Iterable<{ readonly page: number; readonly hash: Uint8Array }>
}

/**
 * The digest of a whole run: sha256 over the last chained digest (8 bytes), the instruction count (8 bytes) and, per page of RAM
 * that is not all zero, its number (4 bytes, bit 31 set if the hash is one of 64 bits) and hash; integers little-endian.
 *
 * @returns 64 hexadecimal digits.
 * @throws {RangeError} if the pages do not rise, or a hash is of another length.
 */
export function finalDigest(state: FinalState): string {
  const sha = createSha256()
  // Hashed in pieces of some size: a call for each page costs as much as hashing a kilobyte.
  const piece = new Uint8Array(PIECE)
  const view = new DataView(piece.buffer)
  view.setUint32(0, state.digestLo, true)
  view.setUint32(4, state.digestHi, true)
  view.setBigUint64(8, BigInt(state.instructions), true)
  let used = 16
  let last = -1
  for (const { page, hash } of state.pages) {
    if (page <= last)
      throw new RangeError(`page ${page} after page ${last}: a final digest takes pages in rising order`)
    if (hash.length !== 32 && hash.length !== 8)
      throw new RangeError(`page ${page}: its hash has ${hash.length} bytes, neither 32 nor 8`)
    last = page
    if (used + 36 > PIECE) {
      sha.update(piece.subarray(0, used))
      used = 0
    }
    view.setUint32(used, hash.length === 8 ? page | 0x8000_0000 : page, true)
    piece.set(hash, used + 4)
    used += 4 + hash.length
  }
  sha.update(piece.subarray(0, used))
  return toHex(sha.digest())
}
