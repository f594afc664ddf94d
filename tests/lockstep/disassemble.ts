/** Names instructions for messages: binutils' disassembly if it is installed, else nothing. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Disassembles one opcode; empty without `aarch64-linux-gnu-objdump`. */
export function disassemble(opcode: number, pc: bigint): string {
  const folder = mkdtempSync(join(tmpdir(), 'disassemble-'))
  try {
    const file = join(folder, 'word')
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(opcode >>> 0)
    writeFileSync(file, bytes)
    const address = `--adjust-vma=0x${BigInt.asUintN(64, pc).toString(16)}`
    const options: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
    const text = execFileSync(
      'aarch64-linux-gnu-objdump',
      ['-D', '-b', 'binary', '-m', 'aarch64', address, file],
      options,
    )
    const words = text.trimEnd().split('\n').at(-1)?.split('\t') ?? []
    return words.slice(2).join(' ').trim()
  } catch {
    return ''
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
