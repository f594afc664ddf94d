/** The terminal as the guest's serial line: raw mode, with Ctrl-A as QEMU's escape. */

const CTRL_A = 1

/** Where keys go. */
export interface KeyListener {
  keys(bytes: Uint8Array): void
  /** Ctrl-A x. */
  end(): void
  help(): void
}

/**
 * Splits what is typed into keys for the guest and commands for kaal: Ctrl-A x ends, Ctrl-A a (or Ctrl-A twice) sends Ctrl-A,
 * Ctrl-A h helps; anything else after Ctrl-A is dropped. Holds across chunks.
 */
export function keyFilter(listener: KeyListener): (chunk: Uint8Array) => void {
  let escaped = false
  return (chunk) => {
    const keys: number[] = []
    for (const byte of chunk) {
      if (!escaped) {
        if (byte === CTRL_A) escaped = true
        else keys.push(byte)
        continue
      }
      escaped = false
      const command = String.fromCharCode(byte).toLowerCase()
      if (command === 'a' || byte === CTRL_A) keys.push(CTRL_A)
      else if (command === 'h' || command === '?') listener.help()
      else if (command === 'x') {
        if (keys.length > 0) listener.keys(Uint8Array.from(keys))
        listener.end()
        return
      }
    }
    if (keys.length > 0) listener.keys(Uint8Array.from(keys))
  }
}

/** Takes the terminal over. Returns what gives it back; on any exit of the process node does that too. */
export function takeTerminal(listener: KeyListener): () => void {
  const { stdin } = process
  const filter = keyFilter(listener)
  const hangUp = () => listener.end()
  stdin.setRawMode(true)
  stdin.on('data', filter)
  stdin.on('end', hangUp)
  stdin.on('error', hangUp)
  return () => {
    stdin.off('data', filter)
    stdin.off('end', hangUp)
    stdin.setRawMode(false)
    stdin.pause()
  }
}
