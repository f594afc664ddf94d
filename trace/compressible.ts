/** Tells pages that deflating would not make smaller, at an eighth of what trying costs. */

/** Order-0 cost of a byte seen `n` times among 4096: n * log2(4096 / n) bits. */
const BITS = Float64Array.from({ length: 4097 }, (_, n) => (n === 0 ? 0 : n * (12 - Math.log2(n))))
/** A page whose bytes are spread so evenly that coding each by its frequency saves less than a sixteenth. */
const EVEN = (4096 * 8 * 15) / 16
/** That many words that were on the page before may be chance; more are a pattern that deflating finds. */
const REPEATS = 8

const counts = new Uint16Array(256)
const seen = new Uint32Array(4096)

/**
 * Whether deflating a page of 4096 bytes may save more than a sixteenth of it. False only if its bytes are evenly spread and its words do not
 * repeat: random, encrypted or compressed data. A wrong answer costs space or time, nothing else.
 */
export function compressible(page: Uint8Array): boolean {
  counts.fill(0)
  for (let i = 0; i < page.length; i++) counts[page[i]]++
  let bits = 0
  for (let value = 0; value < 256; value++) bits += BITS[counts[value]]
  return bits < EVEN || repeats(page)
}

/** Whether words of 32 bits occur again and again on the page. */
function repeats(page: Uint8Array): boolean {
  seen.fill(0)
  let repeated = 0
  for (let at = 0; at < page.length; at += 4) {
    const word = page[at] | (page[at + 1] << 8) | (page[at + 2] << 16) | (page[at + 3] << 24)
    const slot = Math.imul(word, 0x9e3779b1) >>> 20
    if (seen[slot] === word >>> 0 && ++repeated > REPEATS) return true
    seen[slot] = word
  }
  return false
}
