import { parseKernelEntry, withConfig } from '../options/index.ts'
import { openHost, type StartedKernelVm, startVm } from '../vm/index.ts'
import { runCommand } from './command.ts'
import type { Working } from './execute.ts'
import { shellExports } from './shell-exports.ts'

export interface RunArguments extends Working {
  readonly name: string
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** Empty: stay up until a signal. */
  readonly command: readonly string[]
}

/** @returns the exit status of the command; 125 when the VM went away under it */
export async function run({
  name,
  kernel,
  config,
  options,
  command,
  settings,
  log,
  progress,
  signal,
}: RunArguments): Promise<number> {
  const entry = parseKernelEntry(name, { ...options, kernel: withConfig(kernel, config) })
  const host = await openHost({ settings, log, signal })
  const onBuildStatus = progress.update.bind(progress)
  await using vm = await startVm({ host, entry, log, signal, onBuildStatus })
  return command.length === 0 ? await stayUp(vm, signal) : await runCommand({ vm, argv: command, signal })
}

async function stayUp(vm: StartedKernelVm, signal: AbortSignal): Promise<number> {
  process.stdout.write(shellExports(vm.environment))
  process.stderr.write('The VM is up. Ctrl-C ends it.\n')
  await aborted(AbortSignal.any([signal, vm.gone]))
  if (vm.gone.aborted) throw vm.gone.reason
  return 0
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    // A listener alone keeps no process alive.
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener(
      'abort',
      () => {
        clearInterval(alive)
        resolve()
      },
      { once: true },
    )
  })
}
