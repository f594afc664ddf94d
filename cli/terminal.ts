/** The debugger's conversation on a terminal: prompt, history, completion, colours. */
import { createInterface } from 'node:readline'
import type { Debugger } from '../replay/debugger/debugger.js'
import { DebuggerError } from '../replay/debugger/error.js'
import type { Report } from '../replay/debugger/command.js'
import { alarming, coloured, wantsColours } from './colours.js'
import { HISTORY_SIZE, historyFile, readHistory, writeHistory } from './history.js'
import { print, say } from './output.js'

/** Asks for commands until `quit` or Ctrl-D. An empty line repeats the last command; Ctrl-C stops what runs. */
export async function converse(
  debug: Debugger,
  show: (command: string, report: Report) => readonly string[],
): Promise<void> {
  const file = historyFile()
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: '(kaal) ',
    completer: (line: string) => debug.complete(line),
    history: readHistory(file),
    historySize: HISTORY_SIZE,
    removeHistoryDuplicates: true,
  })
  terminal.on('history', (lines) => writeHistory(file, lines))
  let running = false
  const interrupt = () => debug.timeline.interrupt()
  terminal.on('SIGINT', () => {
    if (running) return interrupt()
    terminal.write(null, { ctrl: true, name: 'e' })
    terminal.write(null, { ctrl: true, name: 'u' })
    terminal.prompt()
  })
  process.on('SIGINT', interrupt)
  const paint = wantsColours(process.stdout) ? coloured : (line: string) => line
  const warn = wantsColours(process.stderr) ? alarming : (line: string) => line
  const output = (command: string, report: Report) => {
    for (const line of show(command, report)) print(paint(line))
  }
  output('when', debug.here())
  let last = ''
  terminal.prompt()
  for await (const line of terminal) {
    const command = line.trim() === '' ? last : line
    last = command
    running = true
    try {
      const report = await debug.run(command)
      if (report) output(command, report)
    } catch (error) {
      if (!(error instanceof DebuggerError)) throw error
      say(warn(error.message))
    } finally {
      running = false
    }
    if (debug.finished) break
    terminal.prompt()
  }
  if (!debug.finished) print('')
  terminal.close()
  process.off('SIGINT', interrupt)
}
