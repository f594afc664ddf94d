/**
 * The part of the WebAssembly JavaScript interface that kaal uses. Declared here, rather than taken from the DOM or Node
 * typings, so that `cpu/` and `devices/` compile without any host interface in reach.
 */
declare global {
  namespace WebAssembly {
    class Module {
      constructor(bytes: Uint8Array<ArrayBuffer>)
    }
    class Instance {
      constructor(module: Module, imports?: Record<string, Record<string, unknown>>)
      readonly exports: Record<string, unknown>
    }
    class Memory {
      constructor(descriptor: { initial: number; maximum?: number })
      readonly buffer: ArrayBuffer
    }
    class Table {
      constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number })
      get(index: number): unknown
      set(index: number, value: unknown): void
      grow(by: number): number
      readonly length: number
    }
  }
}

export {}
