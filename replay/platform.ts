/** The only file of `replay/` that touches the host: its clock for pacing and commits, and its event loop. */

/** Milliseconds of the host's monotonic clock. The guest never sees it. */
export const hostMilliseconds = (): number => performance.now()

/** Lets the host's event loop run: signals, keys, timers. */
export const yieldToHost = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves after `milliseconds`, or when `wake` is called. */
export function sleep(milliseconds: number): { readonly done: Promise<void>; wake(): void } {
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
