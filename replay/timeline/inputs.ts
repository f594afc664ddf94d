/** The inputs of a trace, given to its machine again from any point on. */
import type { Machine } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'

/** The door of a timeline's machine. */
export class TimelineInputs {
  next = Infinity
  /** How many have been given. */
  given = 0
  private readonly machine: Machine
  private readonly rows: readonly { icount: number; payload: Uint8Array }[]

  constructor(reader: TraceReader, machine: Machine) {
    this.machine = machine
    this.rows = [...reader.inputs()].map(({ icount, payload }) => ({ icount, payload }))
    this.resume(0)
  }

  /** Goes on after so many. */
  resume(given: number): void {
    this.given = given
    this.next = this.rows[given]?.icount ?? Infinity
  }

  deliver(icount: number): void {
    while (this.next <= icount) {
      for (const byte of this.rows[this.given].payload) this.machine.board.uart.receive(byte)
      this.resume(this.given + 1)
    }
  }
}
