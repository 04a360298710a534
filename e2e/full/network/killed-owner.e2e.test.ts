// The name of a VM on a network of VMs, when its process is killed: the next start has it.
import { randomBytes } from 'node:crypto'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'

const network = `e2e-${randomBytes(4).toString('hex')}`
const engine = new Docker()

const start = (...command: readonly string[]) =>
  testkernels(['run', '--kernel', 'debian:bookworm', '--network', network, '--', ...command])

test('it is taken as long as its process lives, and no longer', async () => {
  await using owner = await start('sh', '-c', 'echo running; cat')
  await owner.program.printed('stdout', /^running$/m)
  await using second = await start('true')
  expect(await second.program.exit).toEqual({ code: 125, signal: null })
  expect(second.program.stderr).toContain('error [NETWORK_NAME_TAKEN]')
  owner.program.kill('SIGKILL')
  // At once: the engine has not heard of it yet, and the VM of the dead one may still run.
  await using next = await start('sh', '-c', 'echo running')
  expect(await next.program.exit, next.program.stderr).toEqual({ code: 0, signal: null })
  expect(next.program.stdout).toContain('running')
  await next.gone()
  await expect.poll(() => owner.containers()).toEqual([])
  const left = await engine.listNetworks({ filters: { name: [`testkernels-${network}`] } })
  expect(left.map(({ Name }) => Name)).toEqual([])
})
