// What a guest reaches beyond its container, with two containers of the engine beside it that serve the same.
import { createReadStream } from 'node:fs'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'

const engine = new Docker()
/** Longer than any answer of a neighbour takes. */
const ANSWER_DEADLINE_S = 30
const neighbours: Docker.Container[] = []
let [listed, other] = ['', '']

beforeAll(async () => {
  const loading = await engine.loadImage(createReadStream(fixtureTar))
  await new Promise((resolve, reject) => loading.on('end', resolve).on('error', reject).resume())
  listed = await startNeighbour()
  other = await startNeighbour()
})
afterAll(async () => {
  for (const neighbour of neighbours) await neighbour.remove({ force: true })
  await engine.getImage(fixtureImage).remove()
})

/** A container on the default bridge, with a web server on two ports. @returns its address */
async function startNeighbour(): Promise<string> {
  const Cmd = ['sh', '-c', 'echo reached >/hello; httpd -h / -p 81; exec httpd -f -h / -p 80']
  const container = await engine.createContainer({ Image: fixtureImage, Cmd })
  neighbours.push(container)
  await container.start()
  return (await container.inspect()).NetworkSettings.Networks['bridge']?.IPAddress ?? ''
}

const get = (where: string) => ['wget', '-q', '-T', String(ANSWER_DEADLINE_S), '-O', '-', `http://${where}/hello`]

/** What a guest is answered, or the end of what wget says instead. */
async function asked(vm: StartedKernelVm, where: string): Promise<string> {
  const [program = '', ...args] = get(where)
  const { stdout, stderr } = await vm.exec([`/.testkernels/bin/${program}`, ...args])
  return (stdout || stderr).trim()
}

const REFUSED = /can't connect to remote host .*: (No route to host|Host is unreachable)/

test('a guest, its containers and its forks reach what is listed, and nothing else', async () => {
  const entry = new KernelVm({ name: 'held', kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar] })
  await using vm = await entry.withEgress([`${listed}:80`]).start()
  await using fork = await vm.fork()
  await using checkpoint = await vm.checkpoint()
  await using later = await checkpoint.fork()
  for (const held of [vm, fork, later]) {
    expect(await asked(held, listed)).toBe('reached')
    expect(await asked(held, `${listed}:81`)).toMatch(REFUSED)
    expect(await asked(held, other)).toMatch(REFUSED)
  }
  const inContainer = (where: string) => docker(vm, ['run', '--rm', fixtureImage, ...get(where)])
  expect(await inContainer(listed)).toBe('reached')
  await expect(inContainer(other)).rejects.toMatchObject({ stderr: expect.stringMatching(REFUSED) })
  // Nor what is in the VM's own container, or over IPv6.
  expect(await asked(vm, '192.0.2.1')).not.toBe('reached')
  const { stdout } = await vm.exec(['ip', '-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'])
  expect(stdout).toBe('')
})

test('of nothing, a guest reaches nothing, and is reached', async () => {
  const entry = new KernelVm({ name: 'alone', kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar] })
  await using vm = await entry.withEgress('none').start()
  expect(await asked(vm, listed)).toMatch(REFUSED)
  const server = ['sh', '-c', 'echo published >/hello; exec httpd -f -h / -p 80']
  await docker(vm, ['run', '--detach', '--publish', '8085:80', fixtureImage, ...server])
  const published = async () => await (await fetch(`http://${vm.address}:8085/hello`)).text()
  // Its port is open before its program listens.
  await expect.poll(() => published().catch(() => '')).toBe('published\n')
})

test('a host that nobody knows ends the start by name', async () => {
  const entry = new KernelVm({
    name: 'unknown',
    kernel: 'debian:bookworm',
    memoryMib: 1024,
    egress: ['nosuch.invalid:443'],
  })
  await expect(entry.start()).rejects.toMatchObject({
    code: 'EGRESS_UNRESOLVED',
    message: expect.stringContaining("the host 'nosuch.invalid' of the option 'egress'"),
  })
})
