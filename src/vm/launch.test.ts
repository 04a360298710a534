import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { ContainerNotStartedError } from '../host/index.ts'
import { formatVmLabels, vmLabels } from '../image/labels.ts'
import { createLogger } from '../log/index.ts'
import { FakeSession, openForEachTest } from './testing/fake-session.ts'

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

test('the first start makes the template, and the next restores it', async () => {
  await using first = await fake.launch()
  expect(first.hostname).toBe('fake')
  expect(first.steps.map(({ name }) => name)).toContain('save')
  await using second = await fake.launch()
  expect(second.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['restore', 'identity', 'clock']))
  expect(fake.image.made).toBe(1)
  expect(fake.host.boxes.size).toBe(2)
})

test('what killed processes left is removed once, after the first start, well or not', async () => {
  fake.image.fates.push({ kind: 'refused', error: new ContainerNotStartedError({ what: 'no', remedy: 'none' }) })
  await expect(fake.launch({ template: false })).rejects.toThrow()
  await using _vm = await fake.launch()
  expect(fake.host.prunes).toBe(1)
})

test('what killed builds left in the temporary directory is removed, too', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'tk-'))
  vi.stubEnv('TMPDIR', temporary)
  try {
    // Nobody answers in it.
    await mkdir(join(temporary, 'testkernels-1-aB3dEf'))
    await using _vm = await fake.launch()
    await expect.poll(() => readdir(temporary)).toEqual([])
  } finally {
    vi.unstubAllEnvs()
    await rm(temporary, { recursive: true })
  }
})

test('no box with a guest in it may write templates, and what a template is made in is its own', async () => {
  await using vm = await fake.launch()
  await using checkpoint = await vm.checkpoint()
  await using _fork = await checkpoint.fork()
  const withGuest = fake.host.specs.filter(({ entrypoint }) => entrypoint === undefined)
  const mounted = withGuest.map(({ mounts = [] }) =>
    mounts.flatMap((mount) => (mount.kind === 'volume' ? [`${mount.target} ${mount.access}`] : [])),
  )
  const [marks, templates] = ['/var/lib/testkernels/marks read-write', '/var/lib/testkernels/templates read-only']
  expect(mounted).toEqual([
    [templates, marks],
    [templates, marks, '/var/lib/testkernels/making read-write'],
    [templates, marks],
    ['/var/lib/testkernels/making read-write'],
    ['/var/lib/testkernels/templates/checkpoint read-only'],
  ])
  expect(fake.host.removed).toEqual([expect.stringMatching(/^testkernels-making-/)])
})

test('what its dockerd is told, a guest that boots waits for; a saved one has it, and of another nobody takes it', async () => {
  const daemon = { debug: true }
  await using _first = await fake.launch({ daemon })
  await using _clone = await fake.launch({ daemon })
  expect(fake.image.made).toBe(1)
  await using _other = await fake.launch({ daemon: { debug: false } })
  await using _without = await fake.launch()
  expect(fake.image.made).toBe(3)
  const told = fake.host.specs.map(
    ({ command }) => /testkernels\.settings=(\w{32})( |$)/.exec(command?.join('\n') ?? '')?.[1],
  )
  expect(new Set(told.filter((digest) => digest !== undefined)).size).toBe(2)
  await using _cold = await fake.launch({ daemon, template: false })
})

test.each([
  ['testkernels', true],
  ['systemd', true],
  [['sleep', 'infinity'], false],
] as const)('the guest of an image that says init %j waits for its settings: %s', async (init, waits) => {
  const kernel = { release: '6.1.0', modules: 'present', config: { version: [6, 1], options: {} } } as const
  const facts = { kernel, init, ...(init === 'systemd' && { systemd: { version: 252, engine: 'dockerd' } as const }) }
  const labels = { ...vmLabels, ...formatVmLabels('key', facts) }
  const image = { id: 'sha256:fake', labels, sizeBytes: 0 }
  await using session = await FakeSession.open({ image, program: fake.image.play })
  await using _vm = await session.launch({ daemon: { debug: true }, template: false })
  expect(session.host.specs.at(-1)?.command?.join(' ').includes('testkernels.settings=')).toBe(waits)
})

test("a proxy's password is told to guests that run, and is in nothing that is kept, shown or logged", async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line), level: 'debug' })
  const proxy = { https: 'http://me:t0p-secret@proxy.example.org:3128', no: 'db.example.org' }
  const encoded = Buffer.from('me:t0p-secret').toString('base64')
  await using _vm = await fake.launch({ proxy, log })
  // The guest that was saved has its settings, and the clone the proxy.
  const toldProxies = () => fake.image.told.filter((line) => line.startsWith('proxy '))
  expect(toldProxies()).toEqual([`proxy https proxy.example.org 3128 ${encoded}`])
  const files = fake.image.told.filter((line) => line.startsWith('file ')).map((line) => line.split(' ')[2] ?? '')
  expect(Buffer.from(files.join(''), 'hex').toString()).toBe(
    'HTTPS_PROXY=http://127.0.0.1:61024\nNO_PROXY=db.example.org\n',
  )
  const seen = JSON.stringify([lines, fake.host.specs])
  for (const secret of ['t0p-secret', encoded]) expect(seen).not.toContain(secret)
  // Another password is no other template.
  await using _other = await fake.launch({ proxy: { ...proxy, https: 'http://me:other@proxy.example.org:3128' } })
  expect(fake.image.made).toBe(1)
  await using _cold = await fake.launch({ proxy, template: false })
  expect(toldProxies()).toHaveLength(3)
})

test('every box with a guest in it holds that to its egress, and the template is the same', async () => {
  const egress = ['10.0.0.1:443']
  await using vm = await fake.launch({ egress })
  await using checkpoint = await vm.checkpoint()
  await using _fork = await checkpoint.fork()
  await using _nothing = await fake.launch({ egress: 'none' })
  await using _all = await fake.launch()
  expect(fake.image.made).toBe(1)
  const withGuest = fake.host.specs.filter(({ entrypoint }) => entrypoint === undefined)
  const held = withGuest.map(({ environment }) => environment?.['TESTKERNELS_EGRESS'])
  expect(held).toEqual([...Array(5).fill('10.0.0.1:443'), 'none', undefined])
})

test('a guest that never answers is the end of the start when its time is up', async () => {
  fake.image.fates.push({ kind: 'hangs', answers: 0 })
  await expect(fake.launch({ template: false, bootTimeoutMs: 50 })).rejects.toMatchObject({
    code: 'BOOT_TIMEOUT',
    entry: 'fake',
  })
})

test('a start that is called off ends what it began, with the reason', async () => {
  fake.image.fates.push({ kind: 'hangs', answers: 0 })
  const calledOff = new AbortController()
  const starting = fake.launch({ template: false, signal: calledOff.signal })
  await expect.poll(() => fake.host.boxes.size).toBe(1)
  calledOff.abort(new Error('changed my mind'))
  await expect(starting).rejects.toThrow('changed my mind')
  expect(await readdir(join(fake.session.settings.cacheDirectory, 'consoles'))).toEqual([])
})

test('a host that starts no box is the error', async () => {
  const error = new ContainerNotStartedError({ what: 'no', remedy: 'none' })
  fake.image.fates.push({ kind: 'refused', error })
  await expect(fake.launch()).rejects.toBe(error)
})

test('a death is told by the VM', async () => {
  const vm = await fake.launch()
  for (const box of fake.host.boxes) box.exit(139)
  await expect.poll(() => vm.gone.aborted).toBe(true)
  expect(vm.gone.reason).toMatchObject({ code: 'VM_DIED', message: expect.stringContaining('SIGSEGV') })
  await vm.stop()
})

test('forks have names of their own, and end on their own', async () => {
  const vm = await fake.launch()
  const fork = await vm.fork()
  expect(fork.hostname).toMatch(/^fake-[0-9a-f]{6}$/)
  await vm.stop()
  expect(fork.gone.aborted).toBe(false)
  await fork.stop()
})

test('each VM has forwards of its own, and one whose port is taken is not started', async () => {
  const vm = await fake.launch({ forwards: [{ guest: 8080, name: 'web' }] })
  await using fork = await vm.fork()
  const [one, other] = [vm.forwards['web'], fork.forwards['web']]
  expect(one?.address).not.toBe(other?.address)
  expect(fork.environment['TESTKERNELS_FORWARD_WEB']).toBe(other?.address)
  const host = one?.kind === 'tcp' ? one.port : 0
  const boxes = fake.host.specs.length
  await expect(fake.launch({ forwards: [{ guest: 80, host }] })).rejects.toMatchObject({ code: 'FORWARD_PORT_TAKEN' })
  expect(fake.host.specs).toHaveLength(boxes)
  await vm.stop()
  await using next = await fake.launch({ forwards: [{ guest: 80, host }] })
  expect(next.forwards['80']?.address).toBe(one?.address)
})

test('of two starts at once that ask for one port, only one starts a VM', async () => {
  const vm = await fake.launch({ forwards: [{ guest: 8080 }] })
  const host = vm.forwards['8080']?.kind === 'tcp' ? vm.forwards['8080'].port : 0
  await vm.stop()
  const boxes = fake.host.specs.length
  const starts = [1, 2].map((guest) => fake.launch({ forwards: [{ guest, host }] }))
  const refused = (await Promise.allSettled(starts)).filter((one) => one.status === 'rejected')
  expect(refused).toMatchObject([{ reason: { code: 'FORWARD_PORT_TAKEN' } }])
  expect(fake.host.specs).toHaveLength(boxes + 1)
  for (const start of await Promise.allSettled(starts)) if (start.status === 'fulfilled') await start.value.stop()
})

test('ports of this machine are open to a guest as soon as somebody has it, and to its forks', async () => {
  await using vm = await fake.launch({ hostPorts: [5432, 8080, 5432], spares: 1 })
  expect(fake.image.hostPorts.toSorted()).toEqual([5432, 8080])
  await vm.exposeHostPort(40_123)
  expect(fake.image.hostPorts.at(-1)).toBe(40_123)
  await expect.poll(() => fake.host.boxes.size, { timeout: 30_000 }).toBe(2)
  expect(fake.image.hostPorts).toHaveLength(3)
  await using _fork = await vm.fork()
  expect(fake.image.hostPorts.slice(3).toSorted()).toEqual([5432, 8080])
  await expect(vm.exposeHostPort(0)).rejects.toMatchObject({ code: 'INVALID_OPTION', what: '0 is no port' })
})

test('a spare takes no port of this machine before somebody has it', async () => {
  await using vm = await fake.launch({ forwards: [{ guest: 8080 }] })
  const host = vm.forwards['8080']?.kind === 'tcp' ? vm.forwards['8080'].port : 0
  await vm.stop()
  await using first = await fake.launch({ forwards: [{ guest: 80, host }], spares: 1 })
  await expect.poll(() => fake.host.boxes.size, { timeout: 30_000 }).toBe(2)
  // The spare is left for who can have it.
  await expect(first.fork()).rejects.toMatchObject({ code: 'FORWARD_PORT_TAKEN' })
  expect(fake.host.boxes.size).toBe(2)
})
