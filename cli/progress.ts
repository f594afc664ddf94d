/** How far a long work has come: a line on the terminal that overwrites itself, with rate and time left. */
import { writeAll } from './output.js'

/** What a progress line says. */
export interface ProgressOptions {
  /** What is counted, in the plural. */
  readonly unit: string
  /** How many there are, if it is known. */
  readonly total?: number
  /** Whether the work's own output goes to standard output meanwhile; on a terminal the line would be in its way. */
  readonly besideOutput?: boolean
}

/** Where a line goes, and what time it is. */
export interface ProgressHost {
  readonly shown: boolean
  write(text: string): void
  milliseconds(): number
}

/** A work that takes less, in milliseconds, has no line; one that has is drawn this often. */
const PATIENCE = 1000
const REDRAW = 100
const ERASE = '\r\u001b[K'

const terminal = (besideOutput: boolean): ProgressHost => ({
  shown: process.stderr.isTTY && !(besideOutput && process.stdout.isTTY),
  write: (text) => void writeAll(2, Buffer.from(text)),
  milliseconds: () => performance.now(),
})

/**
 * A progress line on standard error, if that is a terminal and the work takes longer than a second:
 * `41 %, 1_572_864 of 3_786_810 instructions, 31.5 M/s, 2 s left`.
 */
export class Progress {
  private readonly options: ProgressOptions
  private readonly host: ProgressHost
  private readonly started: number
  private drawn = -Infinity
  private visible = false

  constructor(options: ProgressOptions, host: ProgressHost = terminal(options.besideOutput === true)) {
    this.options = options
    this.host = host
    this.started = host.milliseconds()
  }

  /** So much has been done, of the whole; as often as one likes. */
  show(done: number): void {
    this.draw((seconds) => this.line(done, seconds))
  }

  /** What is being done now, in words, where there is nothing to count. */
  tell(what: string): void {
    this.draw(() => what)
  }

  /** Takes the line away, before anything else is printed. */
  clear(): void {
    if (this.visible) this.host.write(ERASE)
    this.visible = false
  }

  private draw(line: (seconds: number) => string): void {
    if (!this.host.shown) return
    const now = this.host.milliseconds()
    if (now - this.started < PATIENCE || now - this.drawn < REDRAW) return
    this.drawn = now
    this.visible = true
    this.host.write(`${ERASE}${line((now - this.started) / 1000)}`)
  }

  private line(done: number, seconds: number): string {
    const { unit, total } = this.options
    const rate = done / seconds
    const speed = `${abbreviated(rate)}/s`
    if (total === undefined || done > total) return `${grouped(done)} ${unit}, ${speed}`
    const share = total === 0 ? 100 : Math.floor((100 * done) / total)
    const left = done === 0 ? '' : `, ${duration((total - done) / rate)} left`
    return `${share} %, ${grouped(done)} of ${grouped(total)} ${unit}, ${speed}${left}`
  }
}

const grouped = (value: number): string => String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, '_')

/** A number with three digits or so: `31.5 M`. */
function abbreviated(value: number): string {
  const [size, name] = (
    [
      [1e9, ' G'],
      [1e6, ' M'],
      [1e3, ' k'],
    ] as const
  ).find(([least]) => value >= least) ?? [1, '']
  return `${(value / size).toFixed(size === 1 ? 0 : 1)}${name}`
}

/** `42 s`, `3 min 20 s`, `2 h 5 min`. */
function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
