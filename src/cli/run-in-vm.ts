import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { formatError, reasonOf, TestkernelsError } from '../errors/index.ts'
import { Disposals, orAborted, sayWhatKeeps, waitingFor } from '../lifetime/index.ts'
import { followLines, type Logger } from '../log/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import {
  lastKernelReports,
  launchVm,
  type Start,
  type StartedKernelVm,
  type VmcoreOptions,
  type VmKernelReport,
  type VmRequest,
} from '../vm/index.ts'
import { startCommandWatcher } from './command-watcher.ts'
import { EXIT_OWN_FAILURE, exitCodeOf, InterruptedError } from './execute.ts'

/** A test runner's report may be one line; in characters. */
const LONGEST_LINE = 16 * 1024 * 1024

/** The command to run is not there, or cannot be executed. */
export class CommandNotFoundError extends TestkernelsError {
  readonly code = 'COMMAND_NOT_FOUND'
}

/** How a command ended that was run in a VM. */
export type Outcome =
  | {
      readonly kind: 'exited'
      readonly status: number
      /** What the kernel reported meanwhile that fails what runs on it, as titles. */
      readonly reported: readonly string[]
    }
  /** The VM did not start, or died; `why` in one line. */
  | { readonly kind: 'vm-failed'; readonly why: string }

export interface RunInVmOptions {
  readonly command: readonly string[]
  /** What the command has besides the VM's variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Takes its lines; it then has nothing to read. @default this process's streams */
  readonly output?: CommandOutput
  /** File for the guest's memory, when the command fails or the guest panics. @default it goes with the VM */
  readonly vmcore?: string | undefined
  /** Gets the VM before the command begins. */
  readonly onStarted?: (vm: StartedKernelVm) => unknown
  /** Gets the VM when the command has ended, dead or alive, and the command's status. */
  readonly onEnded?: (vm: StartedKernelVm, status: number) => unknown
  /** Gets the VM of a command that has failed, alive, before it ends; what becomes of it meanwhile changes no outcome. */
  readonly onFailed?: (vm: StartedKernelVm) => unknown
}

/**
 * Starts the VM of an entry, runs one command with its environment, and ends both.
 * @throws as `launchVm`; CommandNotFoundError; the signal's reason
 */
export async function runInVm(request: VmRequest, start: Start, options: RunInVmOptions): Promise<Outcome> {
  const { command, environment, output, vmcore, onStarted, onEnded, onFailed } = options
  // Before the VM, so that its end is part of it.
  await using ending = new Disposals()
  await using vm = await launchVm(request, start)
  if (vmcore !== undefined) await saveAtPanic(vm, vmcore, start)
  await onStarted?.(vm)
  const status = await runCommand({
    vm: { environment: { ...vm.environment, TESTKERNELS_ENTRY: vm.name }, gone: vm.gone },
    argv: command,
    environment,
    // A command that waits for a VM that is gone would wait for ever.
    signal: AbortSignal.any([start.signal, vm.gone]),
    ...(output !== undefined && { output }),
  })
  const reports = vm.gone.aborted ? [] : await reportsOf(vm, start.signal)
  // A panic has been told of once its memory is saved.
  const runs = vmcore === undefined || (await vm.debugger.settled()) === 'runs'
  const isWanted = runs && status !== 0 && !vm.gone.aborted && !start.signal.aborted
  if (vmcore !== undefined && isWanted) await saveAfterFailure(vm, vmcore, start)
  await onEnded?.(vm, status)
  if (status !== 0 && !vm.gone.aborted && !start.signal.aborted) await onFailed?.(vm)
  const slow = sayWhatKeeps((waits) => start.log.info(`still ending the VM${waits}`))
  ending.defer('what is said of a slow end', () => slow[Symbol.dispose]())
  if (vm.gone.aborted) return { kind: 'vm-failed', why: firstLine(reasonOf(vm.gone.reason)) }
  const reported = reports.filter(({ verdict }) => verdict === 'fail').map(({ title }) => title)
  return { kind: 'exited', status, reported }
}

/** Who has called the run off does not wait for what the kernel has lost. @throws as `lastKernelReports`; the signal's reason */
function reportsOf(vm: StartedKernelVm, signal: AbortSignal): Promise<readonly VmKernelReport[]> {
  return signal.aborted ? vm.settleKernelReports() : orAborted(lastKernelReports(vm), signal)
}

/** @throws InvalidOptionError, before anything is started */
export async function checkVmcorePath(path: string): Promise<void> {
  const directory = dirname(resolve(path))
  try {
    await access(directory, constants.W_OK)
  } catch (cause) {
    throw new InvalidOptionError({
      what: `--vmcore: nothing can be written to ${directory}`,
      remedy: 'name a file in a directory that is there, and that this user can write',
      cause,
    })
  }
}

/** The command's failure is what the run ends with, whatever becomes of this. */
async function saveAfterFailure(vm: StartedKernelVm, path: string, { log, signal }: Telling): Promise<void> {
  log.info(`the command failed: saving the memory of its VM to ${path}`)
  try {
    const saved = await vm.debugger.saveVmcore(path, { signal, onProgress: tellQuarters(log) })
    log.info(`its memory is in ${saved.path}`)
  } catch (thrown) {
    log.warn(formatError(thrown))
  }
}

type Telling = Pick<Start, 'log' | 'signal'>

/** From now on, should it panic. */
export async function saveAtPanic(vm: StartedKernelVm, path: string, { log, signal }: Telling): Promise<void> {
  await vm.debugger.saveVmcoreAtPanic(path, { signal, onProgress: tellQuarters(log) })
}

/** Says at each quarter but the last how far it is. */
export function tellQuarters(log: Logger): NonNullable<VmcoreOptions['onProgress']> {
  let told = 0
  return ({ writtenBytes, totalBytes }) => {
    const quarter = Math.floor((writtenBytes / totalBytes) * 4)
    if (quarter <= told || quarter === 4) return
    told = quarter
    log.info(`saved ${quarter * 25} % of ${Math.round(totalBytes / 1024 ** 2)} MiB`)
  }
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text
}

export interface CommandOptions {
  readonly vm: Pick<StartedKernelVm, 'environment' | 'gone'>
  readonly argv: readonly string[]
  /** What it has besides the VM's variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends the command. */
  readonly signal: AbortSignal
  /** Takes its lines; it then has nothing to read. @default this process's streams */
  readonly output?: CommandOutput
}

export interface CommandOutput {
  readonly stdout: (line: string) => void
  readonly stderr: (line: string) => void
}

/**
 * Runs the user's command with the VM's environment.
 * @returns its exit status; 128 and the signal's number when one killed it, or us and hence it; 125 when the VM went away under it
 * @throws CommandNotFoundError
 */
export async function runCommand({ vm, argv, environment, signal, output }: CommandOptions): Promise<number> {
  const [program = '', ...args] = argv
  signal.throwIfAborted()
  const watcher = startCommandWatcher()
  const env = { ...environment, ...vm.environment, ...watcher.environment }
  const child = spawn(program, args, { stdio: output === undefined ? 'inherit' : ['ignore', 'pipe', 'pipe'], env })
  watcher.watch(child)
  if (output !== undefined) passLines(child, output)
  // A terminal sends Ctrl-C to the command itself; other signals reach only us.
  const terminate = () => void child.kill('SIGTERM')
  // The second signal ends this process, and with it the VM; the command is of no use then.
  process.once('exit', watcher.kill)
  signal.addEventListener('abort', terminate, { once: true })
  using _wait = waitingFor(`'${program}' to end`)
  try {
    const [code, killedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    if (vm.gone.aborted) {
      const report = output?.stderr ?? ((line) => process.stderr.write(`${line}\n`))
      report(formatError(vm.gone.reason))
      return EXIT_OWN_FAILURE
    }
    if (killedBy === null) return code ?? 0
    // Whichever signal of ours it took, it ended because we got this one.
    return signal.reason instanceof InterruptedError ? signal.reason.exitCode : exitCodeOf(killedBy)
  } catch (cause) {
    throw new CommandNotFoundError({ what: `cannot run '${program}'`, cause, remedy: 'check the command after --' })
  } finally {
    signal.removeEventListener('abort', terminate)
    process.off('exit', watcher.kill)
    watcher.ended()
  }
}

function passLines({ stdout, stderr }: ChildProcess, output: CommandOutput): void {
  // How it ends is told by its status, and not by its streams.
  const pass = (stream: Readable | null, onLine: (line: string) => void) =>
    stream && followLines(stream, { onLine, onFailure: () => {}, unfinished: 'take' }, { longest: LONGEST_LINE })
  pass(stdout, output.stdout)
  pass(stderr, output.stderr)
}
