// Sockets and ports of the guest on this machine: one VM, and a fork that has its own.
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Says what it is, and ends each connection. */
const SERVE = `nohup sh -c 'while :; do hostname | /.testkernels/bin/nc -l -p 8080; done' >/dev/null 2>&1 </dev/null &`

const kernel = new KernelVm({ name: 'forwarded', kernel: 'debian:bookworm' }).withForwards([
  { guest: '/run/docker/containerd/containerd.sock' },
  { guest: 8080, name: 'web' },
])
let vm: StartedKernelVm
let fork: StartedKernelVm
beforeAll(async () => {
  vm = await kernel.start()
  fork = await vm.fork()
})
afterAll(async () => {
  await fork?.stop()
  await vm?.stop()
})

const portOf = ({ forwards: { web } }: StartedKernelVm) => (web?.kind === 'tcp' ? web.port : 0)

test("a port of the guest is a port of 127.0.0.1, and a fork's is another", async () => {
  expect(portOf(vm)).not.toBe(portOf(fork))
  for (const one of [vm, fork]) {
    await one.exec(SERVE)
    // What listens comes a moment after the command has ended.
    const answer = () => text(connect(portOf(one), '127.0.0.1')).catch(() => '')
    await expect.poll(answer, { timeout: 60_000 }).toBe(`${one.hostname}\n`)
  }
})

test('a socket of the guest is a socket here, whose path programs find by name', async () => {
  const { environment } = vm
  expect(environment['TESTKERNELS_FORWARD_CONTAINERD']).toBe(vm.forwards['containerd']?.address)
  expect(environment['TESTKERNELS_FORWARD_WEB']).toBe(`127.0.0.1:${portOf(vm)}`)
  // The preface of HTTP/2: containerd answers with a frame of its settings.
  const socket = connect(environment['TESTKERNELS_FORWARD_CONTAINERD'] ?? '')
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
  const [frame] = (await socket.take(1).toArray()) as Buffer[]
  expect(frame?.[3]).toBe(4)
})

test('a port of this machine that is taken ends the start, by name', async () => {
  const taken = kernel.withForwards([{ guest: 8080, host: portOf(vm) }])
  await expect(taken.start()).rejects.toMatchObject({ code: 'FORWARD_PORT_TAKEN', entry: 'forwarded' })
})
