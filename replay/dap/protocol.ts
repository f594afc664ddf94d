/** The parts of the Debug Adapter Protocol's library that are used; it is a CommonJS module. */
import adapter from '@vscode/debugadapter'

export { ProtocolServer } from '@vscode/debugadapter/lib/protocol.js'
export { Response } from '@vscode/debugadapter/lib/messages.js'
export const { InitializedEvent, OutputEvent, StoppedEvent, TerminatedEvent } = adapter
