import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import type { RegistryAccess } from '../host/index.ts'
import { createLogger } from '../log/index.ts'
import { type KernelOptions, parseKernelEntry } from '../options/index.ts'
import { guestSettings, machineOf, settingsWords } from './guest-settings.ts'

const none: RegistryAccess = { mirrors: [], insecure: [], proxies: { from: 'the engine' } }
let directory: string
let said: string[]

beforeEach(async () => {
  said = []
  directory = await mkdtemp(join(tmpdir(), 'tk-settings-'))
})
afterEach(() => rm(directory, { recursive: true }))

function settingsOf(options: Partial<KernelOptions> = {}, access: Partial<RegistryAccess> = {}, networkMtu = 1500) {
  const entry = parseKernelEntry('v2', { kernel: 'debian:trixie', ...options })
  const log = createLogger({ write: (line) => said.push(line) })
  const certificates = join(directory, 'certs.d')
  return guestSettings(entry, { access: { ...none, ...access }, networkMtu, log, certificates })
}

async function filesOf(...given: Parameters<typeof settingsOf>): Promise<Readonly<Record<string, string>>> {
  const { files = [] } = (await settingsOf(...given)) ?? {}
  return Object.fromEntries(files.map(({ path, content }) => [path.replace('/.testkernels/etc/', ''), content]))
}

async function writeCertificates(parent: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(parent, name)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, content)
  }
}

test('there are none where neither the entry nor the host has any, and a kernel is told nothing', async () => {
  expect(await settingsOf()).toBeUndefined()
  expect(settingsWords(undefined)).toEqual([])
})

test("the engine's mirrors and insecure registries yield to a rootfs, and the entry's keys do not", async () => {
  const mirrors = ['https://mirror.example.org/', 'http://127.0.0.1:5000/', 'http://localhost:5000/']
  expect(await filesOf({ daemon: { debug: true } }, { mirrors, insecure: ['10.0.0.0/8'] })).toEqual({
    'daemon-defaults.json': '{"registry-mirrors":["https://mirror.example.org/"],"insecure-registries":["10.0.0.0/8"]}',
    'daemon.json': '{"debug":true}',
  })
})

test.each([1400, 9000])(
  "a network of %i bytes a packet is dockerd's default, and an entry may say another",
  async (mtu) => {
    expect(await filesOf({}, {}, mtu)).toEqual({ 'daemon-defaults.json': `{"mtu":${mtu}}` })
    expect(await filesOf({ daemon: { mtu: 1500 } }, {}, mtu)).toMatchObject({ 'daemon.json': '{"mtu":1500}' })
    expect(settingsWords(await settingsOf({}, {}, mtu))).not.toEqual(settingsWords(await settingsOf({}, {}, 1300)))
  },
)

test('proxies are those of the host, of the entry, or none', async () => {
  const proxies = {
    from: 'the engine',
    http: 'http://a.example.org:1',
    https: 'http://b.example.org:2',
    no: 'c, .d',
  } as const
  expect(await filesOf({}, { proxies })).toEqual({
    environment: 'HTTP_PROXY=http://a.example.org:1\nHTTPS_PROXY=http://b.example.org:2\nNO_PROXY=c,.d\n',
  })
  expect(await filesOf({ proxy: { https: 'http://e.example.org' } }, { proxies })).toEqual({
    environment: 'HTTPS_PROXY=http://e.example.org\n',
  })
  expect(await settingsOf({ proxy: 'none' }, { proxies })).toBeUndefined()
})

test.each([
  [
    'http://xxxxx:xxxxx@proxy.example.org:3128',
    'the https proxy of the engine has a password, which an engine does not tell',
  ],
  ['http://127.0.0.1:3128', 'is at a loopback address, which no guest reaches'],
  ['http://localhost:3128', 'is at a loopback address'],
  ['https://me:secret@proxy.example.org', 'has a user, whom only a proxy of http://'],
])("the host's proxy %s is left out, with a warning that does not quote it", async (https, warning) => {
  expect(await settingsOf({}, { proxies: { from: 'the engine', https } })).toBeUndefined()
  expect(said).toEqual([expect.stringContaining(warning)])
  expect(said.join()).not.toContain(https)
})

test('a proxy with a password is told by itself, and its place is taken by the relay', async () => {
  const proxies = { from: "docker's config.json", http: 'http://me:p%40ss@proxy.example.org' } as const
  expect(await settingsOf({}, { proxies })).toEqual({
    files: [{ path: '/.testkernels/etc/environment', content: 'HTTP_PROXY=http://127.0.0.1:61024\n' }],
    proxies: [{ scheme: 'http', host: 'proxy.example.org', port: 80, credentials: btoa('me:p@ss') }],
  })
})

test('CAs go with the name of their registry, and keys of clients stay', async () => {
  const ours = {
    'registry.example.org:5000/ca.crt': 'CA',
    'registry.example.org:5000/client.key': 'KEY',
    README: 'text',
  }
  await writeCertificates(join(directory, 'certs.d'), ours)
  await writeCertificates(join(directory, 'own'), { 'other.example.org/root.crt': 'ROOT' })
  expect(await filesOf()).toEqual({ '/etc/docker/certs.d/registry.example.org:5000/ca.crt': 'CA' })
  expect(await filesOf({ registryCertificates: join(directory, 'own') })).toEqual({
    '/etc/docker/certs.d/other.example.org/root.crt': 'ROOT',
  })
  expect(await settingsOf({ registryCertificates: 'none' })).toBeUndefined()
})

test('other settings are another digest, and so another saved VM; equal ones are not', async () => {
  const words = async (daemon: object) => settingsWords(await settingsOf({ daemon: { ...daemon } }))
  expect(await words({ debug: true })).toEqual([expect.stringMatching(/^testkernels\.settings=[0-9a-f]{32}$/)])
  expect(await words({ debug: true })).toEqual(await words({ debug: true }))
  expect(await words({ debug: false })).not.toEqual(await words({ debug: true }))
})

test('of the CAs of this machine those that cannot be read are left out, and told; of a chosen directory they are an error', async () => {
  await writeCertificates(join(directory, 'certs.d'), { 'a.example.org/ca.crt': 'A', 'b.example.org/ca.crt/none': '' })
  expect(await filesOf()).toEqual({ '/etc/docker/certs.d/a.example.org/ca.crt': 'A' })
  expect(said.join('\n')).toMatch(/b\.example\.org\/ca\.crt cannot be read, so no guest has it: .*EISDIR/)
  await expect(settingsOf({ registryCertificates: join(directory, 'certs.d') })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    entry: 'v2',
  })
})

test('a kernel that is to look for what it has lost is told on its command line, which a saved guest is found by', () => {
  const words = (kernelReports: KernelOptions['kernelReports'] = {}) => {
    const entry = parseKernelEntry('v2', { kernel: 'debian:trixie', kernelReports })
    const chosen = { arch: amd64, transport: 'mmio', generation: 'current', ipv6: 'none', preload: 'none' } as const
    const accelerator = { kind: 'tcg', counterKhz: 1 } as const
    return machineOf(entry, { ...chosen, accelerator, settings: undefined }).kernelArguments
  }
  expect(words({ kmemleak: true })).toEqual(['kmemleak=on'])
  expect(words({ fail: ['memory-leak'] })).toEqual([])
})
