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
const RESERVATIONS = 48
const STRUCTURE = RESERVATIONS + 16
const BEGIN_NODE = 1
const END_NODE = 2
const PROP = 3
const END = 9
/** Tokens of an empty tree: the root, and the end. */
const EMPTY = [BEGIN_NODE, 0, END_NODE, END]
/** Where libfdt builds the empty tree before it moves it to its place; the bytes stay behind. */
const SCRATCH = 0x88

/** A property value: cells (32-bit big-endian numbers), one string or several, bytes, or nothing. */
export type FdtValue = readonly number[] | string | readonly string[] | Uint8Array | undefined

const aligned = (bytes: number): number => (bytes + 3) & ~3

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
  private readonly nodes: FdtNode[]
  private structureSize = EMPTY.length * 4
  private readonly offsets = new Map<string, number>()
  private strings = ''

  /** @param size bytes of the blob; what the tree does not need stays zero. */
  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer)
    EMPTY.forEach((token, i) => {
      this.view.setUint32(STRUCTURE + i * 4, token)
      this.view.setUint32(SCRATCH + i * 4, token)
    })
    this.root = new FdtNode(this, STRUCTURE, 4)
    this.nodes = [this.root]
  }

  /** Adds a node as the first child of `parent`. */
  addNode(parent: FdtNode, name: string): FdtNode {
    let at = parent.body
    while (this.view.getUint32(at) === PROP) at += 12 + aligned(this.view.getUint32(at + 4))
    const nameBytes = aligned(name.length + 1)
    this.open(at, 8 + nameBytes)
    this.view.setUint32(at, BEGIN_NODE)
    this.bytes.fill(0, at + 4, at + 4 + nameBytes)
    this.bytes.set(ascii(name), at + 4)
    this.view.setUint32(at + 4 + nameBytes, END_NODE)
    const node = new FdtNode(this, at, nameBytes)
    this.nodes.push(node)
    return node
  }

  /**
   * Adds a property as the first of `node`.
   *
   * @throws {Error} if the node has it already: this writer does not replace values.
   */
  setProperty(node: FdtNode, name: string, value: Uint8Array): void {
    const nameOffset = this.intern(name)
    for (let at = node.body; this.view.getUint32(at) === PROP; at += 12 + aligned(this.view.getUint32(at + 4))) {
      if (this.view.getUint32(at + 8) === nameOffset) throw new Error(`device tree property ${name} is set twice`)
    }
    const at = node.body
    this.open(at, 12 + aligned(value.length))
    this.view.setUint32(at, PROP)
    this.view.setUint32(at + 4, value.length)
    this.view.setUint32(at + 8, nameOffset)
    this.bytes.set(value, at + 12)
  }

  /** Writes the header and gives the blob. */
  finish(): Uint8Array<ArrayBuffer> {
    const stringsAt = STRUCTURE + this.structureSize
    const header = [MAGIC, this.bytes.length, STRUCTURE, stringsAt, RESERVATIONS, VERSION, COMPATIBLE_VERSION, 0]
    header.push(this.strings.length, this.structureSize)
    header.forEach((field, i) => this.view.setUint32(i * 4, field))
    return this.bytes
  }

  /** Makes room in the structure block: everything behind moves up, the gap keeps its bytes. */
  private open(at: number, size: number): void {
    const end = STRUCTURE + this.structureSize + this.strings.length
    this.checkRoom(end + size)
    this.bytes.copyWithin(at + size, at, end)
    this.structureSize += size
    for (const node of this.nodes) if (node.at >= at) node.at += size
  }

  /** Offset of a name in the strings block; a name that ends another shares its bytes. */
  private intern(name: string): number {
    const known = this.offsets.get(name)
    if (known !== undefined) return known
    const terminated = `${name}\0`
    let offset = this.strings.indexOf(terminated)
    if (offset < 0) {
      offset = this.strings.length
      const end = STRUCTURE + this.structureSize + offset
      this.checkRoom(end + terminated.length)
      this.bytes.set(ascii(terminated), end)
      this.strings += terminated
    }
    this.offsets.set(name, offset)
    return offset
  }

  private checkRoom(end: number): void {
    if (end > this.bytes.length) throw new RangeError(`device tree does not fit into ${this.bytes.length} bytes`)
  }
}

function encode(value: FdtValue): Uint8Array {
  if (value === undefined) return new Uint8Array(0)
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return Uint8Array.from([...ascii(value), 0])
  const bytes: number[] = []
  for (const item of value) {
    if (typeof item === 'string') bytes.push(...ascii(item), 0)
    else bytes.push(item >>> 24, (item >>> 16) & 0xff, (item >>> 8) & 0xff, item & 0xff)
  }
  return Uint8Array.from(bytes)
}

/** One byte for each character: property names and values here are ASCII, or bytes of a command line taken as they are. */
const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0) & 0xff)
