// A guest and its containers at services of this machine's loopback device: by our name, and by Testcontainers'.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'

const run = promisify(execFile)
const BUILD_DEADLINE_MS = 240_000
/** An SSH server and a container under software emulation. */
const SCRIPT_DEADLINE_MS = 240_000
/** Testcontainers' own is in a registry. What it asks of that image: this password, a server that lets root in, and ports for all. */
const SSHD_IMAGE = 'testkernels-e2e/testcontainers-sshd'
/** The base image is there once an image of a VM was built. */
const SSHD = `FROM testkernels/base:trixie
RUN apt-get update && apt-get install -y --no-install-recommends openssh-server && mkdir -p /run/sshd
CMD ["sh", "-c", "echo root:$PASSWORD | chpasswd && exec /usr/sbin/sshd -D -e -o PermitRootLogin=yes -o GatewayPorts=yes"]
`

let server: Server
let port: number
const entry = new KernelVm({ name: 'outward', kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar] })

beforeAll(async () => {
  server = createServer((_, response) => response.end('this machine'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.close()
  // It is not there where other tests were chosen.
  await run('docker', ['image', 'rm', '--force', SSHD_IMAGE]).catch(() => {})
})

const HOST = 'host.testkernels.internal'
const get = (at = port, host = HOST) => ['wget', '-q', '-T', '60', '-O', '-', `http://${host}:${at}/`]
const inGuest = async (vm: StartedKernelVm, [program = '', ...args]: readonly string[]) => {
  const { stdout, stderr } = await vm.exec([`/.testkernels/bin/${program}`, ...args])
  return stdout || stderr
}

test('a guest that may reach nothing, its containers and its forks reach the ports that are named, and no others', async () => {
  await using vm = await entry.withHostPorts([port]).withEgress('none').start()
  await using fork = await vm.fork()
  for (const one of [vm, fork]) expect(await inGuest(one, get())).toBe('this machine')
  expect(await docker(vm, ['run', '--rm', fixtureImage, ...get()])).toBe('this machine')
  await docker(vm, ['network', 'create', 'own'])
  expect(await docker(vm, ['run', '--rm', '--network', 'own', fixtureImage, ...get()])).toBe('this machine')

  const other = createServer((_, response) => response.end('later')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  const at = (other.address() as AddressInfo).port
  expect(await inGuest(vm, get(at))).toContain('Connection refused')
  await vm.exposeHostPort(at)
  expect(await inGuest(vm, get(at))).toBe('later')
  other.close()
  other.closeAllConnections()
  // Nobody listens any more: who connects is told so.
  expect(await inGuest(vm, get(at))).toMatch(/reset by peer|error getting response/)
})

/** From one port, a question for a name that there is not, and then for ours: prints the address in the second answer. */
const ASK = String.raw`perl -MIO::Socket::INET -e '
  my $socket = IO::Socket::INET->new(Proto => "udp", PeerAddr => $ARGV[0], PeerPort => 53);
  sub ask { my ($id, $name) = @_;
    $socket->send(pack("n6", $id, 0x100, 1, 0, 0, 0) . join("", map { pack("C/a*", $_) } split /\./, $name) . pack("Cnn", 0, 1, 1)) }
  ask(1, "nosuch.invalid"); ask(2, "HOST.TestKernels.internal");
  alarm 60;
  while ($socket->recv(my $answer, 512)) {
    next unless unpack("n", $answer) == 2;
    print join(".", unpack("C4", substr($answer, -4))), "\n"; exit }'`

test('each name server of a guest knows the name, whatever it was asked before, and a VM without such ports has it too', async () => {
  await using vm = await entry.start()
  for (const address of ['192.0.2.1', '192.0.2.5', '192.0.2.6'])
    expect((await vm.exec(`${ASK} ${address}`)).stdout).toBe('192.0.2.10\n')
  expect(await inGuest(vm, get())).toContain('Connection refused')
})

async function buildSshd(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tk-sshd-'))
  await writeFile(join(directory, 'Dockerfile'), SSHD)
  await run('docker', ['build', '--tag', SSHD_IMAGE, directory], {
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
    timeout: BUILD_DEADLINE_MS,
  })
  await rm(directory, { recursive: true })
}

test.each(['direct', 'forwarded'])("Testcontainers' exposeHostPorts works where ports are %s", async (ports) => {
  await buildSshd()
  if (ports === 'forwarded') vi.stubEnv('TESTKERNELS_PORTS', ports)
  try {
    await using vm = await entry.withImages([fixtureTar, SSHD_IMAGE]).start()
    const env = { ...process.env, ...vm.environment, SSHD_CONTAINER_IMAGE: SSHD_IMAGE }
    const script = join(import.meta.dirname, 'expose-host-ports.mjs')
    const { stdout } = await run(process.execPath, [script, fixtureImage], { env, timeout: SCRIPT_DEADLINE_MS })
    expect(stdout).toBe('this machine\n')
  } finally {
    vi.unstubAllEnvs()
  }
})
