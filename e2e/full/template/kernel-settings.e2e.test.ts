// What an entry has its guest's kernel told holds in each VM of it, and where it cannot hold none comes up.
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'
import { TemplateVolume } from '../../support/templates.ts'

let volume: TemplateVolume

beforeAll(async () => {
  volume = await TemplateVolume.create()
})

afterAll(async () => {
  await volume[Symbol.asyncDispose]()
})

const CHECKS = {
  'cat /proc/sys/kernel/panic_on_warn': '1',
  'cat /sys/kernel/security/lsm': 'lockdown,capability,landlock,yama',
  'cat /sys/kernel/security/lockdown': 'none [integrity] confidentiality',
  'grep -c "^init/main.c:.* =p" /proc/dynamic_debug/control': expect.stringMatching(/^[1-9]\d*$/),
  'grep -o "^dummy" /proc/modules': 'dummy',
  'ls -d /sys/class/net/dummy* | wc -l': '3',
  'cat /proc/sys/net/ipv4/ip_local_port_range': '2000\t60000',
  'cat /proc/sys/kernel/core_pattern': '|/bin/core %p',
  // Ours go before: they are where they are without any.
  'cat /proc/sys/kernel/panic': '-1',
}

test('arguments, modules and sysctls are there in a VM that boots and in its clones', async () => {
  const entry = new KernelVm({ name: 'told', kernel: 'debian:bookworm', memoryMib: 1024 })
    .withKernelArguments([
      ...['lsm=landlock,lockdown,yama', 'lockdown=integrity', 'panic_on_warn=1'],
      ...['dyndbg=file init/main.c +p', 'dummy.numdummies=3'],
    ])
    // The second is built in.
    .withModules(['dummy', 'unix'])
    .withSysctls({ 'net.ipv4.ip_local_port_range': '2000 60000', 'kernel.core_pattern': '|/bin/core %p' })
  await using first = await entry.start()
  await using second = await first.fork()
  for (const vm of [first, second]) {
    const seen = Object.keys(CHECKS).map(async (command) => {
      const { stdout } = await vm.exec(['sh', '-c', command])
      return [command, stdout.trim()]
    })
    expect(Object.fromEntries(await Promise.all(seen))).toEqual(CHECKS)
  }
})

test.each([
  [['--module', 'nosuch'], /VM_DIED.*the kernel 6\.1\.\S+ cannot load 'nosuch' of the option modules: .*not found/],
  [
    ['--sysctl', 'net.ipv4.nosuch=1'],
    /VM_DIED.*the kernel 6\.1\.\S+ has no net\/ipv4\/nosuch, which the option sysctls/,
  ],
  [['--sysctl', 'kernel.pid_max=-7'], /VM_DIED.*does not take '-7' for kernel\/pid_max/],
])('%j ends the start, with the reason', async (options, says) => {
  await using run = await testkernels(['run', '--kernel', 'debian:bookworm', '--no-template', ...options, '--', 'true'])
  expect(await run.program.exit).toMatchObject({ code: 125 })
  expect(run.program.stderr).toMatch(says)
})
