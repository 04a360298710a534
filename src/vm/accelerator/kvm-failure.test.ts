import { expect, test } from 'vitest'
import { describeKvmFailure } from './kvm-failure.ts'

const deadlineMs = 10_000

test("an assertion of QEMU's is put into words, and quoted", () => {
  // From QEMU 10.0 on a machine with a paravirtual nested hypervisor.
  const said =
    "qemu-system: ../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed."
  expect(describeKvmFailure({ ended: 'by itself', said, deadlineMs })).toEqual({
    reason:
      "QEMU aborts when it sets up a guest on this machine's /dev/kvm (../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.)",
    about: 'machine',
  })
})

test('a guest that hung is told by the deadline it missed', () => {
  expect(describeKvmFailure({ ended: 'at the deadline', said: '', deadlineMs })).toEqual({
    reason: '/dev/kvm opens, but a guest that ran with it did not reach user space in 10 s',
    about: 'image',
  })
})

test.each([
  // From QEMU 10.0: a device that its user may not open, and one that was made without its driver.
  ['Permission denied', 'QEMU may not open'],
  ['No such device', 'has no driver behind it'],
])('a device that cannot be opened (%s) is told apart, and is so for every image', (error, says) => {
  const said = `qemu-system: -accel kvm: Could not access KVM kernel module: ${error}`
  expect(describeKvmFailure({ ended: 'by itself', said, deadlineMs })).toEqual({
    reason: expect.stringMatching(new RegExp(`${says}.* \\(-accel kvm: .*${error}\\)$`)),
    about: 'machine',
  })
})

test('a guest that ended early speaks for its own kernel alone', () => {
  expect(describeKvmFailure({ ended: 'by itself', said: '', deadlineMs })).toMatchObject({ about: 'image' })
})
