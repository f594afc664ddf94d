/**
 * What a sample of the profiler is: a table from frames to kinds of work.
 *
 * A sample is what the nearest frame that the table knows says, from the innermost one outwards. So helpers that several parts share, Node's
 * own code and native functions stand in no row: they count for whoever called them.
 */

/** A frame as V8's profiler gives it. */
export interface Frame {
  readonly functionName: string
  readonly url: string
}

/** Kinds of work, in the order of the report. */
export const KINDS = [
  'interpreter',
  'regions',
  'engine switch',
  'decoding',
  'translation',
  'TLB refill',
  'MMIO, devices',
  'system, exceptions',
  'run loop',
  'digests',
  'snapshots',
  'trace, SQLite',
  'guest output',
  'start-up',
  'garbage collection',
  'rest',
] as const
/** One of {@link KINDS}. */
export type Kind = (typeof KINDS)[number]

interface Row {
  readonly kind: Kind
  /** Matches the file, from the project's folder on and without its ending, or `wasm:NAME` for a module. */
  readonly file: RegExp
  /** Only functions of this name. */
  readonly name?: RegExp
}

/** The first row that matches counts. */
const TABLE: readonly Row[] = [
  // Code for the guest's instructions, and the modules around it (bench/profile/naming.ts)
  { kind: 'interpreter', file: /^wasm:interpreter$/ },
  { kind: 'regions', file: /^wasm:regions$/ },
  { kind: 'engine switch', file: /^wasm:hub$/ },
  { kind: 'digests', file: /^wasm:hash$/ },

  // Making that code
  { kind: 'translation', file: /^cpu\/translator\/refill$/, name: /^accessFunction$/ },
  { kind: 'translation', file: /^cpu\/translator\// },
  { kind: 'start-up', file: /^cpu\/processor$/, name: /^(interpreterCode|interpreter|runner)$/ },
  { kind: 'start-up', file: /^cpu\/interpreter\/(module|handlers)$/, name: /^(generateInterpreter|HandlerTable)$/ },
  { kind: 'start-up', file: /^cpu\/wasm\/state-hash$/, name: /^(StateHash|hashModule)$/ },
  { kind: 'decoding', file: /^cpu\/processor$/, name: /^decode$/ },
  { kind: 'decoding', file: /^cpu\/mmu\/code-pages$/ },

  // What that code calls
  { kind: 'MMIO, devices', file: /^cpu\/mmu\/mmu$/, name: /^(load|store)Element$/ },
  { kind: 'TLB refill', file: /^cpu\/mmu\// },
  { kind: 'system, exceptions', file: /^cpu\/(exceptions|sysregs\/.*)$/ },
  { kind: 'MMIO, devices', file: /^devices\/loader\// },
  { kind: 'start-up', file: /^devices\/machine$/, name: /^(Machine|powerOn)$/ },
  { kind: 'run loop', file: /^devices\/machine$/ },
  { kind: 'MMIO, devices', file: /^devices\// },
  { kind: 'run loop', file: /^cpu\/processor$/ },

  // Recording
  // Pages are hashed for snapshots, for the final digest, and when what was loaded is noted.
  { kind: 'snapshots', file: /^replay\/page-hashes$/, name: /^(update|written)$/ },
  { kind: 'start-up', file: /^replay\/page-hashes$/, name: /^(PageHashes|knowLoaded)$/ },
  { kind: 'snapshots', file: /^replay\/snapshot-policy$/ },
  { kind: 'snapshots', file: /^trace\/(writer|snapshots?|pages?)$/, name: /^(snapshot|page\w*|compress\w*)$/i },
  { kind: 'snapshots', file: /^trace\/(compressible|.*compress.*|.*worker.*)$/ },
  { kind: 'snapshots', file: /^(devices|cpu|replay)\//, name: /^saveState$/ },
  { kind: 'digests', file: /^(trace\/digest|cpu\/wasm\/state-hash)$/ },
  { kind: 'digests', file: /^replay\/execution$/, name: /^(endBatch|finalDigest)$/ },
  // Compression and hashes, and what runs within a guard, count for their callers.
  { kind: 'trace, SQLite', file: /^trace\/platform$/, name: /^(run|exec|get|all|prepare|close)$/ },
  { kind: 'trace, SQLite', file: /^trace\/(?!platform$)/, name: /^(?!guard$)./ },
  { kind: 'trace, SQLite', file: /^node_modules\/better-sqlite3\// },
  { kind: 'run loop', file: /^replay\/(execution|recorder|replayer)$/ },
  { kind: 'guest output', file: /^cli\/output$/ },
  { kind: 'start-up', file: /^cli\// },
  // Loading the program: what modules do when they are evaluated, too.
  { kind: 'start-up', file: /^node:internal\/(modules|bootstrap|main|process\/(pre_execution|execution))/ },
]

/** What a frame says by itself; undefined if it counts for its caller. */
export function kindOf({ functionName, url }: Frame): Kind | undefined {
  if (functionName === '(garbage collector)') return 'garbage collection'
  const file = fileOf(url)
  return TABLE.find((row) => row.file.test(file) && (row.name?.test(functionName) ?? true))?.kind
}

/** A frame's file as the table names it; empty for native code. */
export function fileOf(url: string): string {
  const module = /^wasm:\/\/wasm\/(?:(.*)-)?[0-9a-f]+$/.exec(url)
  if (module) return `wasm:${module[1] ?? ''}`
  const library = /\/(node_modules\/.*?)(?:\.[cm]?js)?$/.exec(url)
  if (library) return library[1]
  return /\/dist\/(.*)\.js$/.exec(url)?.[1] ?? url
}
