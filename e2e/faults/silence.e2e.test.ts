// A VM that does not answer, and does not end.
import { KernelVm, type Logger } from 'testkernels'
import { expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

/** The requirement is 10 s, on a machine at rest. */
const TOLD_DEADLINE_MS = 60_000

test('a QEMU that is stopped is told of, and that it goes on', async () => {
  await using run = await testkernels([
    ...['run', '--kernel', 'debian:bookworm', '--', 'sh', '-c'],
    'echo up; exec sleep 1000',
  ])
  await run.program.printed('stdout', /^up$/m)
  const [qemu = Number.NaN] = await run.qemus()
  process.kill(qemu, 'SIGSTOP')
  try {
    await run.program.printed('stderr', /the VM does not answer: its QEMU does not answer either/, TOLD_DEADLINE_MS)
  } finally {
    process.kill(qemu, 'SIGCONT')
  }
  await run.program.printed('stderr', /the VM answers again/, TOLD_DEADLINE_MS)
})

function loggerInto(lines: string[]): Logger {
  const take = (line: string) => void lines.push(line)
  const logger: Logger = { info: take, warn: take, debug: () => {}, named: () => logger }
  return logger
}

test('a guest whose link is down is told of', async () => {
  const lines: string[] = []
  const vm = new KernelVm({ name: 'cut-off', kernel: 'debian:bookworm' })
  await using started = await vm.start({ log: loggerInto(lines) })
  // Nothing comes back on the connection that it was said on.
  started.exec(['sh', '-c', 'echo 0x1002 >/sys/class/net/eth0/flags']).catch(() => {})
  await expect
    .poll(() => lines.join('\n'), { timeout: TOLD_DEADLINE_MS })
    .toContain('there is no way into it: its network is down')
})

test('an SSH server that is killed is another one for the next command', async () => {
  const vm = new KernelVm({ name: 'no-sshd', kernel: 'debian:bookworm' })
  await using started = await vm.start()
  await started.exec(['sh', '-c', 'kill -KILL $PPID']).catch(() => {})
  expect(await started.exec(['echo', 'back'])).toMatchObject({ stdout: 'back\n' })
})
