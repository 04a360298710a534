// From when what was in the way is gone until the first request that is made afterwards is answered: by dockerd over the forwarded socket, or
// by a command over SSH.
import { setTimeout as delay } from 'node:timers/promises'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { during, median, repeated, timed } from './statistics.mjs'

const ENGINE = '/var/run/docker.sock'
const ROUNDS = 5
/** For how long something is in the way. */
const OUTAGE_MS = 3_000

export async function benchRecovery() {
  return await during(new KernelVm({ name: 'recovering', kernel: 'debian:bookworm', memoryMib: 1024 }).start(), measure)
}

async function measure(vm) {
  const ping = () => dockerOf(vm).ping()
  const sshServerKilledMs = await repeated(ROUNDS, async () => {
    await vm.exec(['sh', '-c', 'kill -KILL $PPID']).catch(() => {})
    return await timed(() => vm.exec(['true']))
  })
  const box = await boxOf(vm)
  const qemuStoppedMs = await repeated(ROUNDS, async () => {
    await box.pause()
    const asked = ping()
    await delay(OUTAGE_MS)
    await box.unpause()
    const ms = await timed(ping)
    await asked
    return ms
  })
  const linkDownMs = await repeated(ROUNDS, async () => {
    await vm.exec(`nohup sh -c '${LINK_OUTAGE}' >/dev/null 2>&1 </dev/null &`)
    await delay(OUTAGE_MS)
    return await timed(() => firstOf(ping))
  })
  const medians = { sshServerKilledMs, qemuStoppedMs, linkDownMs }
  return Object.fromEntries(Object.entries(medians).map(([name, all]) => [`recovery${upper(name)}`, median(all)]))
}

const LINK_OUTAGE = `ip=/.testkernels/bin/ip; routes=$($ip route show default); $ip link set eth0 down; sleep ${OUTAGE_MS / 1000}; $ip link set eth0 up; $ip route add $routes`

/** Asks again and again, whatever becomes of those that were asked before: one of them may have been asked a moment too early. */
async function firstOf(ask) {
  const answered = []
  for (;;) {
    answered.push(ask())
    const first = await Promise.race([Promise.any(answered), delay(50, 'none')])
    if (first !== 'none') return
  }
}

function dockerOf({ dockerHost }) {
  return new Docker({ socketPath: dockerHost.slice('unix://'.length) })
}

async function boxOf({ hostname }) {
  const docker = new Docker({ socketPath: ENGINE })
  const filters = { label: [`testkernels.entry=${hostname}`] }
  const [found] = await docker.listContainers({ filters })
  return docker.getContainer(found.Id)
}

function upper(name) {
  return name[0].toUpperCase() + name.slice(1)
}
