// Run by checkpoint.e2e.test.ts: has a checkpoint and no VM, until it reads a line; then a fork, and an end.
import { once } from 'node:events'
import { KernelVm } from 'testkernels'

const vm = await new KernelVm({ name: 'kept', kernel: 'debian:bookworm' }).start()
const checkpoint = await vm.checkpoint()
await vm.stop()
console.log('kept')
await once(process.stdin, 'data')
const fork = await checkpoint.fork()
console.log((await fork.exec(['echo', 'forked'])).stdout)
await checkpoint.remove()
process.exit()
