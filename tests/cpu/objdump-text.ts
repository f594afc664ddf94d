/** What the disassembler's text and objdump's have in common, and where they differ on purpose. */
import { decode } from '../../cpu/isa/table.js'

/** One space between words, no comment, no symbol; addresses with 0x, which objdump leaves out where it has a symbol. */
export function normalise(text: string): string {
  return text
    .replace(/\s*(\/\/|;).*$/, '')
    .replace(/\b(?:0x)?([0-9a-f]+) <[^>]*>/, '0x$1')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Why the texts of a word differ, if they may. */
export function deliberate(word: number, ours: string, theirs: string): string | undefined {
  const decoded = decode(word)
  if (!decoded) return theirs.startsWith('.inst') ? undefined : 'allocated since Armv8.1, undefined on a Cortex-A53'
  const { name } = decoded.instruction
  if (name.startsWith('FP/SIMD')) return 'FP and SIMD instructions have no rows of their own yet'
  const undefinedThere = theirs.startsWith('.inst')
  if (name === 'LDXR/STXR/LDXP/STXP/LDAR/STLR' && /^(ldar|stlr)/.test(ours) && undefinedThere)
    return 'LDAR and STLR with should-be-one bits clear: executed as if set'
  if (ours.startsWith('ldpsw') && undefinedThere)
    return 'LDPSW of a register twice, or with write-back to one that it loads: constrained unpredictable, executed'
  if (name === 'MRS/MSR (register)' && /\bs3_\d_c\d+_c\d+_\d/.test(ours + theirs))
    return "registers of the Cortex-A53's own, which objdump does not name, and ones named since, which are zero here"
  if (ours.startsWith('msr spsel') && theirs.startsWith('msr s0_0_c4_'))
    return 'MSR SPSel takes bit 0 of its immediate; objdump knows 0 and 1 alone'
  return undefined
}
