/**
 * Regions: the guest code that becomes one function, as blocks and the edges between them.
 *
 * A region begins at one instruction and follows direct branches, calls and the returns from them, across pages where these are mapped, as
 * far as its size allows. Addresses in it are offsets from the start of the page that it begins in, so that it serves every virtual
 * address at which that page is seen.
 */
import type { FlagKind } from '../ir/flags.js'
import { PAGE_SIZE } from '../machine-memory.js'
import type { Code } from './code.js'

/** The most instructions and blocks of a region. */
const MAX_INSTRUCTIONS = 400
const MAX_BLOCKS = 64
/** The most places that indirect branches are led to. */
const MAX_TARGETS = 48
/** The most return addresses that a return is compared with. */
const MAX_RETURNS = 6

/** What stands at an offset: an instruction, one that only the interpreter executes, or nothing that may be translated now. */
export type CodeAt = Code | 'interpreter' | undefined

/** One way from a block to another. */
export interface Edge {
  readonly offset: number
  /** The block that begins there, if it is in the region and control may go there directly. */
  to: Block | undefined
  /** Whether it leads to another page, so that it must be seen whether that page is still mapped there. */
  readonly crossing: boolean
}

/** How a block ends. */
export type BlockEnd =
  | { readonly kind: 'goto'; readonly edge: Edge }
  | { readonly kind: 'branch'; readonly yes: Edge; readonly no: Edge }
  /** An indirect branch, to one of the edges, or to what `otherwise` chooses from, or elsewhere. */
  | { readonly kind: 'jump'; readonly edges: readonly Edge[]; readonly otherwise: Edge | undefined }
  /** No code of the guest's: where indirect branches that lead to many places are told apart. All edges lead into the page that the region begins in. */
  | { readonly kind: 'dispatch'; readonly edges: readonly Edge[] }
  /** The next instruction is for the interpreter. */
  | { readonly kind: 'interpreter' }

/** A straight run of instructions. */
export interface Block {
  readonly offset: number
  readonly code: readonly Code[]
  readonly end: BlockEnd
  /** Position in reverse postorder. */
  order: number
  dominator: Block | undefined
  /** Blocks that this one dominates directly, in order. */
  readonly children: Block[]
  /** Whether some edge leads back to it. */
  header: boolean
  /** Edges that lead forward to it. */
  entries: number
  /** Instructions on the longest way from here to the next place where the budget is looked at. */
  need: number
  /** The kind of the flags at its begin, if it is the same whichever way control came. */
  flags: FlagKind | undefined
}

/** A region, ready to be emitted. */
export interface Region {
  readonly head: Block
  /** In reverse postorder. */
  readonly blocks: readonly Block[]
  /** Instructions, all blocks together. */
  readonly size: number
  /** Whether anything in it is executed more than once. */
  readonly loops: boolean
  /** Offsets at which it may be entered, all in the page that it begins in: one, or the targets among which it chooses for indirect branches. */
  readonly entries: readonly number[]
}

/** The offset behind a block's last instruction. */
export const endOf = (block: Block): number => block.offset + 4 * block.code.length

/**
 * Finds the region that begins at offset `head` of a page (0 to 4092).
 *
 * @param at what stands at an offset.
 * @param targets offsets in the page where indirect branches are likely to lead, `head` first.
 * @returns undefined if nothing can be translated there.
 */
export function findRegion(
  head: number,
  at: (offset: number) => CodeAt,
  targets: () => readonly number[],
): Region | undefined {
  const exploration = new Exploration(at)
  exploration.follow(head)
  const { seen, leaders } = exploration
  if (typeof seen.get(head) !== 'object') return undefined
  const likely = exploration.indirect ? targets().slice(0, MAX_TARGETS) : []
  for (const target of likely) exploration.follow(target)
  const blocks = new Map<number, Block>()
  for (const leader of leaders) if (seen.has(leader)) blocks.set(leader, makeBlock(leader, seen, leaders))
  const entries = likely.length === 0 ? [head] : likely.filter((target) => typeof seen.get(target) === 'object')
  const dispatch = likely.length === 0 ? undefined : newBlock(0, [], { kind: 'dispatch', edges: entries.map(toOffset) })
  connect(blocks, dispatch)
  const first = dispatch ?? blocks.get(head)
  if (!first) return undefined
  const ordered = structure(first)
  measure(ordered)
  inferFlags(ordered)
  return {
    head: first,
    blocks: ordered,
    size: ordered.reduce((sum, block) => sum + block.code.length, 0),
    loops: ordered.some((block) => block.header),
    entries,
  }
}

/** The edges of a block. */
export function edgesOf({ end }: Block): readonly Edge[] {
  switch (end.kind) {
    case 'goto':
      return [end.edge]
    case 'branch':
      return [end.yes, end.no]
    case 'jump':
      return end.otherwise ? [...end.edges, end.otherwise] : end.edges
    case 'dispatch':
      return end.edges
    default:
      return []
  }
}

type Seen = Map<number, Code | 'interpreter'>

/** What has been found so far, walking the code breadth first. */
class Exploration {
  readonly seen: Seen = new Map()
  readonly leaders = new Set<number>()
  /** Whether there is an indirect branch, other than a return, in the page that the region begins in. */
  indirect = false
  private readonly at: (offset: number) => CodeAt
  private readonly queue: number[] = []

  constructor(at: (offset: number) => CodeAt) {
    this.at = at
  }

  /** Goes from an offset to all that it leads to. */
  follow(head: number): void {
    this.lead(head)
    for (let start = this.queue.shift(); start !== undefined; start = this.queue.shift()) this.straight(start)
  }

  private lead(offset: number): void {
    if (!this.leaders.has(offset) && this.leaders.size >= MAX_BLOCKS) return
    this.leaders.add(offset)
    this.queue.push(offset)
  }

  private straight(start: number): void {
    const { seen } = this
    for (let offset = start; !seen.has(offset) && seen.size < MAX_INSTRUCTIONS;) {
      const code = this.at(offset)
      if (code === undefined) return
      seen.set(offset, code)
      if (code === 'interpreter') return
      const { branch } = code
      if (branch) {
        if (branch.kind === 'branch') this.lead(offset + offsetOf(branch))
        else if (branch.type !== 'return') this.indirect ||= pageOf(offset) === 0
        if (branch.type === 'call' || (branch.kind === 'branch' && branch.condition)) this.lead(offset + 4)
        return
      }
      offset += 4
      if (offset % PAGE_SIZE === 0) this.leaders.add(offset)
    }
  }
}

const offsetOf = (branch: Extract<Code['branch'], { kind: 'branch' }>): number => branch.offset.small ?? 0
const pageOf = (offset: number): number => Math.floor(offset / PAGE_SIZE)

function makeBlock(leader: number, seen: Seen, leaders: ReadonlySet<number>): Block {
  const code: Code[] = []
  let end: BlockEnd | undefined
  let offset = leader
  while (!end) {
    const from = offset
    const edge = (target: number): Edge => ({
      offset: target,
      to: undefined,
      crossing: pageOf(target) !== pageOf(from),
    })
    const instruction = seen.get(offset)
    if (instruction === 'interpreter') {
      end = { kind: 'interpreter' }
      break
    }
    if (instruction === undefined) {
      end = { kind: 'goto', edge: edge(offset) }
      break
    }
    code.push(instruction)
    offset += 4
    const { branch } = instruction
    if (branch?.kind === 'jump') end = { kind: 'jump', edges: [], otherwise: undefined }
    else if (branch?.condition) end = { kind: 'branch', yes: edge(from + offsetOf(branch)), no: edge(offset) }
    else if (branch) end = { kind: 'goto', edge: edge(from + offsetOf(branch)) }
    else if (leaders.has(offset)) end = { kind: 'goto', edge: edge(offset) }
  }
  return newBlock(leader, code, end)
}

function newBlock(offset: number, code: readonly Code[], end: BlockEnd): Block {
  return {
    offset,
    code,
    end,
    order: -1,
    dominator: undefined,
    children: [],
    header: false,
    entries: 0,
    need: 0,
    flags: undefined,
  }
}

/** An edge from {@link BlockEnd}'s 'dispatch'. */
const toOffset = (offset: number): Edge => ({ offset, to: undefined, crossing: false })

/** Leads edges to their blocks, indirect branches to where they are told apart, and returns to where the region's calls have come from. */
function connect(blocks: ReadonlyMap<number, Block>, dispatch: Block | undefined): void {
  if (dispatch) for (const edge of edgesOf(dispatch)) edge.to = blocks.get(edge.offset)
  const returns = new Map<Block, Edge[]>()
  for (const block of blocks.values()) {
    const { end } = block
    for (const edge of edgesOf(block)) edge.to = blocks.get(edge.offset)
    const branch = block.code.at(-1)?.branch
    if (end.kind !== 'jump') continue
    if (branch?.type === 'return') returns.set(block, [])
    else if (dispatch) {
      const crossing = pageOf(endOf(block) - 4) !== 0
      Object.assign(block.end, { otherwise: { offset: 0, to: dispatch, crossing } satisfies Edge })
    }
  }
  for (const call of blocks.values()) {
    const behind = blocks.get(endOf(call))
    if (!isCall(call) || !behind) continue
    for (const block of withinFunctions(edgesOf(call), blocks)) {
      const edges = returns.get(block)
      if (!edges || edges.length === MAX_RETURNS || edges.some((edge) => edge.to === behind)) continue
      const crossing = pageOf(behind.offset) !== pageOf(endOf(block) - 4)
      edges.push({ offset: behind.offset, to: behind, crossing })
    }
  }
  for (const [block, edges] of returns) Object.assign(block.end, { edges })
}

const isCall = (block: Block): boolean => block.code.at(-1)?.branch?.type === 'call'

/** The blocks that the functions to which a call leads reach without following calls of their own. */
function withinFunctions(entries: readonly Edge[], blocks: ReadonlyMap<number, Block>): ReadonlySet<Block> {
  const reached = new Set<Block>()
  for (const { to } of entries) if (to) reached.add(to)
  for (const block of reached) {
    const next = isCall(block) ? [blocks.get(endOf(block))] : edgesOf(block).map((edge) => edge.to)
    for (const to of next) if (to) reached.add(to)
  }
  return reached
}

/**
 * Finds order, dominators and loops. Edges that lead back to a block that does not dominate them, as irreducible code has them, lead out of
 * the region from now on.
 *
 * @returns the blocks that can be reached, in reverse postorder.
 */
function structure(head: Block): Block[] {
  for (;;) {
    const order = reversePostorder(head)
    const entering = new Map<Block, Block[]>(order.map((block) => [block, []]))
    for (const block of order) for (const { to } of edgesOf(block)) if (to) entering.get(to)?.push(block)
    findDominators(order, entering)
    let cut = false
    for (const block of order) {
      for (const edge of edgesOf(block)) {
        if (!edge.to || edge.to.order > block.order || dominates(edge.to, block)) continue
        edge.to = undefined
        cut = true
      }
    }
    if (cut) continue
    for (const block of order) {
      block.dominator?.children.push(block)
      for (const { to } of edgesOf(block)) {
        if (!to) continue
        if (to.order <= block.order) to.header = true
        else to.entries++
      }
    }
    return order
  }
}

function reversePostorder(head: Block): Block[] {
  const order: Block[] = []
  const seen = new Set([head])
  const visit = (block: Block): void => {
    for (const { to } of edgesOf(block)) {
      if (!to || seen.has(to)) continue
      seen.add(to)
      visit(to)
    }
    order.push(block)
  }
  visit(head)
  order.reverse()
  order.forEach((block, i) => {
    block.order = i
  })
  return order
}

/** Cooper, Harvey and Kennedy's iteration over reverse postorder. */
function findDominators(order: readonly Block[], entering: ReadonlyMap<Block, readonly Block[]>): void {
  const [head, ...rest] = order
  for (const block of order) block.dominator = undefined
  const common = (a: Block, b: Block): Block => {
    let [x, y] = [a, b]
    while (x !== y) {
      while (x.order > y.order) x = x.dominator as Block
      while (y.order > x.order) y = y.dominator as Block
    }
    return x
  }
  head.dominator = head
  for (let changed = true; changed;) {
    changed = false
    for (const block of rest) {
      const from = (entering.get(block) ?? []).filter((other) => other.dominator)
      const dominator = from.reduce(common)
      if (block.dominator === dominator) continue
      block.dominator = dominator
      changed = true
    }
  }
  head.dominator = undefined
}

function dominates(a: Block, b: Block): boolean {
  let block: Block | undefined = b
  while (block && block.order > a.order) block = block.dominator
  return block === a
}

/** Computes {@link Block.need}: the budget is looked at where the region begins and at the head of each loop. */
function measure(order: readonly Block[]): void {
  for (const block of order.toReversed()) {
    const behind = edgesOf(block).map(({ to }) => (!to || to.header || to.order <= block.order ? 0 : to.need))
    block.need = block.code.length + Math.max(0, ...behind, block.end.kind === 'interpreter' ? 1 : 0)
  }
}

/** Computes {@link Block.flags}. Nothing is known where the region begins. */
function inferFlags(order: readonly Block[]): void {
  const unknown = Symbol('unknown')
  const states = new Map<Block, FlagKind | typeof unknown>([[order[0], unknown]])
  for (let changed = true; changed;) {
    changed = false
    for (const block of order) {
      const before = states.get(block)
      if (before === undefined) continue
      const after = block.code.reduce<FlagKind | typeof unknown>((state, { flags }) => flags ?? state, before)
      for (const { to } of edgesOf(block)) {
        if (!to) continue
        const known = states.get(to)
        if (known === after || known === unknown) continue
        states.set(to, known === undefined ? after : unknown)
        changed = true
      }
    }
  }
  for (const block of order) {
    const state = states.get(block)
    block.flags = typeof state === 'symbol' ? undefined : state
  }
}
