import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestProject } from 'vitest/node'
import { createLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { noteFailure } from '../worker/fate.ts'
import setup, { unstarted } from './global-setup.ts'
import { projects, register, unregister } from './testing/played-session.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-setup-'))
})

afterEach(async () => {
  unregister()
  await rm(directory, { recursive: true })
})

test('a project whose tests are all in another shard starts nothing', async () => {
  const { started } = register({ directory })
  const shard = (specs: unknown[]) => specs.filter((spec) => isOf(spec, 'two'))
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { shard })
  await runs()
  await (await setup(project('a')))()
  expect(started).toEqual([])
  const tearDown = await setup(project('b'))
  expect(started).toEqual(['two'])
  await tearDown()
})

test('where chance decides which project the shard takes, each is ready', async () => {
  const { started } = register({ directory })
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { shard: ([first]) => [first] })
  await runs()
  const tearDown = [await setup(project('a')), await setup(project('b'))]
  expect(started).toEqual(['one', 'two'])
  for (const one of tearDown) await one()
})

function isOf(spec: unknown, entry: string): boolean {
  return JSON.stringify((spec as { project: TestProject }).project.config).includes(`"name":"${entry}"`)
}

test('the first setup starts the VMs of all projects; each VM ends with its last', async () => {
  const { running, started } = register({ directory })
  const { project, runs } = projects({ a: ['one'], b: ['two'], both: ['one', 'two'] })
  await runs()
  const tearDownA = await setup(project('a'))
  expect(started).toEqual(['one', 'two'])
  const tearDownB = await setup(project('b'))
  const tearDownBoth = await setup(project('both'))
  expect(started).toEqual(['one', 'two'])
  expect(project('both').provided?.vms).toEqual([
    { kind: 'project', name: 'one', fate: join(directory, 'one.json') },
    { kind: 'project', name: 'two', fate: join(directory, 'two.json') },
  ])

  await tearDownBoth()
  expect([...running]).toEqual(['one', 'two'])
  await tearDownB()
  expect([...running]).toEqual(['one'])
  await tearDownA()
  expect([...running]).toEqual([])
})

test('a project without tests to run starts nothing', async () => {
  const { started } = register({ directory })
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs(['a'])
  const tearDown = await setup(project('a'))
  expect(started).toEqual(['one'])
  await tearDown()
})

test('a setup that fails ends what it started, for others as well', async () => {
  const { running } = register({ directory, fails: 'one' })
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs()
  await expect(setup(project('a'))).rejects.toThrow('one did not boot')
  expect([...running]).toEqual([])
})

test('the failure of another project is told by its own setup', async () => {
  const { running } = register({ directory, fails: 'two' })
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs()
  const tearDownA = await setup(project('a'))
  await expect(setup(project('b'))).rejects.toThrow('two did not boot')
  expect([...running]).toEqual(['one'])
  await tearDownA()
  expect([...running]).toEqual([])
})

test('where tests are only listed nothing starts, and VMs have names', async () => {
  const { started } = register({ directory })
  const { project } = projects({ a: ['one'] })
  const tearDown = await setup(project('a'))
  expect(started).toEqual([])
  expect(project('a').provided).toMatchObject({ listed: [{ name: 'one' }], vms: [] })
  await tearDown()
})

test('an editor lists tests, runs them, and lists them again: the VM starts with the first run, and stays', async () => {
  const { running, started } = register({ directory })
  const { project, runs, ends } = projects({ a: ['one'] })
  const tearDown = await setup(project('a'))
  for (const _ of ['first', 'second']) {
    await runs()
    expect(project('a').provided).toMatchObject({ listed: [], vms: [{ name: 'one' }] })
    await ends()
    expect(project('a').provided).toMatchObject({ listed: [{ name: 'one' }], vms: [] })
  }
  expect(started).toEqual(['one'])
  await tearDown()
  expect([...running]).toEqual([])
})

test('a run of other projects leaves the VM alone; one of its own starts it anew where tests are to find it so', async () => {
  const { running, started } = register({ directory })
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { onTestsRerun: 'reset' })
  await runs(['a'])
  const tearDown = await setup(project('a'))
  await runs(['b'])
  expect(started).toEqual(['one'])
  await runs(['a'])
  expect(started).toEqual(['one', 'one'])
  await tearDown()
  expect([...running]).toEqual([])
})

test('a check of types starts nothing', async () => {
  const { started } = register({ directory })
  const { project, runs } = projects({ a: ['one'] })
  await runs(['a'], 'typescript')
  await (await setup(project('a')))()
  expect(started).toEqual([])
})

test('a project that has lost our plugin says so', async () => {
  const project = { name: 'a', vitest: {} } as unknown as TestProject
  await expect(setup(project)).rejects.toThrow('project a has not all that kernelProjects() or kernelSuite() returned')
})

test('a VM that is only named sends no client to the engine of this machine', () => {
  const kernel = unstarted(parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 }))
  expect(kernel).toMatchObject({ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 })
  expect(kernel.environment['DOCKER_HOST']).toBe(kernel.dockerHost)
  expect(kernel.dockerHost).toContain('/nonexistent/')
})

test('what a kernel reports after the last test file fails the run, and VMs end all the same', async () => {
  const { running } = register({ directory, reported: [new Error('the kernel reported WARNING in f')] })
  const { project, runs } = projects({ one: ['one'] })
  await runs()
  const teardown = await setup(project('one'))
  const status = process.exitCode
  try {
    await expect(teardown()).rejects.toThrow('the kernel reported WARNING in f')
    expect(process.exitCode).toBe(1)
  } finally {
    process.exitCode = status
  }
  expect([...running]).toEqual([])
})

test('the last teardown waits while VMs are kept on which tests failed; the others end', async () => {
  let said = (_: string) => {}
  const told = new Promise<string>((resolve) => {
    said = resolve
  })
  const { running, kept } = register({ directory, log: createLogger({ write: said }) })
  const { project, runs } = projects({ a: ['one'], b: ['two'], c: ['three'] }, { keepOnFailure: true })
  await runs()
  const [tearDownA, tearDownB, tearDownC] = [
    await setup(project('a')),
    await setup(project('b')),
    await setup(project('c')),
  ]
  noteFailure(join(directory, 'two.json'))
  await tearDownC()
  await tearDownB()
  expect([...running]).toEqual(['one', 'two'])
  const tornDown = tearDownA()
  expect(await told).toContain('[two] a test failed')
  expect([...running]).toEqual(['two'])
  kept.letGo()
  await tornDown
  expect([...running]).toEqual([])
})

test('in watch mode no VM is kept beyond its end', async () => {
  const { running } = register({ directory })
  const { project, runs } = projects({ a: ['one'] }, { keepOnFailure: true, watch: true })
  await runs()
  const tearDown = await setup(project('a'))
  noteFailure(join(directory, 'one.json'))
  await tearDown()
  expect([...running]).toEqual([])
})
