/** Names for the addresses in a trace, from the kernel image that it holds. */
import { isElf, readElf } from '../devices/loader/elf.js'
import { LoadError } from '../devices/loader/load-error.js'
import { Names } from '../replay/debugger/names.js'
import type { TraceReader } from '../trace/reader.js'

/** The names of a trace's kernel; none if it has no symbols. */
export function traceNames(reader: TraceReader): Names {
  for (const { role, name, bytes } of reader.images()) {
    if (role !== 'kernel' || !isElf(bytes)) continue
    try {
      return new Names(readElf(bytes, name).symbols)
    } catch (error) {
      if (!(error instanceof LoadError)) throw error
    }
  }
  return new Names()
}
