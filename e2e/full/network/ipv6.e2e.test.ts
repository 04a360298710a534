// An engine whose containers have IPv6, in a network of its own, with two servers there: a guest is reached over IPv6 and goes out over it, as
// far as its entry lets it.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { baseImage, fixtureImage, fixtureTar } from '../../support/env.ts'
import {
  canIsolate,
  type IsolatedEngine,
  inNetworkOf,
  loadImagesInto,
  startIsolatedEngine,
} from '../../support/isolated-engine.ts'
import { Program } from '../../support/program.ts'
import { runWebServer } from '../../support/service.ts'
import { vmImageNames } from '../../support/templates.ts'

const run = promisify(execFile)
/** For documentation (RFC 3849), so that no network has them. */
const [CONTAINERS, LISTED, OTHER] = ['2001:db8:1::/64', '2001:db8:2::1', '2001:db8:2::2']
/** Of a guest's own networks. */
const [DEFAULT_BRIDGE, OWN] = ['2001:db8:3::/64', '2001:db8:4::/64']
const PORT = 8099
/** Longer than any answer of a neighbour takes. */
const ANSWER_DEADLINE_S = 60

describe.runIf(canIsolate)('on an engine whose default bridge has IPv6', () => {
  let engine: IsolatedEngine
  let server: Program
  let vm: StartedKernelVm
  const entry = new KernelVm({ name: 'dual', kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar] })

  beforeAll(async () => {
    const flags = ['--ipv6', '--fixed-cidr-v6', CONTAINERS]
    engine = await startIsolatedEngine({ storageDriver: 'overlay2', flags })
    await loadImagesInto(engine, [baseImage, ...(await vmImageNames())])
    server = await startServer(engine)
    vi.stubEnv('DOCKER_HOST', engine.dockerHost)
    vm = await entry.withDaemon({ ipv6: true, 'fixed-cidr-v6': DEFAULT_BRIDGE }).start()
  })
  afterAll(async () => {
    await vm?.stop()
    await server?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
    vi.unstubAllEnvs()
  })

  test('a guest, its containers and its forks reach what the engine reaches', async () => {
    expect(await asked(vm, `[${LISTED}]:${PORT}`)).toBe(LISTED)
    await using fork = await vm.fork()
    expect(await asked(fork, `[${LISTED}]:${PORT}`)).toBe(LISTED)
    await docker(vm, ['network', 'create', '--ipv6', '--subnet', OWN, 'own'])
    for (const network of ['bridge', 'own']) {
      const args = ['run', '--rm', '--network', network, fixtureImage, ...get(`[${LISTED}]:${PORT}`)]
      expect(await docker(vm, args)).toBe(LISTED)
    }
  })

  test('what its containers publish is reached at the address of its container, over IPv6 alone as well', async () => {
    await runWebServer(vm, 'both', '--hostname', 'both', '--publish', '8080:80')
    await runWebServer(vm, 'only', '--hostname', 'only', '--publish', '[::]:8081:80')
    expect(vm.ipv6Address).toMatch(/^2001:db8:1:/)
    const ask = `fetch(process.argv[1]).then((answer) => answer.text()).then(console.log)`
    const read = async (port: number) => {
      const url = `http://[${vm.ipv6Address}]:${port}/etc/hostname`
      const [program = '', ...args] = [...inNetworkOf(engine), process.execPath, '-e', ask, url]
      return (await run(program, args)).stdout.trim()
    }
    expect(await read(8080)).toBe('both')
    expect(await read(8081)).toBe('only')
  })

  test('neither what its container has of its own is reached, nor what it takes for its link', async () => {
    for (const address of [`[${vm.ipv6Address}]:${PORT}`, `[fd5c:1a77:9e30::1]:${PORT}`])
      expect(await asked(vm, address, 10)).toMatch(/timed out|refused|unreachable/)
    await using neighbour = await entry.withEgress('none').start()
    expect(await asked(neighbour, `[${vm.ipv6Address}]:8080`, 10)).toMatch(REFUSED)
  })

  test('one that is held reaches what is listed, and nothing else', async () => {
    await using held = await entry.withEgress([`[${LISTED}]:${PORT}`]).start()
    expect(await asked(held, `[${LISTED}]:${PORT}`)).toBe(LISTED)
    for (const address of [`[${LISTED}]:${PORT + 1}`, `[${OTHER}]:${PORT}`])
      expect(await asked(held, address)).toMatch(REFUSED)
  })
})

const get = (where: string, deadlineS = ANSWER_DEADLINE_S) => [
  ...['wget', '-q', '-T', String(deadlineS), '-O', '-', `http://${where}/`],
]

const REFUSED = /can't connect to remote host.*: (No route to host|Host is unreachable|Permission denied)/

/** What a guest is answered, or what wget says instead. */
async function asked(vm: StartedKernelVm, where: string, deadlineS?: number): Promise<string> {
  const [program = '', ...args] = get(where, deadlineS)
  const { stdout, stderr } = await vm.exec([`/.testkernels/bin/${program}`, ...args])
  return (stdout || stderr).trim()
}

/** Says at two addresses, and at two ports of each, which address it is. */
async function startServer(engine: IsolatedEngine): Promise<Program> {
  const inside = inNetworkOf(engine)
  for (const address of [LISTED, OTHER]) {
    const [program = '', ...args] = [...inside, 'ip', 'address', 'add', `${address}/128`, 'dev', 'lo']
    await run(program, args)
  }
  const script = `
for (const address of ['${LISTED}', '${OTHER}'])
  for (const port of [${PORT}, ${PORT + 1}])
    require('node:http').createServer((_, response) => response.end(address)).listen(port, address, () => console.log('listening'))`
  const server = new Program([...inside, process.execPath, '-e', script])
  await server.printed('stdout', /(listening\n){4}/)
  return server
}
