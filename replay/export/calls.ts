/** Supervisor calls and their returns: no trace lists them, so the code that they enter, and that they return to, is watched for. */
import type { Machine } from '../../devices/machine.js'
import type { ObservedThread, SyscallHappening } from './happenings.js'

const EC_SVC = 0x15
/** Where a vector table has what an SVC enters: from EL1 on SP_EL0, from EL1, from EL0 (Arm ARM DDI 0487, D1.3.1). */
const SYNCHRONOUS = [0n, 0x200n, 0x400n]
/** A window of code that is returned to may be large; breakpoints beyond these are not set, and such calls have no return. */
const MOST_RETURNS = 4096

/** The calls of a run. */
export class SupervisorCalls {
  readonly threads: ObservedThread[] = []
  private readonly machine: Machine
  private readonly entries: ReadonlySet<bigint>
  private readonly returns = new Set<bigint>()
  /** By thread, the call that has not returned yet. */
  private readonly open = new Map<
    number,
    { readonly to: bigint; readonly el: number; readonly call: SyscallHappening }
  >()
  private readonly byKey = new Map<string, ObservedThread>()
  private readonly onCall: (call: SyscallHappening) => void

  /**
   * @param vectors vector tables of EL1; none if calls are not looked for.
   * @param onCall told each call as it is made; its return is filled in later.
   */
  constructor(machine: Machine, vectors: readonly bigint[], onCall: (call: SyscallHappening) => void) {
    this.machine = machine
    this.onCall = onCall
    this.entries = new Set(vectors.flatMap((base) => SYNCHRONOUS.map((offset) => base + offset)))
    if (this.entries.size > 0) machine.cpu.setBreakpoints(this.entries)
  }

  /** The machine has stopped at a breakpoint: notes the call, or the return. */
  stopped(): void {
    const { state } = this.machine.cpu
    const { pc, el } = state
    if (this.entries.has(pc) && el === 1 && Number((state.esr_el[1] >> 26n) & 63n) === EC_SVC) this.enter()
    // Code that is returned to may be entered in other ways too: the thread and the level must be right.
    if (!this.returns.has(pc)) return
    const thread = this.byKey.get(this.key(el))
    const waiting = thread && this.open.get(thread.id)
    if (!thread || waiting?.to !== pc || waiting.el !== el) return
    this.open.delete(thread.id)
    waiting.call.returned = { position: this.machine.icount, time: this.machine.now(), x0: state.x[0] }
  }

  private enter(): void {
    const { cpu, icount } = this.machine
    const { state } = cpu
    const to = state.elr_el[1]
    const thread = this.thread()
    const call: SyscallHappening = {
      kind: 'syscall',
      // That of the SVC: the exception has been taken, and nothing else done.
      position: icount - 1,
      time: this.machine.now(),
      thread: thread.id,
      immediate: Number(state.esr_el[1] & 0xffffn),
      pc: to - 4n,
      x8: state.x[8],
      x0: state.x[0],
      returned: undefined,
    }
    // Whatever this thread had called before will not return to it any more.
    this.open.set(thread.id, { to, el: Number((state.spsr_el[1] >> 2n) & 3n), call })
    this.onCall(call)
    if (this.returns.has(to) || this.returns.size >= MOST_RETURNS) return
    this.returns.add(to)
    cpu.setBreakpoints([...this.entries, ...this.returns])
  }

  /** The thread that has just entered the kernel. */
  private thread(): ObservedThread {
    const { state } = this.machine.cpu
    const key = this.key(1)
    let thread = this.byKey.get(key)
    if (!thread) {
      thread = { id: this.threads.length + 1, stack: state.sp, ttbr0: state.ttbr0_el[1] }
      this.threads.push(thread)
      this.byKey.set(key, thread)
    }
    return thread
  }

  /** What tells threads apart: the stack that an exception is taken on, before anything has been pushed, and the translation tables below. */
  private key(el: number): string {
    const { state } = this.machine.cpu
    const stack = el === 1 ? state.sp : state.sp_el[1]
    return `${stack} ${state.ttbr0_el[1]}`
  }
}
