import { expect, test } from 'vitest'
import { describeKvmFailure } from './kvm-failure.ts'

const deadlineMs = 10_000

test("an assertion of QEMU's is put into words, and quoted", () => {
  // From QEMU 10.0 on a machine with a paravirtual nested hypervisor.
  const said =
    "qemu-system: ../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed."
  expect(describeKvmFailure({ ended: 'by itself', said, deadlineMs })).toBe(
    "QEMU aborts when it sets up a guest on this machine's /dev/kvm (../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.)",
  )
})

test('a guest that hung is told by the deadline it missed', () => {
  expect(describeKvmFailure({ ended: 'at the deadline', said: '', deadlineMs })).toBe(
    '/dev/kvm opens, but a guest that ran with it did not reach user space in 10 s',
  )
})

test('a device that may not be opened is told apart', () => {
  const said = 'qemu-system: -accel kvm: Could not access KVM kernel module: Permission denied'
  expect(describeKvmFailure({ ended: 'by itself', said, deadlineMs })).toMatch(
    /^QEMU may not open .*Permission denied\)$/,
  )
})
