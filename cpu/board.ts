/** What a processor asks of the board around it: the interface that `devices/` implements and `cpu/` alone may call. */

/** Bytes of one bus access. */
export type AccessSize = 1 | 2 | 4 | 8

/** The board as seen from the processor's pins. No call allocates, and no 64-bit value crosses as a BigInt. */
export interface Board {
  /**
   * Reads from a device.
   *
   * @param pa guest physical address, below 2^48.
   * @returns whether a device answered; if so the value stands in {@link lo} and {@link hi}. If not, the access aborts (external abort).
   */
  read(pa: number, size: AccessSize): boolean
  /** Writes to a device; `lo` and `hi` are unsigned 32-bit halves. Returns whether a device took it. */
  write(pa: number, size: AccessSize, lo: number, hi: number): boolean
  /** Low and high half (unsigned) of what the last {@link read} or {@link readCounter} returned. */
  lo: number
  hi: number
  /** Puts the physical count (CNTPCT_EL0, 62.5 MHz) as the current instruction sees it into {@link lo} and {@link hi}. */
  readCounter(): void
  /** Called after a write to a generic timer's registers (CTL, CVAL, TVAL, CNTVOFF_EL2, CNTHCTL_EL2): lines and deadline may have changed. */
  timersChanged(): void
  /**
   * Called for HVC or SMC where the conduit is PSCI's (Arm DEN 0022). Arguments and result are in X0-X3 of the processor's state.
   *
   * @returns false if the call is not a PSCI conduit here: the instruction is then UNDEFINED or an ordinary exception.
   */
  firmwareCall(conduit: 'hvc' | 'smc'): boolean
}
