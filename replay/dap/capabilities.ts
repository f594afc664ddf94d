/** What a session can do, as `initialize` tells a client. */
import type { DebugProtocol } from '@vscode/debugprotocol'
import type { EventFilter } from '../timeline/points.js'

/** Events to stop at, by the name that a client gives them. */
export const EXCEPTION_FILTERS: readonly {
  readonly name: string
  readonly label: string
  readonly filter: EventFilter
}[] = [
  {
    name: 'aborts',
    label: 'Aborts',
    filter: { kind: 'exception', kinds: ['instruction-abort', 'data-abort'] },
  },
  { name: 'undefined', label: 'Undefined instructions', filter: { kind: 'exception', kinds: ['undefined'] } },
  { name: 'faults', label: 'All faults', filter: { kind: 'exception' } },
  { name: 'interrupts', label: 'Interrupts', filter: { kind: 'interrupt' } },
]

/** The body of the response. */
export const CAPABILITIES: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsStepBack: true,
  supportsRestartRequest: true,
  supportsTerminateRequest: true,
  supportsFunctionBreakpoints: true,
  supportsInstructionBreakpoints: true,
  supportsDataBreakpoints: true,
  supportsConditionalBreakpoints: true,
  supportsEvaluateForHovers: true,
  supportsCompletionsRequest: true,
  supportsReadMemoryRequest: true,
  supportsDisassembleRequest: true,
  supportsSteppingGranularity: true,
  supportsLoadedSourcesRequest: true,
  supportsCancelRequest: true,
  exceptionBreakpointFilters: EXCEPTION_FILTERS.map(({ name, label }) => ({ filter: name, label, default: false })),
}
