/** `kaal record`: boots a kernel and writes everything down. */
import { createReadStream, existsSync, rmSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { BootFiles } from '../../devices/loader/boot.js'
import { planBoot } from '../../devices/loader/boot.js'
import type { MachineConfig } from '../../devices/config.js'
import { imageFiles, machineRecord } from '../../replay/description.js'
import { SNAPSHOT_INTERVAL } from '../../replay/execution.js'
import { type RecordEnd, type RecordResult, Recorder } from '../../replay/recorder.js'
import { TraceWriter } from '../../trace/writer.js'
import { type ExitCode, Exit, UsageError, explainError } from '../errors.js'
import { fileError, readInputFile, version } from '../files.js'
import { type MachineFlags, addMachineOptions, kernelPath, machineConfig, readBootFiles } from '../options.js'
import { Progress, out, say } from '../output.js'
import { grouped, parseNumber } from '../positions.js'
import { takeTerminal } from '../terminal.js'
import type { AddVerb } from './verb.js'

interface Flags extends MachineFlags {
  readonly output?: string
  readonly force?: true
  readonly input?: string
  readonly maxInstructions?: number
}

/** What the end of a recording says about the guest. */
const EXITS: Readonly<Record<RecordEnd, ExitCode>> = {
  'power-off': Exit.GOOD,
  stopped: Exit.GOOD,
  limit: Exit.GOOD,
  asleep: Exit.BAD,
  'fault-loop': Exit.BAD,
  unsupported: Exit.CANNOT_TELL,
}

export const addRecord: AddVerb = (program, done) => {
  const command = program
    .command('record [kernel]')
    .description('boot a kernel (an ELF or an arm64 Image; by default the KaaL that comes with kaal) and record it')
    .option('-o, --output <trace>', "the trace to write (default: the kernel's name with .kaal, in this folder)")
    .option('-f, --force', 'replace the trace if it exists')
    .option('--input <file>', "bytes for the guest's UART; - is standard input")
    .option('--max-instructions <n>', 'stop after so many instructions', (text) =>
      parseNumber('--max-instructions', text, 1, 'a number of instructions such as 10_000_000'),
    )
  addMachineOptions(command)
  command.addHelpText('after', '\nOn a terminal your keys go to the guest: Ctrl-A x ends, Ctrl-A a sends Ctrl-A.')
  command.action(async (argument: string | undefined, flags: Flags) => {
    const kernel = kernelPath(argument, flags)
    const path = flags.output ?? `${basename(kernel).replace(/\.(elf|bin|img)$/i, '')}.kaal`
    const config = machineConfig(flags)
    const files = readBootFiles(kernel, flags)
    const input = readInput(flags.input)
    const plan = planBoot(files, {
      ramBytes: config.memoryBytes,
      virtualization: config.virtualization,
      append: config.append,
    })
    for (const warning of plan.warnings) say(`kaal: ${warning}`)
    const force = flags.force === true || (await mayReplace(path))
    const recorder = open(path, config, files, force)
    const started = performance.now()
    const result = await record(recorder, input, flags.maxInstructions)
    await out.drain()
    summarize(path, result, (performance.now() - started) / 1000)
    done(result.testsFailed > 0 ? Exit.BAD : EXITS[result.end])
  })
}

/** Asks whether to replace a trace that exists; without a terminal to ask on, the writer refuses it. */
async function mayReplace(path: string): Promise<boolean> {
  if (!existsSync(path) || !process.stdin.isTTY || !process.stderr.isTTY || statSync(path).isDirectory()) return false
  const ask = createInterface({ input: process.stdin, output: process.stderr })
  ask.on('SIGINT', () => ask.close())
  try {
    const answer = await new Promise<string>((resolve) => {
      ask.on('close', () => resolve(''))
      void ask.question(`${path} exists. Replace it? [y/N] `).then(resolve)
    })
    if (/^y(es)?$/i.test(answer.trim())) return true
  } finally {
    ask.close()
  }
  throw new UsageError(`${path}: kept as it is; give another name with -o`)
}

function open(path: string, config: MachineConfig, files: BootFiles, force: boolean): Recorder {
  const description = { config, files, snapshotInterval: SNAPSHOT_INTERVAL }
  const writer = TraceWriter.create(path, {
    kaal: version(),
    machine: machineRecord(description),
    images: imageFiles(files),
    force,
  })
  try {
    return new Recorder({ ...description, writer, onTransmit: (byte) => out.byte(byte) })
  } catch (error) {
    writer.abort()
    rmSync(path, { force: true })
    if (error instanceof RangeError)
      throw new UsageError(`-m ${config.memoryBytes / 2 ** 20}M: this host has no room for so much: ${error.message}`)
    throw error
  }
}

/** Where the guest's input comes from: bytes read already, or a stream's path ('-' is standard input). */
type Input = Uint8Array | string | undefined

function readInput(path: string | undefined): Input {
  if (path === undefined || path === '-') return path
  try {
    return statSync(path).isFile() || statSync(path).isDirectory() ? readInputFile(path) : path
  } catch (error) {
    throw fileError(path, error)
  }
}

async function record(recorder: Recorder, input: Input, maxInstructions: number | undefined): Promise<RecordResult> {
  const typing = input === undefined && process.stdin.isTTY
  const stop = () => recorder.stop()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, stop)
  out.whenClosed(stop)
  const endInput = typing ? type(recorder) : feed(recorder, input)
  const progress = new Progress()
  try {
    return await recorder.run({
      ...(maxInstructions !== undefined && { maxInstructions }),
      interactive: typing,
      // Where the guest's own output is seen, it is progress enough.
      ...(!process.stdout.isTTY && { onProgress: (icount) => progress.show(`${grouped(icount)} instructions`) }),
    })
  } finally {
    progress.clear()
    endInput()
    for (const signal of signals) process.off(signal, stop)
  }
}

function type(recorder: Recorder): () => void {
  say('kaal: recording; keys go to the guest, Ctrl-A x ends')
  return takeTerminal({
    keys: (bytes) => recorder.send(bytes),
    end: () => recorder.stop(),
    help: () => say('\r\nkaal: Ctrl-A x ends the recording, Ctrl-A a sends Ctrl-A'),
  })
}

function feed(recorder: Recorder, input: Input): () => void {
  if (typeof input !== 'string') {
    if (input) recorder.send(input)
    recorder.endInput()
    return () => {}
  }
  const stream = input === '-' ? process.stdin : createReadStream(input)
  stream.on('data', (chunk: Buffer | string) => recorder.send(Buffer.from(chunk)))
  stream.on('end', () => recorder.endInput())
  stream.on('error', (error: Error) => {
    say(`${explainError(fileError(input === '-' ? 'standard input' : input, error))}; no more input comes`)
    recorder.endInput()
  })
  return () => stream.destroy()
}

function summarize(path: string, result: RecordResult, seconds: number): void {
  const { instructions, finalDigest, message, testsFailed } = result
  const speed = (instructions / 1e6 / Math.max(seconds, 1e-3)).toFixed(1)
  say(`kaal: ${message}${testsFailed > 0 ? `; it reports ${testsFailed} failed tests` : ''}`)
  say(`kaal: ${grouped(instructions)} instructions in ${seconds.toFixed(2)} s, ${speed} MIPS`)
  say(`kaal: ${path}, ${grouped(statSync(path).size)} bytes, final digest ${finalDigest}`)
}
