import { writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addAbortSignal, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { reasonOf } from '../errors/index.ts'
import { keepAlive, waitingFor, whenAborted } from '../lifetime/index.ts'
import { InvalidOptionError, type KernelEntry, parseKernelEntry, withConfig } from '../options/index.ts'
import {
  type GdbServer,
  launchVm,
  newStart,
  openSession,
  prepareImage,
  type Start,
  type StartedKernelVm,
  type Step,
  Timeline,
  takeImage,
  type VmRequest,
} from '../vm/index.ts'
import type { Working } from './execute.ts'
import { EXIT_OWN_FAILURE } from './execute.ts'
import { checkVmcorePath, type RunInVmOptions, runInVm, saveAtPanic } from './run-in-vm.ts'

export interface RunArguments extends Working {
  readonly name: string
  /** An image of the engine's store in place of a kernel to build one for; `-` names it on standard input. */
  readonly image: string | undefined
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** File for the guest's memory, when the command fails or the guest panics. */
  readonly vmcore: string | undefined
  /** Whether to say how gdb is attached. */
  readonly gdb: boolean | undefined
  /** Whether the VM of a command that failed stays until a signal. */
  readonly keepOnFailure: boolean | undefined
  /** Whether to draw where the time of the start went. */
  readonly timings: boolean | undefined
  /** Empty: stay up until a signal. */
  readonly command: readonly string[]
}

/** @returns the exit status of the command; 125 when the VM went away under it */
export async function run(args: RunArguments): Promise<number> {
  const { command, vmcore, gdb, keepOnFailure, timings, settings, log, progress, signal } = args
  if (vmcore !== undefined) await checkVmcorePath(vmcore)
  const ref = args.image === '-' ? await readImageArgument(process.stdin, { signal, log }) : args.image
  const entry = entryOf(args, ref)
  const timeline = new Timeline()
  const onBuildStatus = progress.update.bind(progress)
  const session = await timeline.time('engine', () => openSession({ settings, log, signal, onBuildStatus }))
  const start = newStart(session, { hostname: entry.name, timeline, signal })
  const wanted = { session, entry }
  const image = await timeline.time('image', async () =>
    ref === undefined ? (await prepareImage(wanted, start)).ref : await takeImage(ref, wanted, start),
  )
  // What comes next is the VM's, and then the command's: the picture of the build must not move any more.
  progress.end()
  const onStarted = async (vm: StartedKernelVm) => {
    if (timings) process.stderr.write(drawTimings(vm.steps))
    if (gdb) log.info(await offerGdb(vm))
  }
  const request = { ...wanted, image }
  if (command.length === 0) return await stayUp(request, start, { vmcore, onStarted })
  const onFailed = keepOnFailure ? (vm: StartedKernelVm) => keep(vm, { log, signal }) : undefined
  const handlers = { vmcore, onStarted, ...(onFailed !== undefined && { onFailed }) }
  const outcome = await runInVm(request, start, { command, environment: settings.environment, ...handlers })
  return outcome.kind === 'exited' ? outcome.status : EXIT_OWN_FAILURE
}

function entryOf({ name, kernel, config, options }: RunArguments, image: string | undefined): KernelEntry {
  if (image !== undefined) return parseKernelEntry(name, { ...options, kernel: `docker-image://${image}` })
  return parseKernelEntry(name, { ...options, kernel: withConfig(kernel, config) })
}

async function stayUp(
  request: VmRequest,
  start: Start,
  { vmcore, onStarted }: Required<Pick<RunInVmOptions, 'vmcore' | 'onStarted'>>,
): Promise<number> {
  await using vm = await launchVm(request, start)
  if (vmcore !== undefined) await saveAtPanic(vm, vmcore, start)
  await onStarted(vm)
  process.stdout.write(shellExports(vm.environment))
  process.stderr.write('The VM is up. Ctrl-C ends it.\n')
  await untilAborted(AbortSignal.any([start.signal, vm.gone]))
  if (vm.gone.aborted) throw vm.gone.reason
  return 0
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  const letGo = keepAlive()
  await whenAborted(signal)
  letGo()
}

/** The command's status is passed on, whatever becomes of the VM. */
async function keep(vm: StartedKernelVm, { log, signal }: Pick<Working, 'log' | 'signal'>): Promise<void> {
  const { waysInto } = await import('../matrix/index.ts')
  log.info('the command failed, and its VM is kept until Ctrl-C:')
  for (const line of waysInto(vm)) log.info(`  ${line}`)
  await untilAborted(AbortSignal.any([signal, vm.gone]))
  if (vm.gone.aborted) log.warn(reasonOf(vm.gone.reason))
}

type Debugged = Pick<StartedKernelVm, 'kernelRelease'> & { readonly entry: Pick<KernelEntry, 'reference'> }

/** @returns how gdb is attached, in lines */
async function offerGdb(vm: StartedKernelVm): Promise<string> {
  const server = await vm.debugger.openGdb()
  // It goes with the socket.
  await writeFile(moduleScriptOf(server), moduleCommands(vm, server), { mode: 0o600 })
  return attachWords(vm, server)
}

function moduleScriptOf({ socket }: Pick<GdbServer, 'socket'>): string {
  return join(dirname(socket), 'modules.gdb')
}

function symbolsFor({ kernelRelease, entry }: Debugged, { debugInfo }: Pick<GdbServer, 'debugInfo'>): Symbols {
  return debugInfo === undefined ? symbolsOf(entry.reference, kernelRelease) : copyOf(debugInfo)
}

/** What gdb is told of each module. Its script ends at the first file that it does not find: those that nobody knows are comments. */
export function moduleCommands(vm: Debugged, server: Pick<GdbServer, 'debugInfo' | 'modules'>): string {
  const { moduleFile } = symbolsFor(vm, server)
  return server.modules
    .map(({ name, file, sections: { '.text': text = 0n, ...others } }) => {
      const hex = (address: bigint) => `0x${address.toString(16)}`
      const more = Object.entries(others).map(([section, address]) => ` -s ${section} ${hex(address)}`)
      const [begin, path] = file === undefined ? ['# ', `${name}.ko`] : ['', moduleFile(file)]
      return `${begin}add-symbol-file ${path} ${hex(text)}${more.join('')}\n`
    })
    .join('')
}

/** How gdb is attached to a VM, in lines: the command, and where what it reads is had. */
export function attachWords(vm: Debugged, server: GdbServer): string {
  const { socket, kernelOffset, modules } = server
  const { vmlinux, from } = symbolsFor(vm, server)
  const strange = modules.filter(({ file }) => file === undefined).map(({ name }) => name)
  const moved = kernelOffset === undefined ? '' : `-o 0x${kernelOffset.toString(16)} `
  return [
    'gdb finds the VM, which stands still as long as gdb is there:',
    `  gdb -ex 'target remote ${socket}' -ex 'symbol-file ${moved}${vmlinux}' -x ${moduleScriptOf(server)}`,
    ...(from === undefined ? [] : [`  ${vmlinux} is ${from}`]),
    `  modules.gdb has those of the modules that are loaded: ${modules.length - strange.length}`,
    ...(strange.length === 0 ? [] : [`  comments in it, because nobody knows their files: ${strange.join(', ')}`]),
    ...(kernelOffset === undefined
      ? ['  its kernel does not say how far KASLR has moved it: --kernel-argument nokaslr leaves it where vmlinux says']
      : []),
  ].join('\n')
}

interface Symbols {
  /** The file with those of the kernel itself. */
  readonly vmlinux: string
  /** Where they are had, if not there. */
  readonly from?: string
  /** The file with those of a module, by that below `/lib/modules/RELEASE/`. */
  readonly moduleFile: (file: string) => string
}

/** Of a kernel whose image has it, with that of its modules. */
function copyOf({ image, path }: NonNullable<GdbServer['debugInfo']>): Symbols {
  const [parent, name] = [dirname(path), basename(path)]
  const copy = `docker run --rm --network none --entrypoint tar ${image} -C ${parent} -c ${name} | tar -x`
  const from = `in the kernel's image, beside its modules: ${copy}`
  return { vmlinux: `${name}/vmlinux`, from, moduleFile: (file) => `${name}/modules/${basename(file)}` }
}

function symbolsOf(kernel: KernelEntry['reference'], release: string | undefined): Symbols {
  // Where a build leaves them: installing puts `kernel/` in front.
  const inTree = (tree: string) => (file: string) => join(tree, file.replace(/^kernel\//, ''))
  if (kernel.kind === 'local' && basename(kernel.vmlinuz) === 'vmlinux')
    return { vmlinux: kernel.vmlinuz, moduleFile: inTree(dirname(kernel.vmlinuz)) }
  if (kernel.kind === 'debian' && release !== undefined) {
    const from = `in Debian's package linux-image-${release}-dbg`
    const debug = '/usr/lib/debug'
    const moduleFile = (file: string) => `${debug}/lib/modules/${release}/${file}`
    return { vmlinux: `${debug}/boot/vmlinux-${release}`, from, moduleFile }
  }
  const from = 'what the build of this kernel left under that name, with CONFIG_DEBUG_INFO'
  return { vmlinux: 'vmlinux', from, moduleFile: inTree('') }
}

/** Silent at first: what writes there may be showing its progress on our terminal. */
const SAID_AFTER_MS = 10_000

interface ReadImageOptions extends Pick<Working, 'signal' | 'log'> {
  /** @default 10_000 */
  readonly saidAfterMs?: number
}

/**
 * The image that is named on standard input, which is read to its end.
 * @throws InvalidOptionError
 */
export async function readImageArgument(
  stream: Readable,
  { signal, log, saidAfterMs = SAID_AFTER_MS }: ReadImageOptions,
): Promise<string> {
  const what = 'the name of an image on standard input'
  using _wait = waitingFor(what)
  const say = () => log.info(`waiting for ${what}; --kernel or \`</dev/null\` waits for none`)
  const timer = setTimeout(say, saidAfterMs)
  const input = await text(addAbortSignal(signal, stream)).finally(() => clearTimeout(timer))
  const [image, ...more] = input.trim().split(/\s+/)
  if (image && more.length === 0) return image
  throw new InvalidOptionError({
    what: image ? 'standard input names more than one image' : 'standard input names no image',
    remedy: 'write `testkernels build | testkernels run`; if the build failed, its error is above',
  })
}

/** Shell code that gives a shell this environment: `eval "$(...)"`, or to be copied. */
export function shellExports(environment: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(environment)
    .map(([name, value]) =>
      value === undefined ? `unset ${name}\n` : `export ${name}='${value.replaceAll("'", "'\\''")}'\n`,
    )
    .join('')
}

const BAR_COLUMNS = 48

/**
 * Where the time of a start went, as bars below one another on one scale:
 *
 *     image      0.06 s  █
 *     container  0.24 s   ████████
 */
export function drawTimings(steps: readonly Step[]): string {
  const ordered = steps.toSorted((one, other) => one.fromMs - other.fromMs || other.toMs - one.toMs)
  const endMs = Math.max(...ordered.map(({ toMs }) => toMs), 1)
  const nameColumns = Math.max(...ordered.map(({ name }) => name.length))
  const column = (ms: number) => Math.floor((ms / endMs) * BAR_COLUMNS)
  const lines = ordered.map(({ name, fromMs, toMs }) => {
    // The shortest step is seen, too.
    const bar = '█'.repeat(Math.max(1, column(toMs) - column(fromMs)))
    const seconds = ((toMs - fromMs) / 1000).toFixed(2).padStart(6)
    return `${name.padEnd(nameColumns)} ${seconds} s  ${' '.repeat(Math.min(column(fromMs), BAR_COLUMNS - 1))}${bar}\n`
  })
  return lines.join('')
}
