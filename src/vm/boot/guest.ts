import type { TestkernelsError } from '../../errors/index.ts'
import type { Box, BoxExit, BoxNetwork } from '../../host/index.ts'
import { type Deadline, orAborted, reasonInTime } from '../../lifetime/index.ts'
import { egressWords, type KernelEntry } from '../../options/index.ts'
import {
  type ControlConnection,
  connectControl,
  connectQmp,
  type DiskRange,
  imagePaths,
  type QmpConnection,
  qemuArguments,
} from '../../qemu/index.ts'
import { describeUnusable, mayBeUnusable, type TemplateUse } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { describeDeath, describeUnresolved, watchForDeath } from '../death/death.ts'
import { lostVm, type QemuWatch, watchQemu } from '../death/diagnosis.ts'
import { CONTROL_SOCKET, MONITOR_SOCKET } from '../guest-settings.ts'
import { sendImages } from '../preload.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'
import { silenceDeadline } from './deadlines.ts'

export interface BoxUse {
  /** The template that the VM comes from or becomes, if any. */
  readonly use?: TemplateUse | undefined
  /**
   * Whether the VM is on its entry's network: not one that only becomes a template or takes a state, which would have the place of a VM.
   * @default 'apart'
   */
  readonly network?: 'joined' | 'apart'
  /** Calls it off. */
  readonly signal: AbortSignal
  /** Of the boot: its clock stands still while images are copied. */
  readonly deadline?: Pick<Deadline, 'pause'> | undefined
}

/** Starts the box and connects to its guest, which boots, or is there to be restored. */
export async function startGuest(attempt: Attempt, use: BoxUse): Promise<Guest> {
  return await guestIn(await startBox(attempt, use), attempt, use)
}

export async function startBox(attempt: Attempt, use: BoxUse): Promise<Box> {
  using _step = attempt.start.timeline.step('container')
  return attempt.resources.use('box', await runVmBox(attempt, use))
}

/**
 * Threads of QEMU for CPUs and disks (it has 64 for those at most), what starts it, and where the engine is elsewhere a process for each of 224
 * connections (host/docker/machine.ts).
 */
const MAX_PROCESSES = 448

/**
 * What QEMU has beside the guest's RAM: under emulation up to 1 GiB of translated code (its manual, `tb-size`), else little. An
 * attacker who has taken it over cannot take the machine's memory.
 */
const QEMU_MEMORY_MIB = 1_536

/** Its entrypoint cannot write these: that the box passes packets of IPv6 on, and that devices which it makes have IPv6. */
const IPV6_ROUTER = { 'net.ipv6.conf.all.forwarding': '1', 'net.ipv6.conf.default.disable_ipv6': '0' }

/**
 * Starts QEMU in a box of the entry's image. Not privileged: the entrypoint makes the network with NET_ADMIN (tap device,
 * addresses, rules), becomes QEMU's user with SETUID and SETGID, and drops all four with SETPCAP before QEMU starts.
 */
function runVmBox({ plan, start, runDirectory }: Attempt, { use, network, signal }: BoxUse): Promise<Box> {
  const { session, entry, image, machine } = plan
  const { path: directory, owner } = runDirectory
  return session.host.run(
    {
      image,
      entry: entry.name,
      command: qemuArguments({ ...machine, ...use?.machine }),
      environment: {
        TESTKERNELS_UID: String(owner.uid),
        TESTKERNELS_GID: String(owner.gid),
        TESTKERNELS_SCRATCH_MIB: String(entry.scratchMib),
        ...egressVariable(entry),
        ...(machine.ipv6 === 'routed' && { TESTKERNELS_IPV6: '1' }),
        TESTKERNELS_RUN_DIR: imagePaths.runDirectory,
        TESTKERNELS_ATTACHED: '1',
        ...(machine.preload === 'disk' &&
          use?.machine.start !== 'stopped' && { TESTKERNELS_PRELOAD: imagePaths.preload }),
        ...use?.environment,
      },
      mounts: [
        { kind: 'sockets', directory, target: imagePaths.runDirectory, owner },
        { kind: 'scratch', target: imagePaths.scratchDirectory },
        ...(use?.mounts ?? []),
      ],
      devices: ['/dev/net/tun', ...(machine.accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      network: 'reachable',
      ...(machine.ipv6 === 'routed' && { sysctls: IPV6_ROUTER }),
      joins: network === 'joined' ? networkOf(entry, start) : undefined,
      maxProcesses: MAX_PROCESSES,
      memoryMib: machine.memoryMib + QEMU_MEMORY_MIB,
    },
    { signal, log: start.log },
  )
}

/** All who name a network meet there, whichever process has them. */
function networkOf({ network }: KernelEntry, { hostname }: Attempt['start']): BoxNetwork | undefined {
  return network === 'none' ? undefined : { network: `testkernels-${network}`, name: hostname }
}

/** The box holds its guest to it, before it runs: neither a template nor a guest has it, and no guest can change it. */
function egressVariable({ egress }: KernelEntry): Readonly<Record<string, string>> {
  const words = egressWords(egress)
  return words === undefined ? {} : { TESTKERNELS_EGRESS: words.join(' ') || 'none' }
}

/** Connects to the guest in a box. */
export async function guestIn(
  box: Box,
  attempt: Attempt,
  { use, signal: calledOff, deadline }: BoxUse,
): Promise<Guest> {
  const { plan, start, console, resources } = attempt
  const { timeline, log } = start
  const { entry } = plan
  let control: ControlConnection | undefined
  let qemu: QemuWatch | undefined
  let restoring = use?.machine.start === 'stopped'
  const describe = async (exit: BoxExit): Promise<TestkernelsError> => {
    await qemu?.heardOut()
    const { stderr } = box
    const unresolved = describeUnresolved(exit, { stderr: stderr.kept, entry: entry.name })
    if (unresolved !== undefined) return unresolved
    if (restoring && mayBeUnusable(exit)) return describeUnusable(exit, { stderr, entry: entry.name })
    return describeDeath({
      exit,
      entry,
      console,
      control,
      shutdownReason: qemu?.shutdownReason,
      stderr: stderr.tail(10),
    })
  }
  // The console's last lines are the reason: they are read to their end before it is told.
  const ended = Promise.all([box.exited, record(box.stdout, console)])
  // It ends as any other box does, and its end is told with the reason; that it cannot be removed is for who stops the VM to hear.
  const end = () => void box.stop().catch(() => {})
  const { gone, expectEnd, lose } = watchForDeath(
    ended.then(([exit]) => describe(exit)),
    end,
  )
  const signal = AbortSignal.any([calledOff, gone])
  const images = restoring ? [] : await copyImages(box, attempt, { signal, deadline })
  const openControl = async () => {
    const port = await timeline.time('qemu', () => box.dial(CONTROL_SOCKET, signal))
    control = connectControl(port, { log, entry: entry.name, onFault: end })
    resources.defer('control port', control.close)
    return control
  }
  // Together: QEMU makes both sockets when it starts, and each takes round trips where the box is far away.
  const [port, monitor] = await Promise.all([
    openControl(),
    timeline.time('monitor', () => connectMonitor(box, attempt, { gone, signal })),
  ])
  qemu = watchQemu(monitor, { onLost: (diagnosis) => lose(lostVm(diagnosis, entry)), log })
  const proven = () => {
    restoring = false
  }
  return { control: port, monitor, box, images, gone, expectEnd, lose, signal, proven }
}

/** A session with the monitor of the guest's QEMU, for as long as the VM lives: QEMU has one at a time, and says there what happens. */
async function connectMonitor(
  box: Box,
  { plan, start, resources }: Attempt,
  { gone, signal }: Pick<Guest, 'gone' | 'signal'>,
): Promise<QmpConnection> {
  const stream = await box.dial(MONITOR_SOCKET, signal)
  resources.defer('monitor', () => void stream.destroy())
  try {
    return await orAborted(connectQmp(stream, { signal: gone, log: start.log, entry: plan.entry.name }), signal)
  } catch (thrown) {
    throw await whyLost({ box, signal }, thrown)
  }
}

/** A QEMU that ends closes its monitor first, and we hear why a little later. One that does not end is ended: it is of no use. */
export async function whyLost({ box, signal }: Pick<Guest, 'box' | 'signal'>, thrown: unknown): Promise<unknown> {
  const reason = await reasonInTime(signal, thrown)
  if (signal.aborted) return reason
  await box.stop()
  return await reasonInTime(signal, thrown)
}

/** Takes as long as they are large, which is no fault of the boot. */
async function copyImages(
  box: Box,
  { plan, start }: Attempt,
  { signal, deadline }: Pick<BoxUse, 'signal' | 'deadline'>,
): Promise<readonly DiskRange[]> {
  if (plan.preloads.length === 0) return []
  using _pause = deadline?.pause()
  using _step = start.timeline.step('copy images')
  return await orAborted(sendImages(plan.preloads, box, { log: start.log, signal }), signal)
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

/** Waits until the guest's agent runs, and tells apart what was the kernel's time and what was init's. @throws NoSignOfLifeError */
export async function userSpace({ plan, start, console }: Attempt, { control, signal }: Guest): Promise<void> {
  const { timeline } = start
  const fromMs = timeline.nowMs
  using deadline = silenceDeadline(plan.entry, console, signal)
  // A kernel that says something lives, however slow its machine is.
  using _line = console.onLine(deadline.restart)
  const init = await control.phase('init', deadline.signal)
  if (plan.settings !== undefined) control.configure(plan.settings.files)
  const { uptimeS } = await control.phase('command', signal)
  // Both are told when the agent can speak; the guest's own clock knows when they were.
  const initMs = (uptimeS - init.uptimeS) * 1000
  const toMs = timeline.nowMs
  timeline.add({ name: 'kernel', fromMs, toMs: Math.max(fromMs, toMs - initMs) })
  timeline.add({ name: 'init', fromMs: Math.max(fromMs, toMs - initMs), toMs })
}
