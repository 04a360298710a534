import type { AcceleratorVerdict } from './verdict.ts'

export interface FailedProbe {
  readonly ended: 'by itself' | 'at the deadline'
  /** The last line of QEMU's errors. */
  readonly said: string
  readonly deadlineMs: number
}

/**
 * Why no guest ran with KVM, as what follows "because", with QEMU's own words in parentheses; and for what that holds. What QEMU cannot
 * set up, it can set up for no guest of this machine. A guest that began to run and did not arrive may have had a bad kernel.
 */
export function describeKvmFailure(probe: FailedProbe): Pick<AcceleratorVerdict, 'reason' | 'about'> {
  const { ended, said, deadlineMs } = probe
  const quoted = said === '' ? '' : ` (${said.replace(/^qemu-system: /, '')})`
  if (ended === 'at the deadline') {
    const reason = `/dev/kvm opens, but a guest that ran with it did not reach user space in ${deadlineMs / 1000} s${quoted}`
    return { reason, about: 'image' }
  }
  if (/permission denied/i.test(said)) {
    return { reason: `QEMU may not open this machine's /dev/kvm${quoted}`, about: 'machine' }
  }
  if (/could not access kvm kernel module/i.test(said)) {
    return { reason: `this machine's /dev/kvm has no driver behind it${quoted}`, about: 'machine' }
  }
  if (/assertion .* failed/i.test(said)) {
    return { reason: `QEMU aborts when it sets up a guest on this machine's /dev/kvm${quoted}`, about: 'machine' }
  }
  return { reason: `a guest with this machine's /dev/kvm ended before user space${quoted}`, about: 'image' }
}
