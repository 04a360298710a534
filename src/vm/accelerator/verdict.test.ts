import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amd64 } from '../../arch/amd64.ts'
import { describeKvmFailure, recallVerdict, rememberVerdict, verdictFile } from './verdict.ts'

const arch = amd64
const deadlineMs = 10_000

test("an assertion of QEMU's is put into words, and quoted", () => {
  // From QEMU 10.0 on a machine with a paravirtual nested hypervisor.
  const said =
    "qemu-system: ../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed."
  expect(describeKvmFailure({ arch, ended: 'by itself', said, deadlineMs })).toEqual({
    reason:
      "QEMU aborts when it sets up a guest on this machine's /dev/kvm (../../target/i386/kvm/kvm.c:3213: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.)",
    remedy: expect.stringContaining('nested virtualisation'),
    about: 'machine',
  })
})

test('a guest that hung is told by the deadline it missed', () => {
  expect(describeKvmFailure({ arch, ended: 'at the deadline', said: '', deadlineMs })).toEqual({
    reason: '/dev/kvm opens, but a guest that ran with it did not reach user space in 10 s',
    remedy: expect.stringContaining('nested virtualisation'),
    about: 'image',
  })
})

test('a device that hangs its QEMU for good is told as that, and is so for every image', () => {
  expect(describeKvmFailure({ arch, ended: 'never', said: '', deadlineMs })).toEqual({
    reason: "this machine's /dev/kvm hangs: QEMU, which has opened it, cannot even be killed",
    remedy: expect.stringContaining('restart the machine'),
    about: 'machine',
  })
})

test.each([
  // From QEMU 10.0: a device that its user may not open, and one that was made without its driver.
  ['Permission denied', 'QEMU may not open', 'sudo tee /etc/udev/rules.d/99-kvm4all.rules'],
  ['No such device', 'has no driver behind it', 'sudo modprobe'],
])(
  'a device that cannot be opened (%s) is told apart, has its remedy, and is so for every image',
  (error, says, remedy) => {
    const said = `qemu-system: -accel kvm: Could not access KVM kernel module: ${error}`
    expect(describeKvmFailure({ arch, ended: 'by itself', said, deadlineMs })).toEqual({
      reason: expect.stringMatching(new RegExp(`${says}.* \\(-accel kvm: .*${error}\\)$`)),
      remedy: expect.stringContaining(remedy),
      about: 'machine',
    })
  },
)

test('a guest that ended early speaks for its own kernel alone', () => {
  expect(describeKvmFailure({ arch, ended: 'by itself', said: '', deadlineMs })).toMatchObject({ about: 'image' })
})

test('the rule of udev is the one that the workflow file has', () => {
  const said = 'qemu-system: Could not access KVM kernel module: Permission denied'
  const { remedy } = describeKvmFailure({ arch, ended: 'by itself', said, deadlineMs })
  const workflow = readFileSync(join(import.meta.dirname, '../../../docs/ci/github-actions.yml'), 'utf8')
  const commands = [...workflow.matchAll(/(?:echo 'KERNEL|sudo udevadm).*/g)].map(([line]) => line)
  expect(commands).toHaveLength(3)
  expect(remedy).toContain(commands.join(' && '))
})

const verdict = {
  kvm: 'fails',
  reason: "the engine's machine has no /dev/kvm",
  remedy: 'load its driver',
  counterKhz: 2_596_128,
  about: 'machine',
} as const
let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-verdict-'))
  file = verdictFile(directory, ['image', 'engine', 'boot'])
})

afterEach(() => rm(directory, { recursive: true }))

test('what was remembered is recalled, and nothing else lies about', async () => {
  expect(await recallVerdict(file)).toBeUndefined()
  await rememberVerdict(file, verdict)
  expect(await recallVerdict(file)).toEqual(verdict)
  expect(await readdir(dirname(file))).toHaveLength(1)
})

test('another image, engine or boot has a verdict of its own', () => {
  const others = [
    ['image2', 'engine', 'boot'],
    ['image', 'engine2', 'boot'],
    ['image', 'engine', 'boot2'],
    ['imageengine', 'boot'],
  ]
  expect(new Set([file, ...others.map((key) => verdictFile(directory, key))]).size).toBe(5)
})

test.each([
  '',
  '{"kvm":',
  '{"kvm":"perhaps","reason":"","counterKhz":1}',
  JSON.stringify({ ...verdict, counterKhz: 0 }),
])('a file that holds %j is no verdict', async (text) => {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  expect(await recallVerdict(file)).toBeUndefined()
})
