import { expect, test } from 'vitest'
import { createLogger } from '../../log/index.ts'
import { FakeSession, openForEachTest } from '../testing/fake-session.ts'

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

const volume = 'testkernels-templates'

test('a VM whose template is off boots cold', async () => {
  await using vm = await fake.launch({ template: false })
  expect(vm.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['kernel', 'init', 'dockerd']))
  expect(fake.image.made).toBe(0)
})

test('of two that need one template at once, one makes it', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const vms = await Promise.all([fake.launch({ log }), fake.launch({ log })])
  expect(fake.image.made).toBe(1)
  expect(lines.filter((line) => line.startsWith('making the template'))).toHaveLength(1)
  expect(lines).toContain('another start is making the template of debian:trixie, cgroup v2; waiting for it')
  await Promise.all(vms.map((vm) => vm.stop()))
})

test('a template that another process makes meanwhile is waited for, whatever time that takes', async () => {
  const other = await FakeSession.open({ program: fake.image.play })
  fake.image.fates.push({ kind: 'late', ms: 0 })
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const vms = await Promise.all([fake.launch({ log }), other.launch({ log })])
  expect(fake.image.made).toBe(1)
  expect(lines.filter((line) => line.startsWith('making the template'))).toHaveLength(1)
  await Promise.all(vms.map((vm) => vm.stop()))
  await other[Symbol.asyncDispose]()
})

test('a template that cannot be made is a warning, and the VM boots cold', async () => {
  const lines: string[] = []
  fake.image.fates.push({ kind: 'well' }, { kind: 'dies', ms: 0 })
  await using _vm = await fake.launch({ log: createLogger({ write: (line) => lines.push(line) }) })
  expect(lines.join('\n')).toMatch(/^warning: fake: no template could be made of its VM[\s\S]*booting cold$/m)
  expect(fake.image.templatesIn(volume).size).toBe(0)
})

test('a template that QEMU cannot restore is made anew', async () => {
  await (await fake.launch()).stop()
  fake.image.fates.push({ kind: 'dies', ms: 0 })
  await using _vm = await fake.launch()
  expect(fake.image.made).toBe(2)
})

test.each([
  [137, 'QEMU was killed by SIGKILL'],
  [143, 'QEMU was killed by SIGTERM'],
])('a QEMU that is ended with %i while it restores says nothing of its template', async (status, reason) => {
  await (await fake.launch()).stop()
  fake.image.fates.push({ kind: 'dies', ms: 0, status })
  await expect(fake.launch()).rejects.toMatchObject({ code: 'VM_DIED', message: expect.stringContaining(reason) })
  expect(fake.image.made).toBe(1)
})
