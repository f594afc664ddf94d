/** `kaal debug T`: the time-travel debugger on a terminal, or on a script. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import type { Debugger } from '../../replay/debugger/debugger.js'
import { DebuggerError } from '../../replay/debugger/error.js'
import { TraceReader } from '../../trace/reader.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { print, say } from '../output.js'

interface Flags {
  readonly x?: string
  readonly e: readonly string[]
  readonly engine: Engine
}

/** Adds the verb. */
export function addDebug(program: Command, exit: (code: number) => void): void {
  const command: Command = program
    .command('debug <trace>')
    .description('look around in a trace, forwards and backwards; help explains the commands')
    .option('-x <file>', 'carry out the commands in a file, and leave')
    .option('-e <command>', 'carry out a command, and leave; may be given again', collect, [])
    .addOption(engineOption())
  command.action(async (path: string, { x, e, engine }: Flags) => {
    const script = x === undefined ? [] : scriptLines(x)
    const reader = TraceReader.open(path)
    try {
      // Loaded here, and not by those who record: a module costs half a millisecond.
      const { Debugger: Session } = await import('../../replay/debugger/debugger.js')
      const debug = new Session(reader)
      debug.timeline.machine.cpu.setEngine(engine)
      if (x === undefined && e.length === 0) {
        if (process.stdin.isTTY) return exit(await converse(debug))
        const { text: readAll } = await import('node:stream/consumers')
        const lines = linesOf(await readAll(process.stdin), (n) => `standard input, line ${n}`)
        return exit(await runScript(debug, lines))
      }
      const given = e.map((line, n) => ({ line, where: `-e, command ${n + 1}` }))
      return exit(await runScript(debug, [...script, ...given]))
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

const scriptLines = (path: string): ScriptLine[] => linesOf(readFileSync(path, 'utf8'), (n) => `${path}, line ${n}`)

const linesOf = (text: string, where: (n: number) => string): ScriptLine[] =>
  text.split(/\r?\n/).map((line, n) => ({ line, where: where(n + 1) }))

/** Carries out commands until one fails. */
async function runScript(debug: Debugger, lines: readonly ScriptLine[]): Promise<number> {
  const interrupt = () => debug.timeline.interrupt()
  process.on('SIGINT', interrupt)
  try {
    for (const { line, where } of lines) {
      try {
        for (const output of await debug.execute(line)) print(output)
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

/** Asks for commands until `quit` or Ctrl-D. An empty line repeats the last command. */
async function converse(debug: Debugger): Promise<number> {
  const { createInterface } = await import('node:readline')
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: '(kaal) ',
    completer: (line: string) => debug.complete(line),
    historySize: 1000,
    removeHistoryDuplicates: true,
  })
  let running = false
  terminal.on('SIGINT', () => {
    if (running) return debug.timeline.interrupt()
    terminal.write(null, { ctrl: true, name: 'e' })
    terminal.write(null, { ctrl: true, name: 'u' })
    terminal.prompt()
  })
  process.on('SIGINT', () => debug.timeline.interrupt())
  print(debug.here())
  let last = ''
  terminal.prompt()
  for await (const line of terminal) {
    const command = line.trim() === '' ? last : line
    last = command
    running = true
    try {
      for (const output of await debug.execute(command)) print(output)
    } catch (error) {
      if (!(error instanceof DebuggerError)) throw error
      say(error.message)
    } finally {
      running = false
    }
    if (debug.finished) break
    terminal.prompt()
  }
  if (!debug.finished) print('')
  terminal.close()
  return Exit.GOOD
}
