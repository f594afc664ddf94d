/** `kaal record`: boots a kernel and records it. */
import { existsSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { imageFiles, machineRecord } from '../../replay/description.js'
import { type RecordResult, Recorder } from '../../replay/recorder.js'
import { SNAPSHOT_POLICY } from '../../replay/snapshot-policy.js'
import { TraceWriter } from '../../trace/writer.js'
import { checkReadable, feedFrom, feedFromTerminal } from '../console.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { type MachineOptions, addMachineOptions, configOf, filesOf } from '../options.js'
import { GuestOutput, say } from '../output.js'
import { formatPosition, parsePosition } from '../positions.js'
import { Progress } from '../progress.js'
import { VERSION } from '../version.js'

interface RecordOptions extends MachineOptions {
  readonly output?: string
  readonly force?: boolean
  readonly input?: string
  readonly maxInstructions?: string
  readonly engine: Engine
}

/** Adds the verb. */
export function addRecord(program: Command, exit: (code: number) => void): void {
  const verb = program
    .command('record')
    .description('boot a kernel and record it')
    .argument('[kernel]', 'an ELF or an arm64 Image (default: the bundled KaaL image)')
    .option('-o, --output <file>', 'the trace (default: named after the kernel, in this folder)')
    .option('--force', 'replace a trace that exists')
    .option('--input <file>', "bytes for the guest's UART; - for standard input")
    .option('--max-instructions <n>', 'stop after so many instructions')
    .addOption(engineOption())
  addMachineOptions(verb).action(async (kernel: string | undefined, options: RecordOptions) =>
    exit(await record(kernel, options)),
  )
}

async function record(kernel: string | undefined, options: RecordOptions): Promise<number> {
  const config = configOf(options)
  const files = filesOf(options, kernel)
  const description = { config, files, snapshots: SNAPSHOT_POLICY }
  const limit = limitOf(options.maxInstructions)
  if (options.input !== undefined && options.input !== '-') checkReadable(options.input)
  const path = options.output ?? `${files.kernel.name.replace(/\.(elf|bin|img)$/i, '')}.kaal`
  const output = new GuestOutput()
  // The machine is built first: what cannot be loaded must not cost an old trace.
  let force = false
  const writer = (): TraceWriter =>
    TraceWriter.create(path, { kaal: VERSION, machine: machineRecord(description), images: imageFiles(files), force })
  const recorder = new Recorder({ ...description, writer, onTransmit: output.put })
  recorder.execution.machine.cpu.setEngine(options.engine)
  for (const warning of recorder.execution.machine.boot.warnings) say(warning)
  force = await mayReplace(path, options.force === true)

  const interactive = options.input === undefined && process.stdin.isTTY
  const started = process.hrtime.bigint()
  const progress = new Progress({
    unit: 'instructions',
    besideOutput: true,
    ...(Number.isFinite(limit) && { total: limit }),
  })
  const stop = (): void => recorder.stop()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  let restore = (): void => {}
  let failed: Error | undefined
  if (interactive) restore = feedFromTerminal(recorder)
  else if (options.input === undefined) recorder.endInput()
  else {
    restore = feedFrom(options.input, recorder, (error) => {
      failed = error
      recorder.stop()
    })
  }
  let result: RecordResult
  try {
    const onProgress = (icount: number): void => progress.show(icount)
    result = await recorder.run({ maxInstructions: limit, interactive, onProgress })
  } finally {
    restore()
    output.flush()
    progress.clear()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop)
  }
  if (failed) throw failed
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  say(result.message)
  say(
    `${formatPosition(result.instructions)} instructions in ${seconds.toFixed(2)} s, ${(result.instructions / seconds / 1e6).toFixed(1)} MIPS; ${path}, ${statSync(path).size} bytes`,
  )
  say(`final digest ${result.finalDigest}`)
  if (result.testsFailed > 0) say(`the guest reports ${result.testsFailed} failed`)
  if (result.end === 'unsupported') return Exit.CANNOT_TELL
  const bad = result.end === 'fault-loop' || result.end === 'asleep' || result.testsFailed > 0
  return bad ? Exit.BAD : Exit.GOOD
}

/** How many instructions to record. */
function limitOf(text: string | undefined): number {
  if (text === undefined) return Infinity
  const limit = parsePosition('--max-instructions', text, Infinity)
  if (limit < 1) throw new UsageError(`--max-instructions ${text}: give 1 or more`)
  return limit
}

/** Whether a file may be replaced: asked for, or agreed to on the terminal. False if there is none to replace. */
async function mayReplace(path: string, force: boolean): Promise<boolean> {
  if (force || !existsSync(path)) return force
  const refusal = new UsageError(`${path}: exists already: give another name with -o, or --force to replace it`)
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw refusal
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${path} exists; replace it? [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw refusal
  return true
}
