// Cold and warm starts, forks with and without spares, and what a clone costs in memory.
import { readFileSync } from 'node:fs'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { during, median, percentile, repeated, timed } from './statistics.mjs'

const bookworm = { kernel: 'debian:bookworm' }
const clonesMib = 2048

/** From calling start() to an answer of the guest's dockerd through the forwarded socket, of all of them. */
async function startTime(...kernels) {
  let vms
  const ms = await timed(async () => {
    vms = await Promise.all(kernels.map(startAndAsk))
  })
  await Promise.all(vms.map((vm) => vm.stop()))
  return ms
}

async function startAndAsk(kernel) {
  const vm = await kernel.start()
  await dockerOf(vm).ping()
  return vm
}

function dockerOf({ dockerHost }) {
  return new Docker({ socketPath: dockerHost.slice('unix://'.length) })
}

export async function benchStarts({ colds = 3, warms = 10 } = {}) {
  const cold = new KernelVm({ ...bookworm, template: false })
  const warm = new KernelVm(bookworm)
  await startTime(warm)
  // In turn, so that what the machine does meanwhile hits both.
  const coldMs = []
  const warmMs = []
  for (let round = 0; round < colds; round++) {
    coldMs.push(await startTime(cold))
    warmMs.push(...(await repeated(Math.ceil(warms / colds), () => startTime(warm))))
  }
  const other = new KernelVm({ ...bookworm, cgroup: 1 })
  await startTime(other)
  const pairMs = await repeated(5, () => startTime(warm, other))
  return {
    coldStartMs: median(coldMs),
    warmStartMs: median(warmMs),
    coldToWarm: median(coldMs) / median(warmMs),
    warmMatrixOfTwoMs: median(pairMs),
  }
}

export async function benchForks({ forks = 50 } = {}) {
  const plain = await forkTimes({ forks, spares: 0 })
  const spared = await forkTimes({ forks: 20, spares: 1 })
  return {
    forkP50Ms: percentile(plain, 0.5),
    forkP95Ms: percentile(plain, 0.95),
    forkFromSpareP50Ms: percentile(spared, 0.5),
    forkFromSpareP95Ms: percentile(spared, 0.95),
  }
}

async function forkTimes({ forks, spares }) {
  return await during(new KernelVm({ ...bookworm, spares }).start(), (vm) =>
    repeated(forks, async () => {
      // A spare is made in the background: without a rest, the next fork would find none.
      if (spares > 0) await new Promise((resolve) => setTimeout(resolve, 2_500))
      let fork
      const ms = await timed(async () => {
        fork = await vm.fork()
      })
      await fork.stop()
      return ms
    }),
  )
}

/** The same starts with devices on MMIO and on PCI. */
export function benchMachines(rounds) {
  return compare({ OnMmio: { machine: 'mmio' }, OnPci: { machine: 'pci' } }, rounds)
}

/** The same starts with our PID 1 and with systemd. */
export function benchInits(rounds) {
  const rootfs = 'debian:bookworm'
  return compare({ WithOurs: { rootfs }, WithSystemd: { rootfs, init: 'systemd', bootTimeoutMs: 600_000 } }, rounds)
}

/** In turn, so that what the machine does meanwhile hits all. */
async function compare(variants, { colds = 3, warms = 10 } = {}) {
  const names = Object.keys(variants)
  const figures = {}
  for (const kind of ['cold', 'warm', 'fork']) {
    const times = Object.fromEntries(names.map((name) => [name, []]))
    // The first one makes a template.
    if (kind === 'warm') for (const name of names) await variantTime(kind, variants[name])
    for (let round = 0; round < (kind === 'cold' ? colds : warms); round++)
      for (const name of names) times[name].push(await variantTime(kind, variants[name]))
    for (const name of names) figures[`${kind}${name}Ms`] = median(times[name])
  }
  return figures
}

async function variantTime(kind, variant) {
  const kernel = new KernelVm({ ...bookworm, ...variant, template: kind !== 'cold' })
  if (kind !== 'fork') return await startTime(kernel)
  return await during(kernel.start(), async (vm) => {
    let fork
    const ms = await timed(async () => {
      fork = await vm.fork()
    })
    await fork.stop()
    return ms
  })
}

/** Ten clones at once: private memory of each one's QEMU, and what the machine has less for all. */
export async function benchMemory({ clones = 10 } = {}) {
  return await during(new KernelVm({ ...bookworm, memoryMib: clonesMib }).start(), async (vm) => {
    const beforeMib = availableMib()
    const forks = await repeated(clones, () => vm.fork())
    const afterMib = availableMib()
    const privateMib = await Promise.all(forks.map((fork) => privateMemoryMib(fork)))
    await Promise.all(forks.map((fork) => fork.stop()))
    return { privateMemoryPerCloneMib: median(privateMib), tenClonesMib: beforeMib - afterMib }
  })
}

async function privateMemoryMib({ hostname, address }) {
  const docker = new Docker()
  for (const { Id, NetworkSettings } of await docker.listContainers({ filters: { label: ['testkernels.run'] } })) {
    if (!Object.values(NetworkSettings.Networks).some(({ IPAddress }) => IPAddress === address)) continue
    const { Processes } = await docker.getContainer(Id).top({ ps_args: '-eo pid,comm' })
    const [pid] = Processes.find(([, name]) => name.startsWith('qemu-system'))
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const kib = [...rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].map(([, number]) => Number(number))
    return kib.reduce((sum, number) => sum + number, 0) / 1024
  }
  throw new Error(`no container has the address ${address} of ${hostname}`)
}

function availableMib() {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) / 1024
}
