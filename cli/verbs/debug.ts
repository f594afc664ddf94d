/** `kaal debug`: looks around in a trace, forwards and backwards. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { Debugger } from '../../replay/debugger/debugger.js'
import { CommandError } from '../../replay/debugger/expression.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'
import { Exit, UsageError } from '../errors.js'
import { print, say } from '../output.js'

/** Adds the verb. */
export function addDebug(program: Command, exit: (code: number) => void): void {
  program
    .command('debug')
    .description('look around in a trace: step, reverse-step, break, continue, reverse-continue …')
    .argument('<trace>')
    .option('-x, --script <file>', 'run the commands in a file, then end')
    .option('-e, --execute <command>', 'run a command (may be given several times), then end', gather, [])
    .action(async (path: string, options: { script?: string; execute: string[] }) => exit(await debug(path, options)))
}

const gather = (command: string, before: string[]): string[] => [...before, command]

async function debug(path: string, options: { script?: string; execute: string[] }): Promise<number> {
  const reader = TraceReader.open(path)
  try {
    const timeline = new Timeline(reader)
    const session = new Debugger(timeline, reader, print)
    const script = [...(options.script === undefined ? [] : linesOf(options.script)), ...options.execute]
    if (options.script !== undefined || options.execute.length > 0)
      return await runScript(session, script, options.script ?? '-e')
    if (!process.stdin.isTTY) return await runScript(session, linesOf('/dev/stdin'), 'stdin')
    return await converse(session, timeline)
  } finally {
    reader.close()
  }
}

const linesOf = (path: string): string[] => readFileSync(path === '/dev/stdin' ? 0 : path, 'utf8').split('\n')

/** Runs commands until one fails or says to quit. */
async function runScript(session: Debugger, lines: readonly string[], name: string): Promise<number> {
  for (const [i, line] of lines.entries()) {
    try {
      if (!(await session.execute(line))) break
    } catch (error) {
      if (error instanceof CommandError || error instanceof RangeError)
        throw new UsageError(`${name}: line ${i + 1}: ${error.message}`)
      throw error
    }
  }
  return Exit.GOOD
}

/** Talks with a person on a terminal: history, completion, Ctrl-C to interrupt a long run. */
async function converse(session: Debugger, timeline: Timeline): Promise<number> {
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: '(kaal) ',
    completer: (line: string) => [session.complete(line), line.split(/\s+/).at(-1) ?? ''],
  })
  terminal.on('SIGINT', () => {
    timeline.interrupt()
    terminal.prompt()
  })
  await session.execute('when')
  terminal.prompt()
  let last = ''
  for await (const line of terminal) {
    // As in gdb, an empty line repeats the command before it.
    const command = line.trim() === '' ? last : line
    last = command
    try {
      if (!(await session.execute(command))) break
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof RangeError)) throw error
      say(error.message)
    }
    terminal.prompt()
  }
  terminal.close()
  return Exit.GOOD
}
