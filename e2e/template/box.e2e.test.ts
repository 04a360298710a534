// The box around a VM, seen from its host: what it may do, were its QEMU taken over by the guest.
import { readFile } from 'node:fs/promises'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'

const engine = new Docker()
const templates = '/var/lib/testkernels/templates'
let vm: StartedKernelVm
let container: Docker.Container

beforeAll(async () => {
  vm = await new KernelVm({ name: 'boxed', kernel: 'debian:bookworm', memoryMib: 1024 }).start()
  const filters = { label: ['testkernels.entry=boxed'] }
  const ours = (await engine.listContainers({ filters })).find(({ Labels }) =>
    Labels['testkernels.owner']?.startsWith(`${process.pid}@`),
  )
  container = engine.getContainer(ours?.Id ?? '')
})
afterAll(() => vm?.stop())

/** What the kernel says of QEMU's process. */
async function qemuStatus(): Promise<Readonly<Record<string, string>>> {
  const { Processes } = await container.top({ ps_args: '-eo pid,comm' })
  const [pid] = Processes.find(([, name = '']: string[]) => name.startsWith('qemu-system')) ?? []
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n')
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/)))
}

/** Runs a shell script in the box as QEMU's user. */
async function asQemu(script: string): Promise<{ readonly exitCode: number | null; readonly output: string }> {
  const { Uid = '', Gid = '' } = await qemuStatus()
  const user = `${Uid.split('\t')[0]}:${Gid.split('\t')[0]}`
  const Cmd = ['sh', '-c', script]
  const exec = await container.exec({ Cmd, User: user, AttachStdout: true, AttachStderr: true, Tty: true })
  const stream = await exec.start({ Tty: true })
  let output = ''
  for await (const chunk of stream) output += chunk
  return { exitCode: (await exec.inspect()).ExitCode, output }
}

test('QEMU is nobody, has no capability, and a filter of system calls', async () => {
  const status = await qemuStatus()
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    expect(status, set).toMatchObject({ [set]: '0'.repeat(16) })
  expect(status).toMatchObject({ NoNewPrivs: '1', Seccomp: '2' })
  // Docker's own filter, and QEMU's.
  expect(Number(status['Seccomp_filters'])).toBeGreaterThanOrEqual(2)
  expect(Number(status['Uid']?.split('\t')[0])).not.toBe(0)
})

test('the box is read-only but for what is its own, and bounded', async () => {
  const { HostConfig, Mounts } = await container.inspect()
  expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], Privileged: false, PidsLimit: 448 })
  expect(HostConfig.Memory).toBe((1024 + 1536) * 2 ** 20)
  const writable = Mounts.filter(({ RW }) => RW).map(({ Destination }) => Destination)
  expect(writable.sort()).toEqual(['/run/testkernels', '/var/lib/testkernels/marks', '/var/lib/testkernels/scratch'])
})

test.each([
  ['rewrite a template', `for file in ${templates}/*/state.bin; do echo x >>$file; done`],
  ['make one', `mkdir ${templates}/0123456789abcdef0123456789abcdef`],
  ['say that one was found right', 'for mark in /var/lib/testkernels/marks/*; do echo x >>$mark; done'],
  ['change a program of the box', 'echo x >>/testkernels/supervise'],
])('QEMU cannot %s', async (_, script) => {
  const { exitCode, output } = await asQemu(script)
  expect(output).toMatch(/Read-only file system|Permission denied/)
  expect(exitCode).not.toBe(0)
})
