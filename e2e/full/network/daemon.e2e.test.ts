// What an entry has its guest's dockerd told is what that reports, in the VM that boots and in its clones.
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'
import { TemplateVolume } from '../../support/templates.ts'

const mirror = 'https://mirror.example.org/'

test('daemon is in force in a VM and in its clones, and is another saved VM', async () => {
  await using volume = await TemplateVolume.create()
  const options = { name: 'told', kernel: 'debian:bookworm', memoryMib: 1024 }
  const told = new KernelVm(options).withDaemon({
    debug: true,
    'live-restore': true,
    'log-driver': 'local',
    'registry-mirrors': [mirror],
    'insecure-registries': ['registry.example.org:5000'],
    // Longer than the agent reads at a time.
    labels: [`purpose=${'x'.repeat(6000)}`],
  })
  await using first = await told.start()
  await using second = await first.fork()
  for (const vm of [first, second]) {
    const info = await new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) }).info()
    expect(info).toMatchObject({ Debug: true, LiveRestoreEnabled: true, LoggingDriver: 'local' })
    expect(info.Labels?.[0]).toHaveLength(6008)
    expect(info.RegistryConfig).toMatchObject({
      Mirrors: [mirror],
      IndexConfigs: { 'registry.example.org:5000': { Secure: false } },
    })
    // Ours stay where the entry says nothing of them.
    expect((await vm.exec(['ip', '-4', '-o', 'addr', 'show', 'docker0'])).stdout).toContain('10.201.0.1/16')
  }
  await using _untold = await new KernelVm(options).start()
  expect(await volume.keys()).toHaveLength(2)
})

test('what dockerd does not know ends the start, with its log; what is ours is refused before', async () => {
  const run = ['run', '--kernel', 'debian:bookworm', '--no-template', '--daemon']
  await using unknown = await testkernels([...run, '{"no-such-key": 1}', '--', 'true'])
  expect(await unknown.program.exit).toMatchObject({ code: 125 })
  expect(unknown.program.stderr).toMatch(/DOCKERD_FAILED.*option daemon.*no-such-key/s)
  await using ours = await testkernels([...run, '{"hosts": []}', '--', 'true'])
  expect(await ours.program.exit).toMatchObject({ code: 125 })
  expect(ours.program.stderr).toContain(`[INVALID_OPTION]: kernel: the option 'daemon' has "hosts"`)
})
