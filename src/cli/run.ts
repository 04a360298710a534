import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { reasonOf } from '../errors/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { openHost, type StartedKernelVm, startVm } from '../vm/index.ts'
import { CommandNotFoundError } from './errors.ts'
import { EXIT_OWN_FAILURE, exitCodeOf, InterruptedError } from './exit.ts'
import { shellExports } from './shell-exports.ts'
import type { Terminal } from './terminal.ts'

export interface RunArguments extends Terminal {
  readonly name: string
  /** The options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** Empty: stay up until a signal. */
  readonly command: readonly string[]
  readonly signal: AbortSignal
}

/** @returns the exit status of the command; 125 when the VM went away under it */
export async function run({ name, options, command, settings, log, progress, signal }: RunArguments): Promise<number> {
  const entry = parseKernelEntry(name, options)
  try {
    const host = await openHost({ settings, log, signal })
    const onBuildStatus = progress.update.bind(progress)
    await using vm = await startVm({ host, entry, log, signal, onBuildStatus })
    return command.length === 0 ? await stayUp(vm, signal) : await runCommand(vm, command, signal)
  } catch (thrown) {
    if (signal.aborted && signal.reason instanceof InterruptedError) return signal.reason.exitCode
    throw thrown
  }
}

async function stayUp(vm: StartedKernelVm, signal: AbortSignal): Promise<number> {
  process.stdout.write(shellExports(vm.environment))
  process.stderr.write('The VM is up. Ctrl-C ends it.\n')
  await aborted(AbortSignal.any([signal, vm.gone]))
  if (vm.gone.aborted) throw vm.gone.reason
  return 0
}

async function runCommand(
  vm: StartedKernelVm,
  [program = '', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...vm.environment } })
  // A terminal sends Ctrl-C to the command itself; other signals reach only us.
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  const [code, killedBy] = (await once(child, 'exit').catch((cause) => {
    throw new CommandNotFoundError({ what: `cannot run '${program}'`, cause, remedy: 'check the command after --' })
  })) as [number | null, NodeJS.Signals | null]
  if (vm.gone.aborted) {
    process.stderr.write(`${reasonOf(vm.gone.reason)}\n`)
    return EXIT_OWN_FAILURE
  }
  return killedBy === null ? (code ?? 0) : exitCodeOf(killedBy)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    // A listener alone keeps no process alive.
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      resolve()
    })
  })
}
