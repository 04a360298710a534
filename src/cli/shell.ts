import { type FoundVms, findVms, type RunningVm, runShell, VmNotFoundError } from '../vm/index.ts'
import type { Working } from './execute.ts'

export interface ShellArguments extends Working {
  /** Hostname, entry or id of a VM. @default the only one that runs */
  readonly name: string | undefined
  /** @default root */
  readonly user: string | undefined
}

/**
 * A login shell in a VM that another process of this user has.
 * @returns its exit status
 * @throws VmNotFoundError; SshConnectFailedError; SshConnectionLostError
 */
export async function shell({ name, user, settings, log, signal }: ShellArguments): Promise<number> {
  const vm = chooseVm(name, await findVms(settings.runtimeDirectory, signal))
  await using connection = await vm.connect({ signal, log })
  return (await runShell(connection, { user, signal })).exitCode
}

/** @param name undefined for the only one. @throws VmNotFoundError */
export function chooseVm(name: string | undefined, { running, silent }: FoundVms): RunningVm {
  const isCalled = (vm: RunningVm) => name === undefined || vm.hostname === name || vm.id === name
  const called = running.filter(isCalled)
  // A fork has its entry's name and a hostname of its own.
  const found = called.length > 0 ? called : running.filter((vm) => vm.name === name)
  const [vm] = found
  if (vm !== undefined && found.length === 1) return vm
  const mute = silent.length === 0 ? '' : ` (the process that has ${silent.join(', ')} does not answer)`
  const named = name === undefined ? '' : ` named '${name}'`
  throw new VmNotFoundError({
    what: found.length === 0 ? `no virtual machine${named} runs${mute}` : `several virtual machines${named} run`,
    remedy:
      running.length === 0
        ? 'start one with `testkernels run`, as this user and with the same TESTKERNELS_RUN_DIR'
        : 'name one of those that run by its hostname, or by its id',
    output: tableOf(running),
  })
}

function tableOf(vms: readonly RunningVm[]): string | undefined {
  if (vms.length === 0) return undefined
  const rows = [['hostname', 'id', 'kernel'], ...vms.map(({ hostname, id, kernel }) => [hostname, id, kernel])]
  const widthOf = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const widths = [0, 1].map(widthOf)
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}
