// VMs that start from one template: alike in what they have, and each itself.
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm, type Logger, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../support/docker.ts'
import { fixtureImage, fixtureTar } from '../support/env.ts'
import { TemplateVolume } from '../support/templates.ts'

/** The requirement for a clone's wall clock. */
const CLOCK_TOLERANCE_MS = 50

const lines: string[] = []
const log: Logger = { info: keep, warn: keep, debug: () => {}, named: () => log }
function keep(line: string): void {
  lines.push(line)
}

const kernel = () =>
  new KernelVm({
    name: 'cloned',
    kernel: 'debian:bookworm',
    memoryMib: 1024,
    images: [
      storedImage,
      fixtureTar,
      { dockerfile, tag: builtImage, buildArgs: { BASE: storedImage, WHO: 'the guest' } },
    ],
  })
/** The same image by another name, which only the engine's own store has. */
const storedImage = 'testkernels-e2e/stored:1'
const dockerfile = join(import.meta.dirname, '../../fixtures/preload/Dockerfile')
const builtImage = 'testkernels-e2e/built'
const engine = new Docker()
let volume: TemplateVolume
let first: StartedKernelVm
let second: StartedKernelVm

beforeAll(async () => {
  volume = await TemplateVolume.create()
  await loadIntoEngine()
  first = await kernel().start({ log })
  second = await first.fork()
})

afterAll(async () => {
  await second?.stop()
  await first?.stop()
  await volume[Symbol.asyncDispose]()
  await engine.getImage(storedImage).remove()
})

async function loadIntoEngine(): Promise<void> {
  const answer = await engine.loadImage(createReadStream(fixtureTar))
  await new Promise((resolve, reject) => answer.on('end', resolve).on('error', reject).resume())
  await engine.getImage(fixtureImage).tag({ repo: 'testkernels-e2e/stored', tag: '1' })
  await engine.getImage(fixtureImage).remove()
}

async function sh(vm: StartedKernelVm, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.exec(['sh', '-c', script])
  expect(exitCode, stderr).toBe(0)
  return stdout.trim()
}

test('the first start makes the template, and every start restores it', async () => {
  expect(lines.filter((line) => /^making the template of debian:bookworm, cgroup v2, once$/.test(line))).toHaveLength(1)
  expect(await volume.keys()).toHaveLength(1)
  for (const vm of [first, second]) expect(vm.steps.map(({ name }) => name)).toContain('restore')
  expect(second.steps.map(({ name }) => name)).not.toContain('kernel')
})

test('each has the images that were preloaded, and runs containers of them', async () => {
  for (const [vm, image] of [
    [first, storedImage],
    [second, fixtureImage],
  ] as const) {
    expect(await docker(vm, ['run', '--rm', '--network', 'none', image, 'echo', 'in it'])).toBe('in it')
  }
  const run = ['run', '--rm', '--network', 'none', builtImage, 'cat', '/greeting.txt']
  expect(await docker(second, run)).toBe('built for\nthe guest')
})

test.each([
  ['hostname', 'cat /proc/sys/kernel/hostname'],
  ['SSH host key', 'sha256sum </.testkernels/ssh/host_key'],
  ['key that may log in', 'cat /.testkernels/ssh/authorized_keys'],
  ['machine id', 'cat /etc/machine-id'],
  ['random numbers', 'cat /proc/sys/kernel/random/uuid'],
])('each has a %s of its own', async (_, script) => {
  const [one, other] = await Promise.all([sh(first, script), sh(second, script)])
  expect(one).not.toBe('')
  expect(one).not.toBe(other)
})

test('each has a name of its own in docker info', async () => {
  const names = [first, second].map((vm) => docker(vm, ['info', '--format', '{{.Name}}']))
  expect(await Promise.all(names)).toEqual([first.hostname, second.hostname])
})

test("the first one's hostname is the entry's", () => {
  expect(first.hostname).toBe('cloned')
  expect(second.hostname).toMatch(/^cloned-[0-9a-f]{6}$/)
})

test('the clocks are right', async () => {
  for (const vm of [first, second]) {
    const before = Date.now()
    const guestMs = Number(await sh(vm, 'date +%s.%N')) * 1000
    const after = Date.now()
    expect(guestMs).toBeGreaterThan(before - CLOCK_TOLERANCE_MS)
    expect(guestMs).toBeLessThan(after + CLOCK_TOLERANCE_MS)
  }
})

test('what one writes, no other has, nor the template', async () => {
  await sh(first, 'echo mine >/etc/mine; sync; echo mine >/dev/shm/mine')
  await using third = await first.fork()
  for (const vm of [second, third])
    expect(await sh(vm, 'ls /etc/mine /dev/shm/mine 2>/dev/null || echo none')).toBe('none')
  await volume.shell('/testkernels/template check *')
})

test('no key is in the template: a guest that was told none lets nobody in', async () => {
  // The authorized key of the preload was in the memory that was saved; no file of it is left.
  const script = 'ls /.testkernels/ssh/'
  expect((await sh(second, script)).split('\n').toSorted()).toEqual(['authorized_keys', 'host_key'])
  const keyOfFirst = (await sh(first, 'cat /.testkernels/ssh/authorized_keys')).split(' ')[1] ?? ''
  const found = await volume.shell(`grep -c -a -F '${keyOfFirst}' */mem.img || true`)
  expect(found).toBe('0')
})

test('template: false boots cold', async () => {
  await using vm = await new KernelVm({ name: 'cold', kernel: 'debian:bookworm', template: false }).start()
  const steps = vm.steps.map(({ name }) => name)
  expect(steps).toContain('kernel')
  expect(steps).not.toContain('restore')
})
