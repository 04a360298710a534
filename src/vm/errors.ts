import { TestkernelsError } from '../errors/index.ts'

/** The guest's dockerd did not answer before the entry's `bootTimeoutMs`. */
export class BootTimeoutError extends TestkernelsError {
  readonly code = 'BOOT_TIMEOUT'
}

/** The engine's machine knows no address of a host that a guest is to reach. */
export class EgressUnresolvedError extends TestkernelsError {
  readonly code = 'EGRESS_UNRESOLVED'
}

/** The guest showed no sign of life; it is started again before this reaches anybody. */
export class NoSignOfLifeError extends TestkernelsError {
  readonly code = 'NO_SIGN_OF_LIFE'
}

/** The guest's dockerd ended; the output is its log. */
export class DockerdFailedError extends TestkernelsError {
  readonly code = 'DOCKERD_FAILED'
}

/** The VM ended without being asked to: a kernel panic, a QEMU that was killed. */
export class VmDiedError extends TestkernelsError {
  readonly code = 'VM_DIED'
}

/** The kernel of a VM reported a fault of its own; the output is its report. */
export class KernelReportedError extends TestkernelsError {
  readonly code = 'KERNEL_REPORTED'
}

/** A kernel did not look for memory that it has lost. */
export class LeakScanFailedError extends TestkernelsError {
  readonly code = 'LEAK_SCAN_FAILED'
}

/** The guest's dockerd answers, and what a wait strategy waits for did not come. */
export class VmNotReadyError extends TestkernelsError {
  readonly code = 'VM_NOT_READY'
}

/** A command in the guest had not ended after its `timeoutMs`; it was ended then. */
export class ExecTimeoutError extends TestkernelsError {
  readonly code = 'EXEC_TIMEOUT'
}

/** What was to be copied to or from a guest could not be read or written, there or here. */
export class CopyFailedError extends TestkernelsError {
  readonly code = 'COPY_FAILED'
}

/** A guest sent what is not taken from it: a path that leads out of the target, or what is no file, directory or link. */
export class CopyRefusedError extends TestkernelsError {
  readonly code = 'COPY_REFUSED'
}

/** The memory of a VM could not be saved as a file. */
export class VmcoreNotSavedError extends TestkernelsError {
  readonly code = 'VMCORE_NOT_SAVED'
}

/** No VM of this user runs that has the name, or several do. */
export class VmNotFoundError extends TestkernelsError {
  readonly code = 'VM_NOT_FOUND'
}

/** KVM was asked for by name and no guest runs with it. */
export class KvmUnavailableError extends TestkernelsError {
  readonly code = 'KVM_UNAVAILABLE'
}

/** The machine has too little memory for a VM, and no other of this process ended meanwhile and gave some back. */
export class MemoryShortError extends TestkernelsError {
  readonly code = 'MEMORY_SHORT'
}
