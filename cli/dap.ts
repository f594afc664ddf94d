/** A debug adapter session on standard input and output. */
import type { Engine } from '../cpu/translator/translator.js'
import { DapSession } from '../replay/dap/session.js'
import { SourceFiles } from '../replay/dap/stack.js'
import { Debugger } from '../replay/debugger/debugger.js'
import { TraceReader } from '../trace/reader.js'
import { explain } from './errors.js'
import { sourceFinder, sourceReader } from './source-files.js'
import { readSymbols } from './symbols.js'

/** Serves one client until it leaves. */
export function serveDap(engine: Engine): Promise<void> {
  return new Promise((resolve) => {
    const session = new DapSession({
      open(trace, symbols, source) {
        const files = readSymbols(symbols)
        const reader = TraceReader.open(trace)
        try {
          const debug = new Debugger(reader, { symbols: files, readSource: sourceReader(source) })
          debug.timeline.machine.cpu.setEngine(engine)
          return { reader, debug, files: new SourceFiles(sourceFinder(source)) }
        } catch (error) {
          reader.close()
          throw error
        }
      },
      explain: (error) => explain(error).line,
      ended() {
        process.stdin.destroy()
        resolve()
      },
    })
    session.start(process.stdin, process.stdout)
    process.stdin.on('end', () => session.emit('close'))
  })
}
