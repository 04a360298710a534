// Ends a campaign's engine, what uses it, and the mount of its data, when nobody holds the other end of our standard input any more: that
// is the campaign, however it ends. We have a session of our own, which no Ctrl-C reaches.
import { spawnSync } from 'node:child_process'
import { setTimeout as passed } from 'node:timers/promises'
import { engineProcesses, engineUsers } from './engine-processes.mjs'

/** An engine gives its containers 15 s; on a machine that is busy it takes longer. */
const ENGINE_DEADLINE_MS = 60_000
const REST_DEADLINE_MS = 30_000
const POLL_MS = 50

const [directory = '', socketPath = '', data = ''] = process.argv.slice(2)

process.stdin.resume()
process.stdin.once('close', async () => {
  end(engineUsers(socketPath), 'SIGKILL')
  const engine = () => engineProcesses(directory, '(unshare .*)?dockerd ')
  // In order, so that its containerd ends as well. One that was stopped hears of nothing.
  end(engine(), 'SIGCONT')
  end(engine(), 'SIGTERM')
  if (!(await within(ENGINE_DEADLINE_MS, () => engine().length === 0))) end(engine(), 'SIGKILL')
  const containerd = () => engineProcesses(directory, 'containerd ')
  if (!(await within(REST_DEADLINE_MS, () => containerd().length === 0))) end(containerd(), 'SIGKILL')
  // Those of containers that a killed one was about to start are known to no engine.
  end(engineProcesses(directory, 'containerd-shim'), 'SIGKILL')
  if (await within(REST_DEADLINE_MS, isUnmounted)) return
  process.stderr.write(`${data} is still mounted\n`)
  process.exitCode = 1
})

/**
 * @param {readonly number[]} pids
 * @param {NodeJS.Signals} signal
 */
function end(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended.
    }
  }
}

function isUnmounted() {
  if (spawnSync('mountpoint', ['--quiet', data]).status !== 0) return true
  return spawnSync('umount', [data]).status === 0
}

/**
 * @param {number} ms
 * @param {() => boolean} isSo
 */
async function within(ms, isSo) {
  const deadline = performance.now() + ms
  while (!isSo()) {
    if (performance.now() > deadline) return false
    await passed(POLL_MS)
  }
  return true
}
