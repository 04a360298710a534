import { Readable } from 'node:stream'
import type { ForwardAddress } from '../forward/index.ts'
import { checkHostPort, type KernelEntry } from '../options/index.ts'
import type { Accelerator } from '../qemu/index.ts'
import type { ExecResult, ExitStatus } from '../ssh/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type CopyOptions, type CopySource, type CopyToOptions, copyFrom, copyTo } from './copy.ts'
import type { VmDebugger } from './debugger.ts'
import { type CommandGuest, type ExecOptions, execIn, type ShellOptions, shellIn } from './exec.ts'
import type { VmKernelReport } from './kernel-reports.ts'
import { scanForLeaks } from './memory-leaks.ts'
import type { Fork, ForkOptions, SpareReservation, Step, Timeline } from './start.ts'
import { type Entrance, type EntrancePlace, type WorkerEnvironment, workerEnvironment } from './worker-environment.ts'

interface StartedParts {
  readonly entry: KernelEntry
  readonly booted: BootedVm
  readonly kernelRelease: string | undefined
  readonly accelerator: Accelerator['kind']
  readonly forwards: Readonly<Record<string, ForwardAddress>>
  readonly debugger: VmDebugger
  readonly timeline: Timeline
  readonly openEntrance: (place: EntrancePlace) => Promise<Entrance>
  readonly fork: Fork<StartedKernelVm>
  readonly checkpoint: (options?: ForkOptions) => Promise<Checkpoint<StartedKernelVm>>
  readonly reserveSpares: (count: number) => SpareReservation
  readonly exposeHostPort: (port: number) => Promise<void>
}

/** A VM whose dockerd answers. It lives until `stop()`, or until this process ends. */
export class StartedKernelVm implements AsyncDisposable {
  readonly entry: KernelEntry
  /** What the guest's kernel calls itself, as `uname -r` prints it; undefined where its image does not say. */
  readonly kernelRelease: string | undefined
  /** What runs the guest: KVM, or software emulation. */
  readonly accelerator: Accelerator['kind']
  /** Where the entry's `forwards` are on this machine, by their names. */
  readonly forwards: Readonly<Record<string, ForwardAddress>>
  /** For when its kernel is what is wrong: gdb, and its memory as a file. */
  readonly debugger: VmDebugger
  readonly #booted: BootedVm
  readonly #parts: StartedParts

  constructor(parts: StartedParts) {
    this.entry = parts.entry
    this.kernelRelease = parts.kernelRelease
    this.accelerator = parts.accelerator
    this.debugger = parts.debugger
    this.forwards = parts.forwards
    this.#booted = parts.booted
    this.#parts = parts
  }

  get name(): string {
    return this.entry.name
  }

  /** What the guest calls itself: the entry's name; for a fork, that and a suffix of its own. */
  get hostname(): string {
    return this.#booted.hostname
  }

  /** `unix://` and the path of a socket (mode 0600) that is the guest's /var/run/docker.sock. */
  get dockerHost(): string {
    return this.#booted.docker.dockerHost
  }

  /**
   * The address at which ports that containers publish in the guest are reached: that of the VM's container, or one of this machine's
   * loopback where that is out of reach.
   */
  get address(): string {
    return this.#booted.address
  }

  /** That of IPv6 at the VM's container; `undefined` where the engine's default bridge has none, or `address` is this machine's loopback. */
  get ipv6Address(): string | undefined {
    return this.#booted.guest.box.ipv6Address
  }

  /** Its address on the network that its entry names, at eth1; `undefined` where that is none. */
  get networkAddress(): string | undefined {
    return this.#booted.guest.box.endpoint?.address
  }

  /** The file that receives the guest's console. */
  get consolePath(): string {
    return this.#booted.console.path
  }

  /**
   * What the guest's console says, as strings, each a line: from the first on, and on until the VM ends. The console of a VM that started
   * from a saved one begins where that was saved.
   */
  logs(): Readable {
    return Readable.from(this.#booted.console.follow())
  }

  /** Variables for processes that shall use this VM's dockerd; `undefined` means: unset it. */
  get environment(): WorkerEnvironment {
    return workerEnvironment(this)
  }

  /** Aborts when the VM is gone without having been stopped; its reason is a VmDiedError or a DockerdFailedError. */
  get gone(): AbortSignal {
    return this.#booted.gone
  }

  /**
   * What the guest's kernel reported of itself until now, in order and each title once: warnings, bugs, oopses, what sanitizers and
   * lockdep found, lockups, stalls. What the template's said before it was saved is not among them. None with `kernelReports: 'ignore'`.
   */
  get kernelReports(): readonly VmKernelReport[] {
    return this.#booted.kernelReports.all
  }

  /** Calls the listener at each report of the guest's kernel that comes from now on, until what it returns is disposed. */
  onKernelReport(listener: (report: VmKernelReport) => void): Disposable {
    return this.#booted.kernelReports.onReport(listener)
  }

  /**
   * Resolves to all reports, when everything is known that the kernel has said until now; for a guest that does not answer, within five
   * seconds. Where in the source of its kernel they were is waited for a minute more at the most.
   */
  async settleKernelReports({ onHeard }: { readonly onHeard?: () => void } = {}): Promise<readonly VmKernelReport[]> {
    if (this.entry.kernelReports !== 'ignore') await this.#booted.kernelReports.settle(this.gone, onHeard)
    return this.kernelReports
  }

  /**
   * Has the kernel look for memory that it has lost, and resolves to all reports then. What it had lost as it booted fails nobody where its
   * entry has `kernelReports: { kmemleak: true }`. Takes some six seconds, and more of a kernel with KASAN.
   * @throws LeakScanFailedError for a kernel without kmemleak; as `exec`
   */
  async findMemoryLeaks(): Promise<readonly VmKernelReport[]> {
    await scanForLeaks(this.#guest)
    return await this.settleKernelReports()
  }

  /** Where the kernel's log is: the sequence number of the last line that was read. */
  get kernelLogPosition(): number {
    return this.#booted.kernelReports.through
  }

  /** Where the time of the start went. */
  get steps(): readonly Step[] {
    return this.#parts.timeline.steps
  }

  /**
   * Runs a command in the guest, not in a container; a failing one is a result, not an error. The first one connects to its SSH server.
   * @param command a script for sh, or a program and its arguments, each passed as it is
   * @throws VmDiedError, DockerdFailedError when the VM goes away meanwhile; ExecTimeoutError; InvalidOptionError; SshExecFailedError;
   * SshOutputTooLongError for more than 64 MiB of one output
   */
  exec(command: string | readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return execIn(this.#guest, command, options)
  }

  /**
   * The guest's login shell on this process's terminal, until it ends. Keys go to the guest as they are pressed, Ctrl-C among them, and its
   * window follows the terminal's. Without a terminal the shell reads its commands from standard input.
   * @throws as `exec`
   */
  async shell(options: ShellOptions = {}): Promise<ExitStatus> {
    return await shellIn(this.#guest, options)
  }

  /**
   * Copies files into the guest, with their modes, links and times: a file of this machine or content to the path that is the target, or
   * into it by its own name where that ends in a slash; of a directory, all that is in it, into the target, which is made where it is not
   * there. Of a link that is named, what it leads to is copied.
   * @param target an absolute path of the guest
   * @throws InvalidOptionError; CopyFailedError; as `exec`
   */
  copyTo(source: CopySource, target: string, options?: CopyToOptions): Promise<void> {
    return copyTo(this.#guest, source, target, options)
  }

  /**
   * Copies a file out of the guest to the path that is the target, or of a directory all that is in it, into the target. They are this
   * user's, with their modes and links, but not setuid, setgid or sticky. Whatever the guest sends, nothing is written outside of the target.
   * @param source an absolute path of the guest
   * @throws InvalidOptionError; CopyFailedError; CopyRefusedError; as `exec`
   */
  copyFrom(source: string, target: string, options?: CopyOptions): Promise<void> {
    return copyFrom(this.#guest, source, target, options)
  }

  /**
   * Lets the guest and its containers connect to a TCP port of this machine's localhost, at that port of `host.testkernels.internal`, for as
   * long as the VM lives: for a server of a test, whose port is known when it listens. Forks do not have it. A VM has at most 32 ports; one that
   * it has already changes nothing.
   * @throws InvalidOptionError; HostPortNotOpenedError; VmDiedError
   */
  async exposeHostPort(port: number): Promise<void> {
    checkHostPort(port, this.name)
    await this.#parts.exposeHostPort(port)
  }

  /**
   * A new VM from the template that this one came from: as this one was when it started, whatever was done to it since. It has a
   * hostname of its own, and its own life: ending this one does not end it. @throws as `KernelVm.start`
   */
  fork(options?: ForkOptions): Promise<StartedKernelVm> {
    return this.#parts.fork(options)
  }

  /**
   * Saves this VM as it is now, with its containers running. It stands still while its RAM is copied, and then goes on: 7 s for 2 GiB,
   * under software emulation on two cores.
   * @throws TemplateNotMadeError when the engine has no room for it
   */
  checkpoint(options?: ForkOptions): Promise<Checkpoint<StartedKernelVm>> {
    return this.#parts.checkpoint(options)
  }

  /**
   * Keeps clones ready for `fork()` of this VM or of its forks, until what this returns is disposed: the entry's `spares` end with the
   * last VM. None are made where memory is short, and they give way to a start that needs theirs.
   */
  reserveSpares(count: number): SpareReservation {
    return this.#parts.reserveSpares(count)
  }

  /**
   * Opens the guest's dockerd, the entry's `forwards` and what containers publish at one more place of this machine, until what this returns is
   * disposed: for clients that keep an address while the VM behind it changes.
   * @throws the reason of `gone`; ForwardPortTakenError; PortNotForwardedError; ForwardListenError and its kin
   */
  openEntrance(place: EntrancePlace): Promise<Entrance> {
    return this.#parts.openEntrance(place)
  }

  get #guest(): CommandGuest {
    return { ssh: this.#booted.ssh, gone: this.gone, entry: this.name }
  }

  /** Ends the VM and all that belongs to it; memoised. */
  stop(): Promise<void> {
    return this.#booted.disposals.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
