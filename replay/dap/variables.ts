/** Registers as variables. A kernel's own variables are not shown: line tables say nothing of where a compiler keeps them. */
import type { DebugProtocol } from '@vscode/debugprotocol'
import { registerFields } from '../../cpu/sysregs/fields/layouts.js'
import type { Debugger } from '../debugger/debugger.js'
import { hex64 } from '../debugger/numbers.js'
import { SYSTEM_REGISTERS, readSystemRegister } from '../debugger/system-registers.js'
import { RequestError } from './error.js'

const GENERAL = 1
const FLAGS = 2
const SYSTEM = 3
/** References of system registers with fields begin here. */
const FIELDS = 1000

/** The variables of a stopped machine. */
export class Variables {
  private readonly debug: Debugger
  private system: readonly DebugProtocol.Variable[] | undefined

  constructor(debug: Debugger) {
    this.debug = debug
  }

  /** The machine has moved. */
  forget(): void {
    this.system = undefined
  }

  /** The scopes of a frame. Registers are the processor's, whatever frame is looked at. */
  scopes(frame: number): DebugProtocol.Scope[] {
    if (frame < 0) throw new RequestError(`scopes: there is no frame ${frame}`)
    const scope = (name: string, variablesReference: number, expensive: boolean): DebugProtocol.Scope => ({
      name,
      variablesReference,
      expensive,
      presentationHint: 'registers',
    })
    return [scope('Registers', GENERAL, false), scope('Flags', FLAGS, false), scope('System registers', SYSTEM, true)]
  }

  /** The variables behind a reference. */
  of(reference: number): readonly DebugProtocol.Variable[] {
    if (reference === GENERAL) return this.general()
    if (reference === FLAGS) return this.flags()
    if (reference === SYSTEM) return this.systemRegisters()
    const name = SYSTEM_REGISTERS[reference - FIELDS]
    if (name === undefined) throw new RequestError(`variables: there is no reference ${reference}`)
    return this.fields(name)
  }

  private general(): DebugProtocol.Variable[] {
    const { x, sp, pc } = this.debug.timeline.machine.cpu.state
    const entry = (name: string, value: bigint): DebugProtocol.Variable => ({
      name,
      value: this.debug.place(value),
      variablesReference: 0,
      memoryReference: hex64(value),
    })
    return [...Array.from({ length: 31 }, (_, n) => entry(`x${n}`, x[n])), entry('sp', sp), entry('pc', pc)]
  }

  private flags(): DebugProtocol.Variable[] {
    const { cpu } = this.debug.timeline.machine
    const { nzcv, daif, el, spsel } = cpu.state
    const bits = (names: string, value: number, shift: number): DebugProtocol.Variable[] =>
      [...names].map((name, n) => ({
        name,
        value: String((value >>> (shift + names.length - 1 - n)) & 1),
        variablesReference: 0,
      }))
    return [
      ...bits('NZCV', nzcv, nzcv > 15 ? 28 : 0),
      ...bits('DAIF', daif, daif > 15 ? 6 : 0),
      { name: 'EL', value: String(el), variablesReference: 0 },
      { name: 'SPSel', value: String(spsel), variablesReference: 0 },
    ]
  }

  private systemRegisters(): readonly DebugProtocol.Variable[] {
    this.system ??= SYSTEM_REGISTERS.map((name, n) => {
      const { value } = readSystemRegister(this.debug.timeline.machine, name)
      const fields = registerFields(name, value) ?? []
      return {
        name,
        value: this.debug.place(value),
        variablesReference: fields.length > 0 ? FIELDS + n : 0,
        memoryReference: hex64(value),
      }
    })
    return this.system
  }

  private fields(name: string): DebugProtocol.Variable[] {
    const { value } = readSystemRegister(this.debug.timeline.machine, name)
    return (registerFields(name, value) ?? []).map((field) => ({
      name: `${field.name} ${field.high === field.low ? field.high : `${field.high}:${field.low}`}`,
      value: `${field.high - field.low < 4 ? field.value : hex64(field.value)}${field.meaning === undefined ? '' : `  ${field.meaning}`}`,
      variablesReference: 0,
    }))
  }
}
