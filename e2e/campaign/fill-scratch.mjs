// Fills the disk of a guest but for so many KiB, and says what still works then, and after there is room again.
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'

const [, , memoryMib, leftKib] = process.argv
const say = (line) => process.stdout.write(`${line}\n`)
const options = { name: 'scratch', kernel: 'debian:bookworm', memoryMib: Number(memoryMib), scratchMib: 512 }

say('start')
const vm = await new KernelVm(options).start()
try {
  say('run')
  const sh = async (script) => (await vm.exec(['sh', '-c', script])).exitCode
  const available = 'df --block-size=1K --output=avail / | tail -n 1'
  say(`filled with status ${await sh(`fallocate --length $(($(${available}) - ${leftKib}))K /filler`)}`)
  // Root may use what is kept for it.
  say(`overfilled with status ${await sh('head -c 100M /dev/zero >/more')}`)
  const docker = new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) })
  say(`dockerd answers: ${await docker.ping()}`)
  const volume = () => docker.createVolume().then(({ name }) => docker.getVolume(name).remove())
  // Whether it fits in what is left is chance; that dockerd says so is not.
  await volume().catch(({ statusCode }) => say(`refused with ${statusCode}`))
  say(`emptied with status ${await sh('rm /filler /more')}`)
  await volume()
  say('has room again')
} catch (thrown) {
  say(`failed [${thrown.code}]: ${thrown.message}`)
} finally {
  await vm.stop()
}
