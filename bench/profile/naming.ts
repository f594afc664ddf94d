/**
 * Loaded before kaal (`node --import`) while it is profiled: gives WebAssembly modules names, which V8 then shows in their frames'
 * addresses (`wasm://wasm/interpreter-1a2b3c4d`). Without, they are told apart by a hash of their bytes alone.
 */

const EXPORT_SECTION = 7

/** What a module is, by what it exports. */
const MODULES: readonly { readonly name: string; readonly exports: RegExp }[] = [
  { name: 'regions', exports: /^region\d+$/ },
  { name: 'interpreter', exports: /^nzcv$/ },
  { name: 'hub', exports: /^run$/ },
  { name: 'hash', exports: /^hash$/ },
]

/** The name of a module with these bytes. */
export function moduleName(bytes: Uint8Array): string {
  const exports = exportNames(bytes)
  return MODULES.find((one) => exports.some((name) => one.exports.test(name)))?.name ?? 'other'
}

/** The names of a module's exports (WebAssembly core specification, 5.5.10). */
export function exportNames(bytes: Uint8Array): string[] {
  let at = 8
  const u8 = (): number => bytes[at++]
  const leb = (): number => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = u8()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const section = u8()
    const end = leb() + at
    if (section !== EXPORT_SECTION) {
      at = end
      continue
    }
    return Array.from({ length: leb() }, () => {
      const length = leb()
      const name = new TextDecoder().decode(bytes.subarray(at, at + length))
      at += length + 1
      leb()
      return name
    })
  }
  return []
}

/** The bytes of a module with a name section behind them (the same, 7.4.1: subsection 0 is the module's name). */
export function named(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(name)
  const section = [4, ...new TextEncoder().encode('name'), 0, text.length + 1, text.length, ...text]
  return Uint8Array.from([...bytes, 0, section.length, ...section])
}

/** Has all modules named from now on. */
export function nameModules(): void {
  WebAssembly.Module = new Proxy(WebAssembly.Module, {
    construct(target, [bytes, ...rest]: [ArrayBuffer | ArrayBufferView], newTarget) {
      const given =
        bytes instanceof ArrayBuffer
          ? new Uint8Array(bytes)
          : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      return Reflect.construct(target, [named(given, moduleName(given)), ...rest], newTarget) as WebAssembly.Module
    },
  })
}
