import { type TestkernelsError, visibleLine } from '../../errors/index.ts'
import { type BoxExit, signalOf } from '../../host/index.ts'
import { type KernelEntry, kernelText } from '../../options/index.ts'
import type { ControlConnection } from '../../qemu/index.ts'
import { DockerdFailedError, EgressUnresolvedError, VmDiedError } from '../errors.ts'
import type { ConsoleLog } from './console-log.ts'

/** images/runner/supervise ends with it when a guest that is to become a template ended by itself. */
const ENDED_WHILE_SAVED = 81
/** What the guest's agent says of a command that its kernel killed for want of memory (images/guest/agent/main.c). */
const OUT_OF_MEMORY = 'out of memory'
/** dockerd's log begins with a line for each plugin. */
const DOCKERD_LOG_LINES = 20

/** What is known about a VM whose box ended. */
export interface EndedVm {
  readonly exit: BoxExit
  readonly entry: KernelEntry
  readonly console: Pick<ConsoleLog, 'path' | 'reason' | 'excerpt'>
  /** Missing when QEMU ended before its control port was there. */
  readonly control: Pick<ControlConnection, 'ended' | 'commandLog' | 'fault'> | undefined
  /** QEMU's reason for shutting down, as its protocol has it (`ShutdownCause`); missing where it did not come to that. */
  readonly shutdownReason: string | undefined
  /** The last lines of QEMU's and the entrypoint's errors. */
  readonly stderr: string
}

/** The error that tells how a VM ended: by its dockerd, by a panic, by the engine's memory limit, or by QEMU itself. */
export function describeDeath({ exit, entry, console, control, shutdownReason, stderr }: EndedVm): TestkernelsError {
  const where = `on ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}`
  if (control?.fault !== undefined) return control.fault
  if (control?.ended?.of === 'command') {
    return new DockerdFailedError({
      ...accountOfEngine(control.ended.how, entry, where),
      entry: entry.name,
      output: control.commandLog?.trimEnd().split('\n').slice(-DOCKERD_LOG_LINES).join('\n'),
    })
  }
  if (control?.ended?.of === 'guest') {
    return new VmDiedError({
      what: `the guest was ${control.ended.how} by a program in it ${where}; console at ${console.path}`,
      entry: entry.name,
      remedy: 'a VM ends with its guest: start another, or fork one before what ends it',
      output: console.excerpt,
    })
  }
  const guestsReason = console.reason
  return new VmDiedError({
    what: `the VM ended ${where}: ${guestsReason ?? endOfQemu(exit, shutdownReason)}; console at ${console.path}`,
    entry: entry.name,
    remedy: 'read the console for what came before',
    output: guestsReason === undefined && stderr !== '' ? stderr : console.excerpt,
  })
}

/** `HOW`, or `containerd HOW` of a guest with systemd whose rootfs has no dockerd (images/guest/systemd/engine-failed.sh). */
function accountOfEngine(ended: string, { memoryMib }: KernelEntry, where: string) {
  const [, engine = 'dockerd', how = ended] = /^(containerd) (.*)$/.exec(ended) ?? []
  if (how === OUT_OF_MEMORY) {
    return {
      what: `the guest's ${engine} was killed by the OOM killer of its kernel ${where}`,
      remedy: `memoryMib is ${memoryMib}: raise it, or limit the memory of containers`,
    }
  }
  if (engine === 'containerd') {
    return {
      what: `the guest's containerd ended with ${how} ${where}`,
      remedy:
        "read its log below for what it lacks: another kernel may have it, and it may be what the rootfs's config.toml says",
    }
  }
  return {
    what: `the guest's dockerd ended with ${how} ${where}`,
    remedy:
      "read dockerd's log below for what it lacks; another kernel or cgroup version may have it, and it may be what the option daemon or the rootfs's daemon.json says",
  }
}

function endOfQemu(exit: BoxExit, shutdownReason: string | undefined): string {
  const { exitCode, oomKilled } = exit
  if (oomKilled) return 'QEMU was killed by the memory limit of its container'
  if (exitCode === undefined) return 'the Docker engine went away'
  if (exitCode === 0 || exitCode === ENDED_WHILE_SAVED) return endInOrder(shutdownReason)
  const signal = signalOf(exit)
  return signal === undefined ? `QEMU exited with status ${exitCode}` : `QEMU was killed by ${signal}`
}

/** QEMU ends with status 0 whenever it was told to, by whomever; `-no-reboot` makes an end of a reset. */
function endInOrder(shutdownReason: string | undefined): string {
  switch (shutdownReason) {
    case 'guest-shutdown':
      return 'the guest powered off, and its console has no reason'
    case 'guest-reset':
      return 'the guest reset itself, and its console has no reason'
    case 'guest-panic':
      return "the guest's kernel panicked, and its console has no reason"
    case 'host-signal':
      return 'QEMU was told to end: by `docker stop` of its container, or by a signal'
    case undefined:
      return 'QEMU ended, and did not say why'
    default:
      return `QEMU ended, and says why: ${visibleLine(shutdownReason)}`
  }
}

/** images/runner/entrypoint ends with it when a name of the option `egress` has no address. */
const UNRESOLVED_STATUS = 82
const UNRESOLVED = /^testkernels: egress: no address of (\S+)$/

/** The error for a box that could not hold its guest to its `egress`; undefined for one that ended of something else. */
export function describeUnresolved(
  { exitCode }: BoxExit,
  { stderr, entry }: { readonly stderr: readonly string[]; readonly entry: string },
): EgressUnresolvedError | undefined {
  const name = stderr.map((line) => UNRESOLVED.exec(line)?.[1]).find((found) => found !== undefined)
  if (exitCode !== UNRESOLVED_STATUS || name === undefined) return undefined
  return new EgressUnresolvedError({
    what: `the host '${name}' of the option 'egress' has no address that the engine's machine knows`,
    entry,
    remedy: 'correct it, or write its address: it is looked up in the container of the VM, by the name servers there',
  })
}

/** Tells an end that was asked for from a death. */
export interface DeathWatch {
  /** Aborts when the VM ends without having been asked to; its reason says why. */
  readonly gone: AbortSignal
  /** From now on an end is no death. */
  expectEnd(): void
  /** It did not end, and is of no use any more: it is ended, and died of this. */
  lose(reason: TestkernelsError): void
}

/**
 * @param death resolves, once the VM has ended and its output is read, to the error that tells how
 * @param end ends a VM that is lost
 */
export function watchForDeath(death: Promise<TestkernelsError>, end: () => void): DeathWatch {
  const gone = new AbortController()
  let expected = false
  const die = (reason: TestkernelsError) => {
    if (!expected) gone.abort(reason)
  }
  void death.then(die)
  return {
    gone: gone.signal,
    expectEnd: () => {
      expected = true
    },
    lose: (reason) => {
      die(reason)
      end()
    },
  }
}

/** What happened, for a client that prints one line: the first of the message, without remedy and output. */
export function headlineOf(error: Error): string {
  return error.message.split('\n', 1)[0] ?? error.message
}
