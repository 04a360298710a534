import { expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import { FakeSession, openForEachTest } from './testing/fake-session.ts'

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

test('a host with another MTU has another template', async () => {
  await using short = await FakeSession.open({ network: { mtu: 1400 }, program: fake.image.play })
  await using _one = await fake.launch()
  await using _other = await short.launch()
  expect(fake.image.made).toBe(2)
})

test('a host whose network has IPv6 has another template, and boxes that pass packets of it on', async () => {
  await using dual = await FakeSession.open({ network: { ipv6: true }, program: fake.image.play })
  await using _one = await fake.launch()
  await using vm = await dual.launch()
  await using _fork = await vm.fork()
  expect(fake.image.made).toBe(2)
  const routers = ({ host }: FakeSession) =>
    host.specs
      .filter(({ entrypoint }) => entrypoint === undefined)
      .map(({ environment, sysctls }) => [environment?.['TESTKERNELS_IPV6'], sysctls?.['net.ipv6.conf.all.forwarding']])
  expect(new Set(routers(dual).flat())).toEqual(new Set(['1']))
  expect(new Set(routers(fake).flat())).toEqual(new Set([undefined]))
})

test('what a guest is to reach over IPv6, where its host has none, is told of by name', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  await using _vm = await fake.launch({ log, egress: ['10.0.0.0/8', '[fd00::1]:443', ':53'] })
  expect(lines.join('\n')).toContain(
    "the engine's default bridge has no IPv6: no guest reaches [fd00::1]:443 of the option egress",
  )
})

test('VMs, their forks and those of checkpoints join the network by their names, and what only saves one does not', async () => {
  await using vm = await fake.launch({ network: 'lab', spares: 1 })
  await expect.poll(() => fake.host.boxes.size, { timeout: 30_000 }).toBe(2)
  await using fork = await vm.fork()
  await using checkpoint = await vm.checkpoint()
  await using later = await checkpoint.fork()
  await using apart = await fake.launch()
  const withGuest = fake.host.specs.filter(({ command = [] }) => command.join(' ').includes('-netdev'))
  const joined = withGuest.flatMap(({ joins }) => joins ?? [])
  expect(joined.map(({ network }) => network)).toEqual(joined.map(() => 'testkernels-lab'))
  for (const { hostname } of [vm, fork, later]) expect(joined.map(({ name }) => name)).toContain(hostname)
  const savers = withGuest.filter(({ environment }) => environment?.['TESTKERNELS_SAVE'] !== undefined)
  expect(savers.map(({ joins }) => joins)).toEqual(savers.map(() => undefined))
  // All have the device of the saved guest, and those without a network another template.
  const devices = withGuest.map(({ command = [] }) => command.join(' ').includes('ifname=tap1'))
  expect(devices.indexOf(false)).toBeGreaterThan(3)
  expect(fake.image.made).toBe(2)
  const told = fake.image.told.filter((line) => line.startsWith('network '))
  expect(told).toContain(`network ${vm.networkAddress} 24 ${macAddressOf(vm.networkAddress)}`)
  expect(new Set(told).size).toBe(told.length)
  expect(apart.networkAddress).toBeUndefined()
})

test('a clone of a checkpoint is on the network when it has an address of its own, and not before', async () => {
  await using vm = await fake.launch({ network: 'lab' })
  await using checkpoint = await vm.checkpoint()
  await using _clone = await checkpoint.fork()
  const links = fake.image.qemus.map(({ commands }) =>
    commands.filter((command) => /^(cont|set_link)/.test(command)).join(', '),
  )
  expect(links.at(-1)).toBe('set_link down, cont, set_link up')
  expect(links.filter((commands) => commands.includes('set_link'))).toHaveLength(1)
  // Its link was down when it was told: nobody has heard of it.
  expect(fake.image.told.filter((line) => /^(network|linked)/.test(line)).slice(-2)).toEqual([
    expect.stringContaining('network '),
    'linked ',
  ])
})

/** As the fake host makes it. */
function macAddressOf(address = ''): string {
  return `02:42:c6:33:64:${Number(address.split('.')[3]).toString(16).padStart(2, '0')}`
}
