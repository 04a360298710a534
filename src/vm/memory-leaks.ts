import { type KernelEntry, looksForLeaks } from '../options/index.ts'
import { ExecTimeoutError, LeakScanFailedError } from './errors.ts'
import { type CommandGuest, execIn } from './exec.ts'
import type { VmKernelReport } from './kernel-reports.ts'

/** Two looks through all memory, by a kernel that checks each of its accesses, under software emulation. */
const SCAN_DEADLINE_MS = 180_000

/**
 * kmemleak takes nothing for lost that was allocated within the last five seconds, or that has changed since it last looked (Documentation/dev-tools/kmemleak.rst,
 * mm/kmemleak.c). From 4.20 on it prints what it finds; before, only how much that is.
 */
const SCAN = `
set -e
leaks=/sys/kernel/debug/kmemleak
[ -e $leaks ] || mount -t debugfs debugfs /sys/kernel/debug
verbose=/sys/module/kmemleak/parameters/verbose
[ ! -e $verbose ] || echo Y >$verbose
echo scan >$leaks
sleep 6
echo scan >$leaks`

/**
 * Has a guest's kernel look for memory that it has lost, and print it into its log: what was allocated until now, each piece once.
 * @throws LeakScanFailedError for a kernel that cannot; the signal's reason; what the VM died of
 */
export async function scanForLeaks(guest: CommandGuest, signal?: AbortSignal): Promise<void> {
  const failed = (why: string) =>
    new LeakScanFailedError({
      what: `the kernel did not look for memory that it has lost: ${why}`,
      entry: guest.entry,
      remedy:
        'see in its log (dmesg) whether kmemleak is there, and has not given up: it is off for good when it has no memory for its records',
    })
  const { exitCode, stderr } = await execIn(guest, SCAN, { timeoutMs: SCAN_DEADLINE_MS, signal }).catch((thrown) => {
    throw thrown instanceof ExecTimeoutError ? failed(`it took more than ${SCAN_DEADLINE_MS / 1000} s`) : thrown
  })
  if (exitCode !== 0) throw failed(stderr.trim() || `status ${exitCode}`)
}

/** A VM that is asked what its kernel reported. */
export interface ReportingVm {
  readonly entry: Pick<KernelEntry, 'kernelReports'>
  settleKernelReports(): Promise<readonly VmKernelReport[]>
  findMemoryLeaks(): Promise<readonly VmKernelReport[]>
}

/** At the end of what ran in a VM: all that its kernel reported, with what it lost, where its entry has it look. @throws as `findMemoryLeaks` */
export function lastKernelReports(vm: ReportingVm): Promise<readonly VmKernelReport[]> {
  return looksForLeaks(vm.entry.kernelReports) ? vm.findMemoryLeaks() : vm.settleKernelReports()
}
