// Writes more than there is room for on the disk of the engine, and says what came of it; with `when told`, when it reads a line.
import { once } from 'node:events'
import { KernelVm } from 'testkernels'

const [, , memoryMib, when] = process.argv
const say = (line) => process.stdout.write(`${line}\n`)

try {
  say('start')
  const vm = await new KernelVm({ name: 'full', kernel: 'debian:bookworm', memoryMib: Number(memoryMib) }).start()
  try {
    say('run')
    if (when === 'when told') await once(process.stdin, 'data')
    // Zeros would take no room.
    const { exitCode } = await vm.exec(['sh', '-c', 'yes | head -c 100M >/fill && sync'])
    say(`written with status ${exitCode}`)
  } finally {
    await vm.stop()
  }
} catch (thrown) {
  say(`failed [${thrown.code}]: ${thrown.message}`)
}
process.stdin.destroy()
