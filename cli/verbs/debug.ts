/** `kaal debug T`: the time-travel debugger on a terminal, or on a script. */
import { createInterface } from 'node:readline'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { Debugger } from '../../replay/debugger/debugger.js'
import { DebuggerError } from '../../replay/debugger/error.js'
import { TraceReader } from '../../trace/reader.js'
import { type ExitCode, Exit, UsageError, explainError } from '../errors.js'
import { readInputFile } from '../files.js'
import { bold, out, say } from '../output.js'
import { type AddVerb, warnUnfinished } from './verb.js'

interface Flags {
  readonly x?: string
  readonly e: readonly string[]
}

export const addDebug: AddVerb = (program, done) => {
  const command: Command = program
    .command('debug <trace>')
    .description('look around in a trace, forwards and backwards; help explains the commands')
    .option('-x <file>', 'carry out the commands in a file, and leave')
    .option('-e <command>', 'carry out a command, and leave; may be given again', collect, [])
  command.action(async (path: string, { x, e }: Flags) => {
    const script = x === undefined ? [] : scriptLines(x)
    const reader = TraceReader.open(path)
    try {
      warnUnfinished(reader)
      const debug = new Debugger(reader)
      if (x === undefined && e.length === 0) {
        if (process.stdin.isTTY) return done(await converse(debug))
        const lines = linesOf(await readAll(process.stdin), (n) => `standard input, line ${n}`)
        return done(await runScript(debug, lines))
      }
      const given = e.map((line, n) => ({ line, where: `-e, command ${n + 1}` }))
      return done(await runScript(debug, [...script, ...given]))
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

const scriptLines = (path: string): ScriptLine[] =>
  linesOf(new TextDecoder().decode(readInputFile(path)), (n) => `${path}, line ${n}`)

const linesOf = (text: string, where: (n: number) => string): ScriptLine[] =>
  text.split(/\r?\n/).map((line, n) => ({ line, where: where(n + 1) }))

/** Carries out commands until one fails. */
async function runScript(debug: Debugger, lines: readonly ScriptLine[]): Promise<ExitCode> {
  const interrupt = () => debug.timeline.interrupt()
  process.on('SIGINT', interrupt)
  try {
    for (const { line, where } of lines) {
      try {
        for (const output of await debug.execute(line)) out.line(output)
      } catch (error) {
        await out.drain()
        if (error instanceof DebuggerError) throw new UsageError(`${where}: ${error.message}`)
        throw error
      }
      if (debug.lastStop === 'interrupted') throw new UsageError(`${where}: interrupted`)
      if (debug.finished || out.closed) break
    }
    return Exit.GOOD
  } finally {
    process.off('SIGINT', interrupt)
  }
}

/** Asks for commands until `quit` or Ctrl-D. An empty line repeats the last command. */
async function converse(debug: Debugger): Promise<ExitCode> {
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: `${bold('(kaal)')} `,
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
  out.line(debug.here())
  let last = ''
  await out.drain()
  terminal.prompt()
  for await (const line of terminal) {
    const command = line.trim() === '' ? last : line
    last = command
    running = true
    try {
      for (const output of await debug.execute(command)) out.line(output)
    } catch (error) {
      say(explainError(error))
      if (!(error instanceof DebuggerError)) return Exit.FAULT
    } finally {
      running = false
    }
    await out.drain()
    if (debug.finished || out.closed) break
    terminal.prompt()
  }
  if (!debug.finished) out.line('')
  terminal.close()
  return Exit.GOOD
}
