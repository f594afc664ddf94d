/** Colours for the debugger's lines, on a terminal that wants them (https://no-color.org). */
import type { WriteStream } from 'node:tty'

/** Whether a stream gets colours: a terminal that can show them, and nobody has set NO_COLOR. */
export function wantsColours(stream: Pick<WriteStream, 'isTTY'>): boolean {
  return stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

const style = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const bold = style(1)
const faint = style(2)
const red = style(31)
const green = style(32)
const yellow = style(33)
const cyan = style(36)

/** A line of the debugger in colours: positions, names, marks, source places and reasons to stop. */
export function coloured(line: string): string {
  if (/^(breakpoint|watchpoint|catchpoint)\b(?!.* at )/.test(line)) return yellow(line)
  if (/^(start|end) of the trace$|^interrupted$/.test(line)) return yellow(line)
  if (/^ {4}<exception: /.test(line)) return red(line)
  if (/^ {4}\(/.test(line)) return faint(line)
  return line
    .replace(/^[\d_]+(?= {2}0x)/, bold)
    .replace(/^=> /, green)
    .replaceAll(/ <(?=[^ ])[^\n]*?[^-]>(?=$|[ :,])/g, cyan)
    .replace(/(?<=^| at )[^\s:]+\.\w+:\d+/, green)
}

/** A line of diagnostics in colours. */
export const alarming = red
