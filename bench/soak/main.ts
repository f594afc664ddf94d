/** `npm run soak`: all guests in a loop in one process, to see whether results stay right and memory constant. */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ENGINES, type Engine } from '../../cpu/translator/translator.js'
import { GUESTS, type Guest, images } from '../guests.js'
import { describeHost, hostLine } from '../host.js'
import { guestsNamed } from '../options.js'
import { grouped } from '../report/table.js'
import { Soak } from './loop.js'
import { LEAST_LOOPS, TOLERANCE, judgeMemory, mean } from './memory.js'

/** The project's folder, seen from dist/bench/soak/. */
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url))
const MINUTE = 60_000
const FAILED = 1
const TROUBLE = 255

const USAGE = `usage: npm run soak -- [options]

  --minutes N     how long (default 10); the loop that runs then is finished
  --guests A,B    of ${GUESTS.map(({ name }) => name).join(', ')} (default all)
  --engine E      ${ENGINES.join(', ')} (default hybrid)
  --seed N        of the schedule by which translations are thrown away (default 1)
  --help

Exits with 1 if a result is wrong, or if resident memory in the last third of the loops is more than ${TOLERANCE * 100}% above that in the middle third.`

interface Options {
  readonly minutes: number
  readonly guests: readonly Guest[]
  readonly engine: Engine
  readonly seed: number
}

function parse(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '10' },
      guests: { type: 'string', default: GUESTS.map(({ name }) => name).join(',') },
      engine: { type: 'string', default: 'hybrid' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
  if (!(minutes > 0 && minutes < Infinity)) throw new Error(`--minutes ${values.minutes}: not a time`)
  if (!Number.isInteger(seed) || seed < 1 || seed >= 2 ** 31)
    throw new Error(`--seed ${values.seed}: not a number from 1 to 2^31-1`)
  const engine = ENGINES.find((name) => name === values.engine)
  if (engine === undefined) throw new Error(`--engine ${values.engine}: there are ${ENGINES.join(', ')}`)
  return { minutes, guests: guestsNamed(values.guests), engine, seed }
}

const mebibytes = (bytes: number): string => `${grouped(Math.round(bytes / 2 ** 20))} MiB`

/** What has happened since the last line that was printed. */
class Minutes {
  private begun = performance.now()
  private number = 0
  private instructions = 0
  private rss: number[] = []

  add(instructions: number, rss: number): void {
    this.instructions += instructions
    this.rss.push(rss)
  }

  /** Prints a line if a minute has passed. */
  tick(loop: number, flushes: number): void {
    const seconds = (performance.now() - this.begun) / 1000
    if (seconds * 1000 < MINUTE) return
    this.number++
    const { heapUsed, external } = process.memoryUsage()
    const peak = process.resourceUsage().maxRSS * 1024
    console.log(
      `minute ${this.number}: loop ${loop}, ${Math.round(this.instructions / seconds / 1e6)} MIPS, ` +
        `RSS ${mebibytes(mean(this.rss))} (peak ${mebibytes(peak)}), heap ${mebibytes(heapUsed)}, external ${mebibytes(external)}, ` +
        `${grouped(flushes)} flushes`,
    )
    this.begun = performance.now()
    this.instructions = 0
    this.rss = []
  }
}

async function soak({ minutes, guests, engine, seed }: Options, collect: () => void): Promise<number> {
  console.log(`${hostLine(describeHost('qemu-system-aarch64'))}\n${engine}, seed ${seed}`)
  const paths = images(PROJECT, guests)
  const runs = new Soak(engine, seed)
  const printed = new Minutes()
  const loops: number[] = []
  const end = performance.now() + minutes * MINUTE
  let instructions = 0
  while (performance.now() < end) {
    const rss: number[] = []
    for (const guest of guests) {
      const done = await runs.run(guest, paths.get(guest.name) ?? '', () => rss.push(process.memoryUsage.rss()))
      instructions += done.instructions
      printed.add(done.instructions, rss[rss.length - 1])
      printed.tick(loops.length + 1, runs.schedule.flushes)
      // A machine's memory is outside the heap, whose collector does not see that it is large.
      collect()
    }
    loops.push(mean(rss))
  }
  const { flushes } = runs.schedule
  console.log(
    `${loops.length} loops of ${guests.length} guests, ${grouped(instructions)} instructions, ${grouped(flushes)} flushes: all results right.`,
  )
  console.log(`RSS by loop: ${loops.map(mebibytes).join(', ')}`)
  const verdict = judgeMemory(loops)
  if (!verdict) {
    console.log(`Too few loops to judge memory: it takes ${LEAST_LOOPS}. Give more --minutes, or fewer --guests.`)
    return FAILED
  }
  const { middle, last, constant } = verdict
  const change = `${last >= middle ? '+' : ''}${((last / middle - 1) * 100).toFixed(1)}%`
  console.log(
    `RSS, middle third ${mebibytes(middle)}, last third ${mebibytes(last)} (${change}): ${constant ? 'constant' : 'GROWING'}.`,
  )
  return constant ? 0 : FAILED
}

async function main(): Promise<number> {
  let options
  try {
    options = parse(process.argv.slice(2))
  } catch (error) {
    console.error(`soak: ${(error as Error).message}`)
    return TROUBLE
  }
  if (!options) {
    console.log(USAGE)
    return 0
  }
  const collect = globalThis.gc
  if (!collect) {
    console.error('soak: run it with `node --expose-gc`, as `npm run soak` does')
    return TROUBLE
  }
  try {
    return await soak(options, () => collect())
  } catch (error) {
    console.error(`soak: ${(error as Error).message}`)
    return FAILED
  }
}

process.exitCode = await main()
