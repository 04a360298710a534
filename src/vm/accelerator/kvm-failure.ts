export interface FailedProbe {
  readonly ended: 'by itself' | 'at the deadline'
  /** The last line of QEMU's errors. */
  readonly said: string
  readonly deadlineMs: number
}

/** Why no guest ran with KVM, as what follows "because"; QEMU's own words in parentheses. */
export function describeKvmFailure({ ended, said, deadlineMs }: FailedProbe): string {
  const quoted = said === '' ? '' : ` (${said.replace(/^qemu-system: /, '')})`
  if (ended === 'at the deadline') {
    return `/dev/kvm opens, but a guest that ran with it did not reach user space in ${deadlineMs / 1000} s${quoted}`
  }
  if (/permission denied/i.test(said)) return `QEMU may not open this machine's /dev/kvm${quoted}`
  if (/assertion .* failed/i.test(said))
    return `QEMU aborts when it sets up a guest on this machine's /dev/kvm${quoted}`
  return `a guest with this machine's /dev/kvm ended before user space${quoted}`
}
