// Registries that a guest reaches by what its entry or this machine's docker has for them: a CA, and a proxy that asks for a password. Both
// are at the address by which the engine's containers reach this machine.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createAuthority } from '../../../src/buildkit/testing/certificates.ts'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { type Registry, startRegistry } from '../../support/registry.ts'
import { TemplateVolume } from '../../support/templates.ts'

/** No name server knows it. */
const NAME = 'registry.testkernels.test'
const PASSWORD = 't0p/secret'

const entry = new KernelVm({ kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar], proxy: 'none' })
let machine: string
let directory: string
let registry: Registry
let image: string

beforeAll(async () => {
  const bridge = await new Docker().getNetwork('bridge').inspect()
  machine = bridge.IPAM?.Config?.[0]?.['Gateway'] ?? ''
  const authority = createAuthority('testkernels e2e')
  registry = await startRegistry({ address: machine, tls: authority.issue(NAME, [NAME]) })
  image = `${NAME}:${registry.port}/fixture:1`
  directory = await mkdtemp(join(tmpdir(), 'tk-registries-'))
  const certificates = join(directory, `certs.d/${NAME}:${registry.port}`)
  await mkdir(certificates, { recursive: true })
  await writeFile(join(certificates, 'ca.crt'), authority.cert)
})
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

/** Pushes what the guest has, and pulls it again. */
async function pushAndPull(vm: StartedKernelVm): Promise<void> {
  await docker(vm, ['tag', fixtureImage, image])
  await docker(vm, ['push', image])
  await docker(vm, ['rmi', image])
  await docker(vm, ['pull', image])
  expect(await docker(vm, ['run', '--rm', image, 'echo', 'pulled'])).toBe('pulled')
}

async function nameRegistry(vm: StartedKernelVm): Promise<void> {
  await vm.exec(['sh', '-c', `echo ${machine} ${NAME} >>/etc/hosts`])
}

test('a registry is believed by a CA of the directory that the entry names, and by no other', async () => {
  await using believing = await entry.withRegistryCertificates(join(directory, 'certs.d')).start()
  await nameRegistry(believing)
  await pushAndPull(believing)
  await using doubting = await entry.withRegistryCertificates('none').start()
  await nameRegistry(doubting)
  await expect(docker(doubting, ['pull', image])).rejects.toMatchObject({
    stderr: expect.stringContaining('x509: certificate signed by unknown authority'),
  })
})

test("pulls go through the proxy of docker's config.json, whose password no saved VM has", async () => {
  await using proxy = await startProxy()
  const url = `http://me:${encodeURIComponent(PASSWORD)}@${machine}:${proxy.port}`
  await writeFile(join(directory, 'config.json'), JSON.stringify({ proxies: { default: { httpsProxy: url } } }))
  vi.stubEnv('DOCKER_CONFIG', directory)
  await using volume = await TemplateVolume.create()
  const inheriting = entry.withProxy('inherit').withRegistryCertificates(join(directory, 'certs.d'))
  await using vm = await inheriting.start().finally(() => vi.unstubAllEnvs())
  await pushAndPull(vm)
  expect(proxy.refused).toBe(0)
  expect(new Set(proxy.connects)).toEqual(new Set([`${NAME}:${registry.port}`]))
  const info = await new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) }).info()
  expect(info).toMatchObject({ HttpsProxy: 'http://127.0.0.1:61024' })

  await using fork = await vm.fork()
  const before = proxy.connects.length
  await docker(fork, ['pull', image])
  expect(proxy.connects.length).toBeGreaterThan(before)

  expect(await volume.keys()).toHaveLength(1)
  const secrets = [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(`me:${PASSWORD}`).toString('base64')]
  const found = await volume.shell(`grep -rlF ${secrets.map((secret) => `-e ${secret}`).join(' ')} . || true`)
  expect(found).toBe('')
  // The same search finds what is there.
  expect(await volume.shell('grep -rlF HTTPS_PROXY=http://127.0.0.1:61024 .')).not.toBe('')
})

/** A proxy at this machine's address on the bridge, which asks for the password and leads to the registry alone. */
async function startProxy() {
  const connects: string[] = []
  const sockets = new Set<Socket>()
  let refused = 0
  const expected = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`
  const server = createServer((_, response) => response.writeHead(405).end())
  server.on('connect', ({ url = '', headers }, client: Socket) => {
    client.on('error', () => {})
    if (headers['proxy-authorization'] !== expected) {
      refused++
      return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n')
    }
    connects.push(url)
    const upstream = connect(registry.port, machine)
    for (const socket of [client, upstream]) sockets.add(socket)
    upstream.on('error', () => client.destroy())
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, machine)
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connects,
    get refused() {
      return refused
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
