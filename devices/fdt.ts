/**
 * Builds flattened device trees (Devicetree Specification v0.4, chapter 5) in place, to the byte as libfdt does it for QEMU.
 *
 * Guests in lockstep with QEMU read every byte, padding included, so the order and the manner of edits count: a new node becomes its
 * parent's first child, a new property its node's first; the strings block lists names in the order of first use; and padding after a
 * value is not cleared but holds what stood there before the blocks behind it were moved up.
 */

const MAGIC = 0xd00d_feed
const VERSION = 17
const COMPATIBLE_VERSION = 16
const HEADER = 40
const RESERVATIONS = 48
const STRUCTURE = RESERVATIONS + 16
const BEGIN_NODE = 1
const END_NODE = 2
const PROP = 3
const NOP = 4
const END = 9
/** Tokens of an empty tree: the root, and the end. */
const EMPTY = [BEGIN_NODE, 0, END_NODE, END]
/** Where libfdt builds the empty tree before it moves it to its place; the bytes stay behind. */
const SCRATCH = 0x88

/** A blob that is no device tree; the message says which field is wrong. */
export class FdtError extends Error {
  override readonly name = 'FdtError'
}

/** A property value: cells (32-bit big-endian numbers), one string or several, bytes, or nothing. */
export type FdtValue = readonly number[] | string | readonly string[] | Uint8Array | undefined

const aligned = (bytes: number): number => Math.ceil(bytes / 4) * 4

/** One node of a tree; the methods return what chains well. */
export class FdtNode {
  /** Offset in the blob of the node's BEGIN_NODE token; kept up to date by {@link Fdt}. */
  at: number
  private readonly tree: Fdt
  private readonly nameBytes: number

  /** For {@link Fdt} alone. */
  constructor(tree: Fdt, at: number, nameBytes: number) {
    this.tree = tree
    this.at = at
    this.nameBytes = nameBytes
  }

  /** Offset of the first property, or of what stands there without one. */
  get body(): number {
    return this.at + 4 + this.nameBytes
  }

  /** Adds a child node, as `name@unit-address`. */
  add(name: string): FdtNode {
    return this.tree.addNode(this, name)
  }

  /** Sets a property. */
  set(name: string, value: FdtValue): this {
    this.tree.setProperty(this, name, encode(value))
    return this
  }
}

/** A device tree in a blob of fixed size. */
export class Fdt {
  /** The blob. {@link finish} completes its header. */
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly root: FdtNode
  private readonly view: DataView
  private readonly nodes: FdtNode[] = []
  private readonly reservationsAt: number
  private readonly structureAt: number
  private structureSize: number
  private strings: string

  /**
   * An empty tree, or with `blob` the tree in it.
   *
   * @param size bytes that the result will have; what the tree does not need stays zero.
   * @throws {FdtError} if `blob` is not a whole device tree of version 17 with its blocks in the usual order.
   */
  constructor(size: number, blob?: Uint8Array) {
    this.bytes = new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer)
    if (blob) {
      const places = checkHeader(blob)
      this.bytes.set(blob)
      this.reservationsAt = places.reservationsAt
      this.structureAt = places.structureAt
      this.structureSize = places.structureSize
      this.strings = ''
      for (const byte of blob.subarray(places.stringsAt, places.stringsAt + places.stringsSize)) {
        this.strings += String.fromCharCode(byte)
      }
      this.scan(places.structureAt + places.structureSize)
    } else {
      this.reservationsAt = RESERVATIONS
      this.structureAt = STRUCTURE
      this.structureSize = EMPTY.length * 4
      this.strings = ''
      EMPTY.forEach((token, i) => {
        this.view.setUint32(STRUCTURE + i * 4, token)
        this.view.setUint32(SCRATCH + i * 4, token)
      })
      this.nodes.push(new FdtNode(this, STRUCTURE, 4))
    }
    this.root = this.nodes[0]
  }

  /** The nodes right below the root, by name. */
  topNodes(): Map<string, FdtNode> {
    const found = new Map<string, FdtNode>()
    let depth = 0
    this.walk(this.structureAt, (token, at) => {
      if (token === BEGIN_NODE && depth++ === 1) {
        const node = this.nodes.find((each) => each.at === at)
        if (node) found.set(this.nameAt(at), node)
      }
      return token !== END_NODE || --depth > 0
    })
    return found
  }

  /** The first cell of a property, or undefined without it. */
  cell(node: FdtNode, name: string): number | undefined {
    const at = this.findProperty(node, name)
    return at !== undefined && this.view.getUint32(at + 4) >= 4 ? this.view.getUint32(at + 12) : undefined
  }

  /** Adds a node as the first child of `parent`. */
  addNode(parent: FdtNode, name: string): FdtNode {
    let at = parent.body
    this.walk(at, (token, here) => {
      at = here
      return token === PROP || token === NOP
    })
    const nameBytes = aligned(name.length + 1)
    this.splice(at, 0, 8 + nameBytes)
    this.view.setUint32(at, BEGIN_NODE)
    this.bytes.fill(0, at + 4, at + 4 + nameBytes)
    this.bytes.set(utf8(name), at + 4)
    this.view.setUint32(at + 4 + nameBytes, END_NODE)
    const node = new FdtNode(this, at, nameBytes)
    this.nodes.push(node)
    return node
  }

  /** Overwrites a node and all below it with NOP tokens. */
  removeNode(node: FdtNode): void {
    let depth = 0
    let end = node.at
    this.walk(node.at, (token, at) => {
      if (token === BEGIN_NODE) depth++
      end = at + 4
      return token !== END_NODE || --depth > 0
    })
    for (let at = node.at; at < end; at += 4) this.view.setUint32(at, NOP)
  }

  /** Adds a property as the first of `node`, or gives the one of that name a new value in its place. */
  setProperty(node: FdtNode, name: string, value: Uint8Array): void {
    let at = this.findProperty(node, name)
    if (at === undefined) {
      const nameOffset = this.intern(name)
      at = node.body
      this.splice(at, 0, 12 + aligned(value.length))
      this.view.setUint32(at, PROP)
      this.view.setUint32(at + 8, nameOffset)
    } else this.splice(at + 12, aligned(this.view.getUint32(at + 4)), aligned(value.length))
    this.view.setUint32(at + 4, value.length)
    this.bytes.set(value, at + 12)
  }

  /** Writes the header and gives the blob. */
  finish(): Uint8Array<ArrayBuffer> {
    const { view, structureAt, structureSize } = this
    view.setUint32(0, MAGIC)
    view.setUint32(4, this.bytes.length)
    view.setUint32(8, structureAt)
    view.setUint32(12, structureAt + structureSize)
    view.setUint32(16, this.reservationsAt)
    view.setUint32(20, VERSION)
    view.setUint32(24, COMPATIBLE_VERSION)
    view.setUint32(32, this.strings.length)
    view.setUint32(36, structureSize)
    return this.bytes
  }

  /** Calls `visit` with each token and its offset from `at` on, until it says false or the tree ends. */
  private walk(at: number, visit: (token: number, at: number) => boolean): void {
    const end = this.structureAt + this.structureSize
    while (at + 4 <= end) {
      const token = this.view.getUint32(at)
      if (!visit(token, at) || token === END) return
      at = this.after(token, at)
    }
  }

  /** Offset behind the token at `at` and what belongs to it. */
  private after(token: number, at: number): number {
    if (token === BEGIN_NODE) return at + 4 + aligned(this.nameAt(at).length + 1)
    return token === PROP ? at + 12 + aligned(this.view.getUint32(at + 4)) : at + 4
  }

  private nameAt(at: number): string {
    let name = ''
    for (let i = at + 4; this.bytes[i] !== 0 && i < this.bytes.length; i++) name += String.fromCharCode(this.bytes[i])
    return name
  }

  /** Finds all nodes of a blob that was given, and checks that they nest. */
  private scan(end: number): void {
    let depth = 0
    let at = this.structureAt
    for (;;) {
      if (at + 4 > end) throw new FdtError('its structure block has no end (FDT_END)')
      const token = this.view.getUint32(at)
      if (token === END) break
      if (token === BEGIN_NODE) {
        this.nodes.push(new FdtNode(this, at, aligned(this.nameAt(at).length + 1)))
        depth++
      } else if (token === END_NODE) depth--
      else if (token === PROP) {
        if (at + 12 > end) throw new FdtError('its structure block is cut short')
      } else if (token !== NOP) throw new FdtError(`it has an unknown token ${token} at offset ${at}`)
      if (depth <= 0 && (token !== END_NODE || depth < 0)) throw new FdtError('its nodes do not nest')
      at = this.after(token, at)
      if (at > end) throw new FdtError('its structure block is cut short')
    }
    if (depth !== 0 || this.nodes.length === 0) throw new FdtError('its nodes do not nest')
  }

  private findProperty(node: FdtNode, name: string): number | undefined {
    let found: number | undefined
    const terminated = `${name}\0`
    this.walk(node.body, (token, at) => {
      if (token === PROP && this.strings.startsWith(terminated, this.view.getUint32(at + 8))) found = at
      return found === undefined && (token === PROP || token === NOP)
    })
    return found
  }

  /** Replaces `before` bytes of the structure block by `after`: all behind moves, and what is not overwritten keeps its bytes. */
  private splice(at: number, before: number, after: number): void {
    const end = this.structureAt + this.structureSize + this.strings.length
    this.checkRoom(end + after - before)
    this.bytes.copyWithin(at + after, at + before, end)
    this.structureSize += after - before
    for (const node of this.nodes) if (node.at >= at) node.at += after - before
  }

  /** Offset of a name in the strings block; a name that ends another shares its bytes. */
  private intern(name: string): number {
    const terminated = `${name}\0`
    const known = this.strings.indexOf(terminated)
    if (known >= 0) return known
    const offset = this.strings.length
    const end = this.structureAt + this.structureSize + offset
    this.checkRoom(end + terminated.length)
    this.bytes.set(utf8(terminated), end)
    this.strings += terminated
    return offset
  }

  private checkRoom(end: number): void {
    if (end > this.bytes.length) throw new FdtError(`it does not fit into ${this.bytes.length} bytes`)
  }
}

interface Places {
  readonly reservationsAt: number
  readonly structureAt: number
  readonly structureSize: number
  readonly stringsAt: number
  readonly stringsSize: number
}

/** Reads a blob's header (Devicetree Specification v0.4, 5.2) and checks what the writer relies on. */
function checkHeader(blob: Uint8Array): Places {
  if (blob.length < HEADER) throw new FdtError(`it has ${blob.length} bytes, a device tree's header has ${HEADER}`)
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const [magic, totalSize, structureAt, stringsAt, reservationsAt, version, , , stringsSize, structureSize] =
    Array.from({ length: 10 }, (_, i) => view.getUint32(i * 4))
  if (magic !== MAGIC) throw new FdtError(`its magic is 0x${magic.toString(16)}, a device tree's is 0xd00dfeed`)
  if (version !== VERSION) throw new FdtError(`its version is ${version}: give one of version 17`)
  if (totalSize > blob.length) throw new FdtError(`its totalsize is ${totalSize}, the file has ${blob.length} bytes`)
  const inOrder =
    reservationsAt >= HEADER && structureAt >= reservationsAt + 16 && stringsAt === structureAt + structureSize
  if (!inOrder || stringsAt + stringsSize > totalSize || structureAt % 4 !== 0 || structureSize % 4 !== 0) {
    throw new FdtError('its blocks overlap, leave the file or are out of order: write it anew with dtc')
  }
  return { reservationsAt, structureAt, structureSize, stringsAt, stringsSize }
}

function encode(value: FdtValue): Uint8Array {
  if (value === undefined) return new Uint8Array(0)
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return Uint8Array.from([...utf8(value), 0])
  const bytes: number[] = []
  for (const item of value) {
    if (typeof item === 'string') bytes.push(...utf8(item), 0)
    else bytes.push(item >>> 24, (item >>> 16) & 0xff, (item >>> 8) & 0xff, item & 0xff)
  }
  return Uint8Array.from(bytes)
}

/** The bytes of a text in UTF-8. */
function utf8(text: string): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f))
    else if (code < 0x1_0000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
    else
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
  }
  return bytes
}
