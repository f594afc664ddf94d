/** Who wrote the things that differ: the last instructions of a stretch that changed them. */
import type { Item } from './items.js'
import { differingItems } from './items.js'
import type { Lockstep } from './lockstep.js'
import type { Guide, Place } from './place.js'
import type { Side } from './side.js'

/** An item, and the last instruction before the end of a run that changed it on the machine that is right. */
export interface Writer {
  readonly item: string
  readonly place: Place
}

/** So many instructions before the end of a run are looked through. */
const STRETCH = 2 ** 10

/**
 * Finds the last writers of items before position `to`, by single steps from the lockstep's base.
 *
 * @param reference the side of `lockstep` that is right; both sides are moved.
 */
export function lastWriters(
  reference: Side,
  lockstep: Lockstep,
  to: number,
  items: readonly Item[],
  guide: Guide,
): Writer[] {
  const start = Math.max(lockstep.start, to - STRETCH)
  const found = new Map<string, Place>()
  // Both sides do the same by single steps: the other one stays one instruction behind, to see what each changes.
  lockstep.step(start)
  const other = reference === lockstep.a ? lockstep.b : lockstep.a
  for (let position = start; position < to; position++) {
    const place = guide.placeOf(other.machine)
    reference.advance(position + 1)
    const changed = new Set(differingItems(reference, other).map(({ name }) => name))
    for (const { name } of items) if (changed.has(name)) found.set(name, place)
    other.advance(position + 1)
    reference.forget()
    other.forget()
  }
  return [...found].map(([item, place]) => ({ item, place }))
}
