/** From a profile of V8 to seconds for each kind of work. */
import { type Frame, KINDS, type Kind, kindOf } from './classification.js'

/** What `node --cpu-prof` writes, as far as it is used (Chrome DevTools Protocol, Profiler.Profile). Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame; readonly children?: readonly number[] }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
  readonly endTime: number
  readonly startTime: number
}

/** Seconds for each kind. */
export type Seconds = Record<Kind, number>

/** No time for anything. */
export const nothing = (): Seconds => Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Seconds

/** Frames in which the thread did not run, or was not seen to. */
const IDLE = '(idle)'

/**
 * The time of all samples by kind; time in which the thread waited is left out.
 *
 * @param seconds is added to.
 */
export function attribute(profile: CpuProfile, seconds: Seconds = nothing()): Seconds {
  const { nodes, samples, timeDeltas, startTime, endTime } = profile
  const kinds = kindsOf(nodes)
  let end = startTime
  samples.forEach((id, i) => {
    end += timeDeltas[i]
    // A delta is the time from the sample before: a sample stands for the time up to the next.
    const until = i + 1 < samples.length ? timeDeltas[i + 1] : Math.max(endTime - end, 0)
    const kind = kinds.get(id)
    if (kind !== undefined) seconds[kind] += until / 1e6
  })
  return seconds
}

/** By node: the kind of its nearest frame that has one; none for idle time. */
function kindsOf(nodes: CpuProfile['nodes']): Map<number, Kind> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const kinds = new Map<number, Kind>()
  const children = new Set(nodes.flatMap((node) => node.children ?? []))
  const todo = nodes.filter(({ id }) => !children.has(id)).map(({ id }) => ({ id, outer: 'rest' as Kind }))
  for (let next = todo.pop(); next; next = todo.pop()) {
    const node = byId.get(next.id)
    if (!node || node.callFrame.functionName === IDLE) continue
    const kind = kindOf(node.callFrame) ?? next.outer
    kinds.set(node.id, kind)
    for (const id of node.children ?? []) todo.push({ id, outer: kind })
  }
  return kinds
}
