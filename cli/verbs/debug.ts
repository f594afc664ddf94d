/** `kaal debug T`: the time-travel debugger on a terminal, or on a script. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import type { Report } from '../../replay/debugger/command.js'
import type { Debugger } from '../../replay/debugger/debugger.js'
import { DebuggerError } from '../../replay/debugger/error.js'
import { TraceReader } from '../../trace/reader.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { megabytes, portNumber, serveGdb } from '../gdb.js'
import { json, print, say } from '../output.js'
import { sourceReader } from '../source-files.js'

interface Flags {
  readonly gdb?: number
  readonly checkpointMemory?: number
  readonly command?: string
  readonly e: readonly string[]
  readonly symbols: readonly string[]
  readonly source: readonly string[]
  readonly json?: boolean
  readonly engine: Engine
}

/** Adds the verb. */
export function addDebug(program: Command, exit: (code: number) => void): void {
  const command: Command = program
    .command('debug <trace>')
    .description('look around in a trace, forwards and backwards; help explains the commands')
    .option('--gdb <port>', 'wait on 127.0.0.1 for gdb instead; 0 for any free port', portNumber)
    .option('--checkpoint-memory <MB>', 'memory for states that make going back quick, by default 512', megabytes)
    .option('-x, --command <file>', 'carry out the commands in a file, and leave')
    .option('-e <command>', 'carry out a command, and leave; may be given again', collect, [])
    .option('--symbols <elf>', 'an executable with symbols and line tables; may be given again', collect, [])
    .option('--source <folder>', 'where source files are looked for; may be given again', collect, [])
    .option('--json', 'print a line of JSON for each command')
    .addOption(engineOption())
  command.action(async (path: string, flags: Flags) => {
    const { gdb, checkpointMemory, command: file, e } = flags
    const timeline = checkpointMemory === undefined ? {} : { checkpointMemory }
    if (gdb !== undefined && (file !== undefined || e.length > 0))
      throw new UsageError('--gdb and a script exclude each other: give commands to gdb instead')
    if (gdb !== undefined) return exit(await serveGdb(path, gdb, flags.engine, timeline))
    const script = file === undefined ? [] : scriptLines(file)
    const symbols = flags.symbols.map((name) => ({ name, bytes: readNamed(name) }))
    const reader = TraceReader.open(path)
    const show = flags.json ? asJson : (_: string, { lines }: Report) => lines
    try {
      // Loaded here, and not by those who record: a module costs half a millisecond.
      const { Debugger: Session } = await import('../../replay/debugger/debugger.js')
      const debug = new Session(reader, { ...timeline, symbols, readSource: sourceReader(flags.source), warn: say })
      debug.timeline.machine.cpu.setEngine(flags.engine)
      if (file === undefined && e.length === 0) {
        if (process.stdin.isTTY) {
          const { converse } = await import('../terminal.js')
          await converse(debug, show)
          return exit(Exit.GOOD)
        }
        const { text: readAll } = await import('node:stream/consumers')
        const lines = linesOf(await readAll(process.stdin), (n) => `standard input, line ${n}`)
        return exit(await runScript(debug, lines, show))
      }
      const given = e.map((line, n) => ({ line, where: `-e, command ${n + 1}` }))
      return exit(await runScript(debug, [...script, ...given], show))
    } finally {
      reader.close()
    }
  })
}

interface ScriptLine {
  readonly line: string
  readonly where: string
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value]

const readNamed = (path: string): Uint8Array => {
  try {
    return readFileSync(path)
  } catch (error) {
    // Some of Node's errors (a directory, for one) do not carry the path.
    throw Object.assign(error as Error, { path })
  }
}

const scriptLines = (path: string): ScriptLine[] =>
  linesOf(Buffer.from(readNamed(path)).toString(), (n) => `${path}, line ${n}`)

const linesOf = (text: string, where: (n: number) => string): ScriptLine[] =>
  text.split(/\r?\n/).map((line, n) => ({ line, where: where(n + 1) }))

/** A command and what it gave as a line of JSON. */
const asJson = (command: string, { lines, data }: Report): string[] => [
  json({ command: command.trim(), ...(data ?? { lines }) }, true),
]

/** Carries out commands until one fails. */
async function runScript(
  debug: Debugger,
  lines: readonly ScriptLine[],
  show: (command: string, report: Report) => readonly string[],
): Promise<number> {
  const interrupt = () => debug.timeline.interrupt()
  process.on('SIGINT', interrupt)
  try {
    for (const { line, where } of lines) {
      try {
        const report = await debug.run(line)
        if (report) for (const output of show(line, report)) print(output)
      } catch (error) {
        if (error instanceof DebuggerError) throw new UsageError(`${where}: ${error.message}`)
        throw error
      }
      if (debug.lastStop === 'interrupted') throw new UsageError(`${where}: interrupted`)
      if (debug.finished) break
    }
    return Exit.GOOD
  } finally {
    process.off('SIGINT', interrupt)
  }
}
