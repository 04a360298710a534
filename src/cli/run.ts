import { keepAlive } from '../lifetime/index.ts'
import { type KernelEntry, parseKernelEntry, withConfig } from '../options/index.ts'
import {
  launchVm,
  newStart,
  openSession,
  prepareImage,
  type Start,
  type StartedKernelVm,
  Timeline,
  takeImage,
  type Wanted,
} from '../vm/index.ts'
import { runCommand } from './command.ts'
import type { Working } from './execute.ts'
import { readImageArgument } from './image-argument.ts'
import { shellExports } from './shell-exports.ts'
import { drawTimings } from './timings.ts'

export interface RunArguments extends Working {
  readonly name: string
  /** An image of the engine's store in place of a kernel to build one for; `-` names it on standard input. */
  readonly image: string | undefined
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** Whether to draw where the time of the start went. */
  readonly timings: boolean | undefined
  /** Empty: stay up until a signal. */
  readonly command: readonly string[]
}

/** @returns the exit status of the command; 125 when the VM went away under it */
export async function run(args: RunArguments): Promise<number> {
  const { command, settings, log, progress, signal } = args
  const ref = args.image === '-' ? await readImageArgument(process.stdin, signal) : args.image
  const entry = entryOf(args, ref)
  const timeline = new Timeline()
  const session = await timeline.time('engine', () => openSession({ settings, log, signal }))
  const onBuildStatus = progress.update.bind(progress)
  const start = newStart({ hostname: entry.name, timeline, log, signal, onBuildStatus })
  const image = await timeline.time('image', () =>
    ref === undefined ? builtImage({ session, entry }, start) : takeImage(ref, { session, entry }, start),
  )
  // What comes next is the VM's, and then the command's: the picture of the build must not move any more.
  progress.end()
  await using vm = await launchVm({ session, entry, image }, start)
  if (args.timings) process.stderr.write(drawTimings(vm.steps))
  if (command.length === 0) return await stayUp(vm, signal)
  return await runCommand({ vm, argv: command, environment: settings.environment, signal })
}

function entryOf({ name, kernel, config, options }: RunArguments, image: string | undefined): KernelEntry {
  if (image !== undefined) return parseKernelEntry(name, { ...options, kernel: `docker-image://${image}` })
  return parseKernelEntry(name, { ...options, kernel: withConfig(kernel, config) })
}

async function builtImage(wanted: Wanted, start: Start): Promise<string> {
  return (await prepareImage(wanted, start)).ref
}

async function stayUp(vm: StartedKernelVm, signal: AbortSignal): Promise<number> {
  process.stdout.write(shellExports(vm.environment))
  process.stderr.write('The VM is up. Ctrl-C ends it.\n')
  const letGo = keepAlive()
  await aborted(AbortSignal.any([signal, vm.gone]))
  letGo()
  if (vm.gone.aborted) throw vm.gone.reason
  return 0
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
