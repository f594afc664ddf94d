/** Stack frames and source files as a client shows them. */
import type { DebugProtocol } from '@vscode/debugprotocol'
import { backtrace } from '../debugger/backtrace.js'
import type { Debugger } from '../debugger/debugger.js'
import { demangle } from '../debugger/demangle.js'

/** Source files of the host, by the paths that a compiler knew them by. */
export class SourceFiles {
  private readonly find: (path: string) => string | undefined
  private readonly found = new Map<string, string | undefined>()

  /** @param find gives a file's absolute path on this host; undefined if it is not there. */
  constructor(find: (path: string) => string | undefined) {
    this.find = find
  }

  /** A source as a client knows it. */
  source(path: string): DebugProtocol.Source {
    if (!this.found.has(path)) this.found.set(path, this.find(path))
    const there = this.found.get(path)
    const name = path.slice(path.lastIndexOf('/') + 1)
    return there === undefined
      ? { name, path, presentationHint: 'deemphasize', origin: 'not on this host' }
      : { name, path: there }
  }

  /** All that are known to line tables. */
  all(paths: readonly string[]): DebugProtocol.Source[] {
    return [...new Set(paths)].map((path) => this.source(path))
  }

  /** The path that a compiler knew a client's file by: the longest that the client's path ends with. */
  known(path: string, paths: readonly string[]): string | undefined {
    const wanted = path.replaceAll('\\', '/')
    const fitting = paths.filter((each) => wanted === each || wanted.endsWith(`/${each}`))
    return fitting.toSorted((a, b) => b.length - a.length)[0]
  }
}

/** The frames from `start` on, `levels` of them or all. Functions inlined into a frame have frames of their own. */
export function stackFrames(debug: Debugger, files: SourceFiles, start: number, levels: number): object {
  const { names, sources, timeline } = debug
  const frames: DebugProtocol.StackFrame[] = []
  const chain = backtrace({
    state: timeline.machine.cpu.state,
    read: debug.read,
    startOf: (address) => names.find(address)?.address,
    recorded: (elr) => debug.recordedException(elr),
  })
  for (const frame of chain) {
    const id = frames.length
    if (frame.kind !== 'code') {
      const name = frame.kind === 'exception' ? `<exception: ${frame.what}>` : `(${frame.why})`
      frames.push({ id, name, line: 0, column: 0, presentationHint: 'label' })
      continue
    }
    const instructionPointerReference = `0x${frame.pc.toString(16)}`
    const functions = sources.frames(frame.at)
    if (functions.length === 0)
      frames.push({
        id,
        name: debug.place(frame.pc),
        line: 0,
        column: 0,
        instructionPointerReference,
        presentationHint: 'subtle',
      })
    for (const { name, file, line, column } of functions) {
      const known = name === undefined ? debug.place(frame.pc) : demangle(name)
      const place =
        line > 0 ? { line, column: Math.max(column, 1), source: files.source(file) } : { line: 0, column: 0 }
      frames.push({ id: frames.length, name: known, ...place, instructionPointerReference })
    }
  }
  const end = levels > 0 ? start + levels : undefined
  return { stackFrames: frames.slice(start, end), totalFrames: frames.length }
}
