/** `kaal diff`: the first difference between two traces. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { EVENT_KINDS, type EventKind } from '../../replay/diff/events.js'
import { TraceReader } from '../../trace/reader.js'
import { engineOption } from '../engine.js'
import { Exit } from '../errors.js'
import { json, print, say } from '../output.js'
import { formatPosition } from '../positions.js'
import { Progress } from '../progress.js'
import { sourceReader } from '../source-files.js'
import { collect, readSymbols } from '../symbols.js'

interface DiffOptions {
  readonly events?: readonly EventKind[]
  readonly context: number
  readonly all?: boolean
  readonly json?: boolean
  readonly symbols: readonly string[]
  readonly source: readonly string[]
  readonly engine: Engine
}

/** What is compared of two kernels if nobody says. Where interrupts fall depends on timing, and so on every change. */
const DEFAULT_EVENTS: readonly EventKind[] = ['uart', 'exceptions', 'syscalls']

/** Adds the verb. */
export function addDiff(program: Command, exit: (code: number) => void): void {
  program
    .command('diff')
    .description('the first difference between two traces; exit 0 if there is none, 1 if there is')
    .argument('<a>')
    .argument('<b>')
    .option(
      '--events <kinds>',
      `compare these: ${EVENT_KINDS.join(', ')}, separated by commas; by default, of two kernels, ${DEFAULT_EVENTS.join(',')}`,
      parseEvents,
    )
    .option('--context <n>', 'events shown before and behind a difference', parseContext, 3)
    .option('--all', 'show all places where events differ, not only the first')
    .option('--symbols <elf>', 'an executable with symbols and line tables; may be given again', collect, [])
    .option('--source <folder>', 'where source files are looked for; may be given again', collect, [])
    .option('--json', 'the difference as JSON')
    .addOption(engineOption())
    .action(async (a: string, b: string, options: DiffOptions) => exit(await diff(a, b, options)))
}

async function diff(pathA: string, pathB: string, options: DiffOptions): Promise<number> {
  const symbols = readSymbols(options.symbols)
  const a = TraceReader.open(pathA)
  const progress = new Progress({ unit: 'instructions' })
  try {
    const b = TraceReader.open(pathB)
    try {
      // Loaded here, and not by the other verbs.
      const [traces, events, hunks, report, { machineWith }] = await Promise.all([
        import('../../replay/diff/traces.js'),
        import('../../replay/diff/events.js'),
        import('../../replay/diff/hunks.js'),
        import('../../replay/diff/report.js'),
        import('../../replay/divergence/side.js'),
      ])
      const onProgress = (icount: number) => progress.tell(`comparing, ${formatPosition(icount)}`)
      const make = machineWith(options.engine)
      const machines = { options: traces.differingOptions(a, b), images: traces.differingImages(a, b) }
      const sameKernel = machines.images.every(({ role }) => role !== 'kernel')
      const exact = sameKernel
        ? await traces.diffTraces(a, b, { make, symbols, readSource: sourceReader(options.source), onProgress })
        : undefined
      const kinds = options.events ?? (sameKernel ? undefined : DEFAULT_EVENTS)
      let compared
      if (kinds) {
        const lists = []
        for (const reader of [a, b]) lists.push(await events.guestEvents(reader, new Set(kinds), make, onProgress))
        compared = hunks.diffEvents(lists[0], lists[1], options.context)
      }
      progress.clear()
      const same = sameKernel ? exact === undefined : machines.options.length === 0 && compared?.hunks.length === 0
      if (options.json) {
        print(
          json({
            same,
            sameKernel,
            ...machines,
            ...(exact && { difference: exact }),
            ...(compared && { events: compared }),
          }),
        )
        return same ? Exit.GOOD : Exit.BAD
      }
      const lines = exact ? report.traceLines(exact) : report.describeMachines(machines.options, machines.images)
      if (compared) lines.push(...report.eventLines(compared, options.all === true))
      if (lines.length > 0) for (const line of [`--- ${pathA}`, `+++ ${pathB}`, ...lines]) print(line)
      if (same)
        say(
          sameKernel ? `${pathA} and ${pathB} are the same run` : `the kernels differ, but no ${kinds?.join(', ')} do`,
        )
      return same ? Exit.GOOD : Exit.BAD
    } finally {
      b.close()
    }
  } finally {
    progress.clear()
    a.close()
  }
}

function parseEvents(text: string): EventKind[] {
  return text.split(',').map((part) => {
    const kind = EVENT_KINDS.find((each) => each === part.trim())
    if (!kind) throw new InvalidArgumentError(`${part}: give some of ${EVENT_KINDS.join(', ')}`)
    return kind
  })
}

function parseContext(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('give a number from 0 to 9999')
  return Number(text)
}
