/** The only file of `replay/` that touches the host: its clock for pacing and commits, its event loop, its compiler's switches. */
import { setFlagsFromString } from 'node:v8'

// Node 20 to 24 know branch hints but do not look at them unless told to; the interpreter is a third slower without. Later ones need no telling.
if (Number.parseInt(process.versions.node, 10) <= 24) setFlagsFromString('--experimental-wasm-branch-hinting')

/** Milliseconds of the host's monotonic clock. The guest never sees it. */
export const hostMilliseconds = (): number => performance.now()

/** Lets the host's event loop run: signals, keys, timers. */
export const yieldToHost = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves after `milliseconds`, or when `wake` is called. */
export function sleep(milliseconds: number): { readonly done: Promise<void>; readonly wake: () => void } {
  let wake = (): void => {}
  const done = new Promise<void>((resolve) => {
    const timer = milliseconds === Infinity ? undefined : setTimeout(resolve, milliseconds)
    // A timer without end keeps the event loop alive while nothing else does.
    const keepAlive = timer === undefined ? setInterval(() => {}, 2 ** 30) : undefined
    wake = () => {
      clearTimeout(timer)
      clearInterval(keepAlive)
      resolve()
    }
  })
  return { done, wake }
}
