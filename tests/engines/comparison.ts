/** Two processors that run the same program with different engines, compared wherever they stop. */
import { PAGE_SIZE, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import { UnsupportedFeature } from '../../cpu/processor.js'
import type { Engine } from '../../cpu/translator/translator.js'
import type { Random } from '../cpu/words.js'
import { numbered } from './items.js'
import { IMAGE_SIZE, Physical, type Program, type Recipe, Virtual, makeProgram } from './programs.js'
import { Subject } from './subject.js'

/** What is compared: a guest, the engine that must agree with the interpreter, and where they stop. */
export interface Case extends Recipe {
  readonly engine: Engine
  readonly threshold: number
  /** A number for each stop: how far it is from the last, and what is done there. */
  readonly stops: readonly number[]
  /** What is done where they stop. */
  readonly actions: keyof typeof ACTIONS
}

const START = BigInt(RAM_PHYSICAL)

/** Reference and tested processor, used again for each case. */
export class Comparison {
  readonly reference = new Subject()
  readonly tested = new Subject()
  /** How often what has been done, over all cases. */
  readonly done = new Map<string, number>()
  programs = 0
  instructions = 0
  /** Programs that ended early because they asked for something that is not modelled. */
  unsupported = 0

  constructor() {
    this.reference.cpu.setEngine('interpreter')
  }

  /**
   * Runs a case.
   *
   * @throws {Error} with the program and the first difference, if there is one.
   */
  run(each: Case): void {
    const program = makeProgram(each)
    this.tested.cpu.setEngine(each.engine, each.threshold)
    for (const subject of this.both) subject.load(program.image, program.prepare)
    this.programs++
    let position = 0
    const trail: string[] = []
    for (const stop of each.stops) {
      const random = numbered(stop)
      const count = 1 + random.below([3, 12, 60, 300, 1500][random.below(5)])
      const failures = this.both.map((subject) => attempt(() => subject.run(count)))
      position += count
      this.instructions += count
      const [expected, found] = failures
      const difference = expected === found ? this.tested.differsFrom(this.reference) : `${found}, not ${expected}`
      // An exception out of the middle of an instruction ends a machine, and leaves it in no defined state.
      if (expected !== undefined && expected === found) {
        this.unsupported++
        return
      }
      if (difference !== undefined) throw new Error(this.report(each, program, position, count, trail, difference))
      trail.push(`${position}: ${this.act(each, random, program)}`)
    }
  }

  private get both(): readonly Subject[] {
    return [this.reference, this.tested]
  }

  /** Does something between two stops; most of it to both. */
  private act(each: Case, random: Random, program: Program): string {
    const { tested, both } = this
    const actions = ACTIONS[each.actions]
    const what = actions[random.below(actions.length)]
    this.done.set(what, (this.done.get(what) ?? 0) + 1)
    switch (what) {
      case 'flush':
        tested.cpu.flushTranslations()
        break
      case 'engine':
        tested.cpu.setEngine(random.below(2) ? 'translator' : 'hybrid', 1 + random.below(30))
        break
      case 'breakpoints': {
        const { blocks } = program
        const chosen = Array.from({ length: random.below(4) }, () => {
          const alias = random.below(3) ? 0 : (Virtual.ALIAS - Virtual.CODE) * PAGE_SIZE
          return blocks[random.below(blocks.length)] + BigInt(alias + 4 * random.below(6))
        })
        for (const { cpu } of both) {
          cpu.setBreakpoints(chosen)
          cpu.ignoreBreakpoints = false
        }
        break
      }
      case 'ignore':
        for (const { cpu } of both) cpu.ignoreBreakpoints = !cpu.ignoreBreakpoints
        break
      case 'watch': {
        const address = this.reference.cpu.state.x[16 + random.below(4)]
        const kind = (['read', 'write', 'access'] as const)[random.below(3)]
        const chosen = random.below(4) && address < 2n ** 63n ? [{ address, length: 1 + random.below(40), kind }] : []
        for (const subject of both) subject.watch(chosen)
        break
      }
      case 'collect': {
        const collect = random.below(2) === 0
        for (const { cpu } of both) {
          cpu.mmu.writtenPages = collect ? new Set() : undefined
          cpu.mmu.watchWrites()
        }
        break
      }
      case 'alignment':
        // As if SCTLR_EL1.A had been written.
        for (const { cpu } of both) {
          cpu.state.sctlr_el[1] ^= 2n
          cpu.translationChanged()
        }
        break
      case 'interrupt': {
        const kind = random.below(2) ? 'irq' : 'fiq'
        for (const subject of both) subject.interrupt(kind)
        break
      }
      case 'poke': {
        const physical = (Physical.CODE + random.below(Physical.DATA)) * PAGE_SIZE + random.below(100) * 8
        const value = (BigInt(0xd503201f) << 32n) | BigInt(random.next())
        for (const subject of both) subject.poke(Number(START) + physical, value)
        break
      }
      case 'move': {
        const block = program.blocks[random.below(program.blocks.length)]
        for (const { cpu } of both) cpu.state.pc = block
        break
      }
      case 'save':
        for (const subject of both) subject.save(IMAGE_SIZE)
        break
      case 'restore':
        for (const subject of both) subject.restore()
        break
      case 'nothing':
        break
    }
    return what
  }

  private report(
    each: Case,
    program: Program,
    position: number,
    count: number,
    trail: readonly string[],
    difference: string,
  ): string {
    const { pc } = this.reference.cpu.state
    return [
      `${difference} (at ${position}, ${count} after the last stop, interpreter's pc 0x${pc.toString(16)})`,
      JSON.stringify(each),
      trail.join('; '),
      `last events: ${this.tested.events.slice(-4).join(' | ')}, not ${this.reference.events.slice(-4).join(' | ')}`,
      program.listing(),
    ].join('\n')
  }
}

type Action =
  | 'nothing'
  | 'flush'
  | 'engine'
  | 'breakpoints'
  | 'ignore'
  | 'watch'
  | 'collect'
  | 'alignment'
  | 'interrupt'
  | 'poke'
  | 'move'
  | 'save'
  | 'restore'

const many = (count: number, action: Action): Action[] => Array.from({ length: count }, () => action)

/** What is done between two stops, each as often as it stands there. */
const ACTIONS = {
  few: [
    ...many(14, 'nothing'),
    'flush',
    'engine',
    ...many(2, 'alignment'),
    ...many(2, 'interrupt'),
    ...many(4, 'move'),
  ],
  moves: [...many(30, 'move'), 'flush', 'interrupt'],
  debugger: [
    ...many(8, 'nothing'),
    ...many(6, 'breakpoints'),
    ...many(2, 'watch'),
    ...many(2, 'collect'),
    ...many(2, 'restore'),
    'ignore',
    'save',
    'poke',
    'flush',
    'move',
    'move',
    'interrupt',
  ],
} as const satisfies Record<string, readonly Action[]>

function attempt(action: () => void): string | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    if (error instanceof UnsupportedFeature) return error.message
    throw error
  }
}
