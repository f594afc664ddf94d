/** The progress line: when there is one, and what it says. */
import { describe, expect, it } from 'vitest'
import { Progress, type ProgressHost, type ProgressOptions } from '../../cli/progress.js'

/** A terminal whose clock stands still unless it is told to go on. */
class Terminal implements ProgressHost {
  readonly lines: string[] = []
  readonly shown: boolean
  now = 5000

  constructor(shown = true) {
    this.shown = shown
  }

  write(text: string): void {
    this.lines.push(text.replace('\r\u001b[K', ''))
  }

  milliseconds(): number {
    return this.now
  }
}

/** The line after so many have been done in so many milliseconds. */
function line(options: ProgressOptions, done: number, after: number): string | undefined {
  const terminal = new Terminal()
  const progress = new Progress(options, terminal)
  terminal.now += after
  progress.show(done)
  return terminal.lines.at(-1)
}

const all = { unit: 'instructions', total: 4_000_000 }

describe('a progress line', () => {
  it('says how much, how fast, and how long still', () => {
    expect(line(all, 1_000_000, 2000)).toBe('25 %, 1_000_000 of 4_000_000 instructions, 500.0 k/s, 6 s left')
    expect(line(all, 4_000_000, 2000)).toBe('100 %, 4_000_000 of 4_000_000 instructions, 2.0 M/s, 0 s left')
    expect(line(all, 10_000, 2000)).toBe('0 %, 10_000 of 4_000_000 instructions, 5.0 k/s, 13 min 18 s left')
    expect(line(all, 500, 2000)).toBe('0 %, 500 of 4_000_000 instructions, 250/s, 4 h 26 min left')
    expect(line(all, 0, 2000)).toBe('0 %, 0 of 4_000_000 instructions, 0/s')
    expect(line({ unit: 'bytes' }, 5e9, 2000)).toBe('5_000_000_000 bytes, 2.5 G/s')
    expect(line(all, 5_000_000, 2000)).toBe('5_000_000 instructions, 2.5 M/s')
    expect(line({ unit: 'bytes', total: 0 }, 0, 2000)).toBe('100 %, 0 of 0 bytes, 0/s')
  })

  it('is there for what takes more than a second, and redrawn ten times a second', () => {
    const terminal = new Terminal()
    const progress = new Progress(all, terminal)
    for (; terminal.now < 7000; terminal.now++) progress.show(terminal.now)
    expect(terminal.lines.length).toBe(10)
    progress.clear()
    expect(terminal.lines.at(-1)).toBe('')
    progress.clear()
    expect(terminal.lines.length).toBe(11)
  })

  it('is not there for what is quick, nor anywhere but on a terminal', () => {
    expect(line(all, 1000, 900)).toBeUndefined()
    const pipe = new Terminal(false)
    const progress = new Progress(all, pipe)
    pipe.now += 10_000
    progress.show(1)
    progress.clear()
    expect(pipe.lines).toEqual([])
  })
})
