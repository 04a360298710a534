import { once } from 'node:events'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LeasedVm } from './lease-vms.ts'
import { askDockerd, beginTest, finishFile } from './running-test.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-watched-'))
})
afterEach(() => rm(directory, { recursive: true }))

test('a failed test is told with what came on the console while it ran, cut to its last whole lines', async () => {
  const consolePath = join(directory, 'console')
  await writeFile(consolePath, 'before\n')
  const facts = { hostname: 'v1-3fa2', accelerator: 'kvm', steps: [], consolePath } as const
  const leased: Partial<LeasedVm> = { facts, retryOn: 'same-vm', isFresh: false, goBack: async () => {} }
  const vm = leased as LeasedVm
  const [failing, passing, loud] = await Promise.all(['a', 'b', 'c'].map((name) => beginTest(name, [vm])))
  await appendFile(consolePath, 'during\n')
  const toldOf = async (one: typeof failing, failed: boolean) => (await one?.end())?.told({ failed })
  expect(await toldOf(failing, true)).toEqual({ hostnames: ['v1-3fa2'], reports: [], console: 'during\n' })
  expect(await toldOf(passing, false)).toMatchObject({ console: '' })
  await appendFile(consolePath, `${'x'.repeat(99)}\n`.repeat(1000))
  const end = (await toldOf(loud, true))?.console ?? ''
  expect(end.length).toBeLessThanOrEqual(16 * 1024)
  expect(end).toMatch(/^(?:x{99}\n)+$/)
})

/** A VM in whose place fresh ones are put, each with a console of its own that goes with it. */
class RenewedVm {
  readonly name = 'v1'
  readonly kernel = { dockerHost: `unix://${join(directory, 'none.sock')}` }
  readonly retryOn = 'fresh-vm'
  gone = new AbortController().signal
  watch: LeasedVm['watch'] = undefined
  #fresh = 0
  #consoles = 0

  get isFresh(): boolean {
    return this.#fresh > 0
  }

  get facts() {
    const hostname = this.isFresh ? `v1-${this.#fresh}` : 'v1'
    return { hostname, accelerator: 'kvm', steps: [], consolePath: join(directory, hostname) }
  }

  async say(text: string): Promise<void> {
    await appendFile(this.facts.consolePath, text)
  }

  async renew(): Promise<void> {
    if (this.isFresh) await rm(this.facts.consolePath)
    this.#fresh = ++this.#consoles
    this.gone = new AbortController().signal
  }

  async goBack(): Promise<void> {
    if (this.isFresh) await rm(this.facts.consolePath)
    this.#fresh = 0
  }
}

test('a test that is tried again is told with all VMs that it was on, and the tests after it are on the first', async () => {
  const vm = new RenewedVm()
  const leased = [vm as unknown as LeasedVm]
  await vm.say('boot\n')
  const test = await beginTest('a', leased)
  await vm.say('first\n')
  await test.retry('fresh-vm')
  await vm.say('second\n')
  await test.retry('fresh-vm')
  await vm.say('third\n')
  const { told, errors } = await test.end()
  expect(errors).toEqual([])
  expect(told({ failed: true })).toEqual({
    hostnames: ['v1', 'v1-1', 'v1-2'],
    reports: [],
    console: 'first\nsecond\nthird\n',
  })
  // What failed are the tries before the last.
  expect(told({ failed: false }).console).toBe('first\nsecond\n')
  expect(vm.isFresh).toBe(false)
  const file = await finishFile(leased)
  expect((await file.told()).map(({ hostname, console }) => [hostname, console])).toEqual([
    ['v1-1', 'second\n'],
    ['v1-2', 'third\n'],
    ['v1', 'boot\nfirst\n'],
  ])
})

/** A VM whose kernel says in the first try that is watched what it says never again. */
function reportingOnce(vm: RenewedVm): readonly LeasedVm[] {
  const reports = [new Error('KASAN: use-after-free in f')]
  const begin = async () => ({ end: async () => ({ errors: reports.splice(0), reports: [] }), leave: () => {} })
  vm.watch = { begin, finish: async () => ({ errors: [], reports: [] }) } as Partial<
    LeasedVm['watch']
  > as LeasedVm['watch']
  return [vm as unknown as LeasedVm]
}

const messages = (errors: readonly Error[] = []) => errors.map(({ message }) => message)

test('a test whose kernel reported a fault is not tried again on the same VM, and fails', async () => {
  const test = await beginTest('a', reportingOnce(new RenewedVm()))
  expect(await test.retry('same-vm')).toEqual({ errors: [] })
  expect(await test.retry('same-vm')).toEqual({ errors: [] })
  const { errors, told } = await test.end()
  expect(messages(errors)).toEqual(['KASAN: use-after-free in f'])
  expect(told({ failed: true }).hostnames).toEqual(['v1'])
})

test('a test whose kernel reported nothing is tried again on the same VM, and told with that once', async () => {
  const vm = new RenewedVm()
  const test = await beginTest('a', [vm as unknown as LeasedVm])
  await vm.say('first\n')
  expect(await test.retry('same-vm')).toBeUndefined()
  await vm.say('second\n')
  expect((await test.end()).told({ failed: true })).toMatchObject({ hostnames: ['v1'], console: 'first\nsecond\n' })
})

test('on fresh VMs, what a kernel reported is the failure of its try alone', async () => {
  const vm = new RenewedVm()
  const test = await beginTest('a', reportingOnce(vm))
  expect(messages(await test.endTry())).toEqual(['KASAN: use-after-free in f'])
  expect(await test.retry('fresh-vm')).toBeUndefined()
  await vm.say('boot\n')
  expect(await test.endTry()).toEqual([])
  const { errors, told } = await test.end()
  expect(errors).toEqual([])
  expect(told({ failed: false }).hostnames).toEqual(['v1', 'v1-1'])
})

test('where there is no fresh VM, the try fails with the reason, and the test is over as any other', async () => {
  const vm = new RenewedVm()
  vm.renew = () => Promise.reject(new Error('the disk is full'))
  const test = await beginTest('a', [vm as unknown as LeasedVm])
  await expect(test.retry('fresh-vm')).rejects.toThrow('the disk is full')
  expect((await test.end()).told({ failed: true }).hostnames).toEqual(['v1'])
})

test('where one VM cannot be renewed or gone back to, no other is left in the middle of it', async () => {
  const [failing, other] = [new RenewedVm(), new RenewedVm()]
  const renew = other.renew.bind(other)
  failing.renew = () => Promise.reject(new Error('the disk is full'))
  other.renew = async () => {
    await setImmediate()
    await renew()
  }
  const test = await beginTest('a', [failing, other] as unknown[] as LeasedVm[])
  await expect(test.retry('fresh-vm')).rejects.toThrow('the disk is full')
  expect(other.isFresh).toBe(true)
  await other.say('boot\n')
  failing.goBack = () => Promise.reject(new Error('nobody answers'))
  await expect(test.end()).rejects.toThrow('nobody answers')
  expect(other.isFresh).toBe(false)
})

test('a VM that has died is asked of itself once, however many tests come after, and told of once', async () => {
  let asked = 0
  const path = join(directory, 'docker.sock')
  const dockerd = createHttpServer((_, response) => {
    asked++
    response.end('{"ServerVersion":"28.1"}')
  })
  dockerd.listen(path)
  await once(dockerd, 'listening')
  const vm = Object.assign(new RenewedVm(), { kernel: { dockerHost: `unix://${path}` }, gone: AbortSignal.abort() })
  const leased = [vm as unknown as LeasedVm]
  for (const name of ['a', 'b', 'c']) await (await beginTest(name, leased)).end()
  expect(asked).toBe(1)
  const file = await finishFile(leased)
  expect((await file.told()).map(({ hostname }) => hostname)).toEqual(['v1'])
  dockerd.close()
})

test('a dockerd that says nothing is not waited for for ever, and one that is not there not at all', async () => {
  const path = join(directory, 'docker.sock')
  const server = createServer((socket) => void socket.resume())
  server.listen(path)
  await once(server, 'listening')
  const asked = once(server, 'connection')
  expect(await askDockerd(`unix://${path}`, 50)).toEqual({})
  const [socket] = await asked
  socket.destroy()
  server.close()
  expect(await askDockerd(`unix://${join(directory, 'none.sock')}`)).toEqual({})
})
