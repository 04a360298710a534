import type { ContainerExit } from '../engine/index.ts'
import type { TestkernelsError } from '../errors/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { ControlConnection } from '../qemu/index.ts'
import type { ConsoleLog } from './console-log.ts'
import { DockerdFailedError, VmDiedError } from './errors.ts'

/** What is known about a VM whose container ended. */
export interface Remains {
  readonly exit: ContainerExit
  readonly entry: KernelEntry
  readonly console: ConsoleLog
  /** Missing when QEMU ended before its control port was there. */
  readonly control: ControlConnection | undefined
  /** The last lines of QEMU's and the entrypoint's errors. */
  readonly stderr: string
}

/** The error that tells how a VM ended: by its dockerd, by a panic, by the engine's memory limit, or by QEMU itself. */
export function describeDeath({ exit, entry, console, control, stderr }: Remains): TestkernelsError {
  const where = `on ${entry.kernel}, cgroup v${entry.cgroup}`
  if (control?.ended !== undefined) {
    return new DockerdFailedError({
      what: `the guest's dockerd ended with ${control.ended} ${where}`,
      entry: entry.name,
      remedy: "read dockerd's log below for what it lacks; another kernel or cgroup version may have it",
      output: control.commandLog,
    })
  }
  const reason = console.reason ?? (exit.oomKilled ? 'QEMU was killed by the memory limit of its container' : undefined)
  return new VmDiedError({
    what: `the VM ended ${where}: ${reason ?? `QEMU exited with status ${exit.exitCode}`}; console at ${console.path}`,
    entry: entry.name,
    remedy: 'read the console for what came before',
    output: reason === undefined && stderr !== '' ? stderr : console.tail(),
  })
}
