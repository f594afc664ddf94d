/** Memory and instructions as a client asks for them. */
import type { DebugProtocol } from '@vscode/debugprotocol'
import { disassemble } from '../../cpu/isa/disassembler.js'
import type { Debugger } from '../debugger/debugger.js'
import { hex64 } from '../debugger/numbers.js'
import { RequestError } from './error.js'
import type { SourceFiles } from './stack.js'

type Arguments = Readonly<Record<string, unknown>>

/** Bytes, and instructions, that a client gets at once. */
const MOST_BYTES = 2 ** 20
const MOST_INSTRUCTIONS = 4096
const PAGE = 4096n

/** `readMemory`: what can be read from an address on, in base64. */
export function memory(debug: Debugger, args: Arguments): object {
  const count = number('readMemory: count', args['count'], 0, MOST_BYTES)
  const address = addressOf(debug, args)
  const bytes = readable(debug, address, count)
  return {
    address: hex64(address),
    data: btoa(String.fromCharCode(...bytes)),
    unreadableBytes: count - bytes.length,
  }
}

/** The bytes from an address up to the first that cannot be read. */
function readable(debug: Debugger, address: bigint, count: number): Uint8Array {
  const out: number[] = []
  while (out.length < count) {
    const at = BigInt.asUintN(64, address + BigInt(out.length))
    const bytes = debug.read(at, Math.min(count - out.length, Number(PAGE - (at % PAGE))))
    if (!bytes) break
    for (const byte of bytes) out.push(byte)
  }
  return Uint8Array.from(out)
}

/** `disassemble`: instructions around an address; what is no memory has none. */
export function disassembly(debug: Debugger, files: SourceFiles, args: Arguments): object {
  const count = number('disassemble: instructionCount', args['instructionCount'], 0, MOST_INSTRUCTIONS)
  const skipped = number('disassemble: instructionOffset', args['instructionOffset'] ?? 0, -MOST_BYTES, MOST_BYTES)
  const first = (addressOf(debug, args) & ~3n) + 4n * BigInt(skipped)
  const instructions = Array.from({ length: count }, (_, n): DebugProtocol.DisassembledInstruction => {
    const at = BigInt.asUintN(64, first + 4n * BigInt(n))
    const bytes = debug.read(at, 4)
    const address = hex64(at)
    if (!bytes) return { address, instruction: '(no memory there)', presentationHint: 'invalid' }
    const word = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    const symbol = debug.names.describe(at)
    const place = debug.sources.at(at)
    return {
      address,
      instruction: disassemble(word, at, (target) => debug.names.describe(target)),
      instructionBytes: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
      ...(symbol !== undefined && { symbol }),
      ...(place && { location: files.source(place.file), line: place.line }),
    }
  })
  return { instructions }
}

function addressOf(debug: Debugger, args: Arguments): bigint {
  const { memoryReference, offset } = args
  if (typeof memoryReference !== 'string') throw new RequestError('memoryReference is missing')
  const bytes = number('offset', offset ?? 0, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  return BigInt.asUintN(64, debug.evaluate(memoryReference) + BigInt(bytes))
}

function number(what: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new RequestError(`${what}: ${JSON.stringify(value)} is not a number of ${least} to ${most}`)
}
