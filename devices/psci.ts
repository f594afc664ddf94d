/**
 * Power State Coordination Interface 1.1 (Arm DEN 0022), as the firmware built into QEMU's `virt` answers it: by HVC, or by SMC where
 * EL2 belongs to the guest. Every HVC or SMC of the conduit is a call; unknown functions give NOT_SUPPORTED.
 */

/** Error codes (Arm DEN 0022, 5.2.2). */
const SUCCESS = 0
const NOT_SUPPORTED = -1
const INVALID_PARAMETERS = -2
const ALREADY_ON = -4
/** MIGRATE_INFO_TYPE: there is no Trusted OS, or it needs no migration (5.9). */
const MIGRATION_NOT_REQUIRED = 2

/** Function identifiers (5.1); bit 30 marks the 64-bit forms. Those of PSCI 0.1 are QEMU's own numbers. */
const VERSION = 0x8400_0000
const CPU_SUSPEND = 0x8400_0001
const CPU_OFF = 0x8400_0002
const CPU_ON = 0x8400_0003
const AFFINITY_INFO = 0x8400_0004
const MIGRATE_INFO_TYPE = 0x8400_0006
const SYSTEM_OFF = 0x8400_0008
const SYSTEM_RESET = 0x8400_0009
const FEATURES = 0x8400_000a
const FORM_64 = 0x4000_0000
const V01_CPU_SUSPEND = 0x95c1_ba5e
const V01_CPU_OFF = 0x95c1_ba5f
const V01_CPU_ON = 0x95c1_ba60

/** What PSCI_FEATURES says yes to. */
const IMPLEMENTED: ReadonlySet<number> = new Set([
  VERSION,
  CPU_SUSPEND,
  CPU_SUSPEND + FORM_64,
  CPU_OFF,
  CPU_ON,
  CPU_ON + FORM_64,
  AFFINITY_INFO,
  AFFINITY_INFO + FORM_64,
  MIGRATE_INFO_TYPE,
  SYSTEM_OFF,
  SYSTEM_RESET,
  FEATURES,
  V01_CPU_SUSPEND,
  V01_CPU_OFF,
  V01_CPU_ON,
])

/** A processor's power state as AFFINITY_INFO gives it (5.7). */
export type PowerState = 'on' | 'off' | 'on-pending'
const POWER: Readonly<Record<PowerState, number>> = { on: 0, off: 1, 'on-pending': 2 }

/** What a call needs of the calling processor and of the machine. Halves of registers are unsigned. */
export interface PsciHost {
  /** Low and high half of X`n` of the caller, `n` from 0 to 3. */
  xLo(n: number): number
  xHi(n: number): number
  setX0(lo: number, hi: number): void
  /** Power state of the processor with these affinity fields of MPIDR_EL1, or undefined if there is none. */
  powerState(mpidrLo: number, mpidrHi: number): PowerState | undefined
  /** Starts a processor that is off, at the highest exception level, at `entry` with X0 = `context`. */
  cpuOn(
    mpidrLo: number,
    mpidrHi: number,
    entry: readonly [lo: number, hi: number],
    context: readonly [lo: number, hi: number],
  ): void
  /** Stops the calling processor for good; it executes nothing more unless CPU_ON starts it. */
  cpuOff(): void
  /** Puts the caller to sleep as WFI does. Its registers are already those of the return. */
  suspend(): void
  systemOff(): void
  systemReset(): void
}

/**
 * Carries out the call in X0-X3 of the caller.
 *
 * Where the call returns, its result is in X0, sign-extended to 64 bits; all other registers keep their values.
 */
export function psciCall(host: PsciHost): void {
  const result = dispatch(host)
  if (result !== undefined) host.setX0(result >>> 0, result < 0 ? 0xffff_ffff : 0)
}

function dispatch(host: PsciHost): number | undefined {
  if (host.xHi(0) !== 0) return NOT_SUPPORTED
  switch (host.xLo(0)) {
    case VERSION:
      return 0x0001_0001
    case MIGRATE_INFO_TYPE:
      return MIGRATION_NOT_REQUIRED
    case AFFINITY_INFO:
    case AFFINITY_INFO + FORM_64:
      return affinityInfo(host)
    case SYSTEM_OFF:
      host.systemOff()
      return undefined
    case SYSTEM_RESET:
      host.systemReset()
      return undefined
    case CPU_ON:
    case CPU_ON + FORM_64:
    case V01_CPU_ON:
      return cpuOn(host)
    case CPU_OFF:
    case V01_CPU_OFF:
      host.cpuOff()
      return undefined
    case CPU_SUSPEND:
    case CPU_SUSPEND + FORM_64:
    case V01_CPU_SUSPEND:
      // A power state with StateType, a power level or a reserved bit set is refused; the others all mean WFI.
      if (host.xLo(1) & 0xfffe_0000) return INVALID_PARAMETERS
      host.setX0(SUCCESS, 0)
      host.suspend()
      return undefined
    case FEATURES:
      return host.xHi(1) === 0 && IMPLEMENTED.has(host.xLo(1)) ? SUCCESS : NOT_SUPPORTED
    default:
      return NOT_SUPPORTED
  }
}

function affinityInfo(host: PsciHost): number {
  // Above affinity level 0 everything is always on.
  if (host.xLo(2) !== 0 || host.xHi(2) !== 0) return POWER.on
  const state = host.powerState(host.xLo(1), host.xHi(1))
  return state === undefined ? INVALID_PARAMETERS : POWER[state]
}

function cpuOn(host: PsciHost): number {
  if (host.xLo(2) & 3) return INVALID_PARAMETERS
  const state = host.powerState(host.xLo(1), host.xHi(1))
  if (state === undefined) return INVALID_PARAMETERS
  if (state !== 'off') return ALREADY_ON
  host.cpuOn(host.xLo(1), host.xHi(1), [host.xLo(2), host.xHi(2)], [host.xLo(3), host.xHi(3)])
  return SUCCESS
}
