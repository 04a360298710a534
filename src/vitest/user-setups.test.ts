import { execFile, execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { TestProject } from 'vitest/node'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { describeVm } from '../matrix/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { unstarted } from './global-setup.ts'
import { kernels } from './kernels.ts'
import { UserSetups } from './user-setups.ts'

const entry = parseKernelEntry('v1', { kernel: 'debian:bookworm' })
const kernel = unstarted(entry)
const host = () => process.env['DOCKER_HOST']

/** A project whose setups are these modules. */
function project(modules: Record<string, unknown>) {
  const root = import.meta.dirname
  const imported: string[] = []
  const load = async (path: string) => {
    imported.push(path)
    return modules[path.replace(`${root}/`, '')]
  }
  return { project: { name: 'v1', config: { root }, import: load } as unknown as TestProject, imported, root }
}

test('each is called with the environment of the VM and told its project, and torn down so, the last first', async () => {
  const before = host()
  const calls: unknown[] = []
  const own = { default: (given: TestProject) => void calls.push([given.name, host(), kernels()[0]?.name]) }
  const returning = { default: async () => () => calls.push(['returned', host()]) }
  const named = { setup: () => calls.push('setup'), teardown: () => calls.push(['teardown', host()]) }
  const fake = project({ 'own.ts': own, 'returning.ts': returning, 'named.ts': named })
  const setups = new UserSetups(fake.project, ['./own.ts', 'returning.ts', 'named.ts'])
  await setups.setUp(kernel)
  expect(fake.imported).toEqual(['own.ts', 'returning.ts', 'named.ts'].map((name) => resolve(fake.root, name)))
  expect(calls).toEqual([['v1', kernel.dockerHost, 'v1'], 'setup'])
  expect(host()).toBe(before)
  expect(() => kernels()).toThrow('kernels() was called where there are none')
  await setups.tearDown()
  await setups.tearDown()
  expect(calls.slice(2)).toEqual([
    ['teardown', kernel.dockerHost],
    ['returned', kernel.dockerHost],
  ])
  expect(host()).toBe(before)
})

test('one that fails leaves the environment as it was, and what was set up before it is torn down', async () => {
  const before = host()
  const ended: string[] = []
  const failing = () => {
    throw new Error('no database')
  }
  const fake = project({ 'a.ts': { default: () => () => ended.push('a') }, 'b.ts': { default: failing } })
  const setups = new UserSetups(fake.project, ['a.ts', 'b.ts'])
  await expect(setups.setUp(kernel)).rejects.toThrow('no database')
  expect(host()).toBe(before)
  await setups.tearDown()
  expect(ended).toEqual(['a'])
})

test('one that exports nothing to call is a mistake', async () => {
  const setups = new UserSetups(project({ 'a.ts': {} }).project, ['a.ts'])
  await expect(setups.setUp(kernel)).rejects.toThrow('the global setup a.ts of project v1 sets up nothing')
})

test('what Testcontainers starts in a setup is on the VM of its project, also in that of the second', async () => {
  // Imported once, as Vitest does with a setup that several projects have in common.
  const { Network } = createRequire(import.meta.url)('testcontainers') as typeof import('testcontainers')
  const shared = { default: () => new Network().start().then((network) => () => network.stop()) }
  const answers = { '/info': goodInfo, '/containers/json': [], '/networks/create': { Id: 'made' } }
  for (const name of ['first', 'second']) {
    await using vm = await startFakeEngine((request, response) => {
      if (request.method === 'DELETE') response.writeHead(204).end()
      else answerJson(answers)(request, response)
    })
    const access = { dockerHost: `unix://${vm.address.path}`, address: '127.0.0.1', forwards: {} }
    const setups = new UserSetups(project({ 'a.ts': shared }).project, ['a.ts'])
    await setups.setUp(describeVm({ entry: { ...entry, name }, ...access }))
    expect(vm.requests.at(-1), name).toMatch(/^POST \/networks\/create\?/)
    await setups.tearDown()
    expect(vm.requests.at(-1), name).toBe('DELETE /networks/made')
  }
})

test('a child that a setup waits for synchronously has a DOCKER_HOST that says why there is no VM, and others the VM', async () => {
  const print = ['-e', 'console.log(process.env.DOCKER_HOST)']
  const said: string[] = []
  const setup = async () => {
    said.push(execFileSync(process.execPath, print, { encoding: 'utf8' }))
    said.push(execFileSync(process.execPath, print, { encoding: 'utf8', env: { ...process.env } }))
    said.push((await promisify(execFile)(process.execPath, print)).stdout)
  }
  await new UserSetups(project({ 'a.ts': { default: setup } }).project, ['a.ts']).setUp(kernel)
  const refused = expect.stringContaining('no-VM-for-execSync')
  expect(said).toEqual([refused, refused, `${kernel.dockerHost}\n`])
  expect(execFileSync(process.execPath, print, { encoding: 'utf8' })).not.toContain('no-VM')
})
