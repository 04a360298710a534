// A life with what VMs do, each said before it is done: what is killed at a random moment of it.
import { KernelVm } from 'testkernels'

const [, , memoryMib, kind] = process.argv
const say = (phase) => process.stdout.write(`${phase}\n`)

say('start')
const vm = await new KernelVm({ name: 'life', kernel: 'debian:bookworm', memoryMib: Number(memoryMib) }).start()
say('fork')
const vms = [vm, await vm.fork()]
// It takes longer than all the rest.
let checkpoint
if (kind === 'long') {
  say('checkpoint')
  checkpoint = await vm.checkpoint()
  say('restore')
  vms.push(await checkpoint.fork())
}
say('run')
for (const each of vms) await each.exec(['true'])
say('teardown')
await checkpoint?.remove()
await Promise.all(vms.map((each) => each.stop()))
say('end')
