// With --peers: what others take for a like job, where they are installed.
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median, repeated, timed } from './statistics.mjs'
import { bootSystemdGuest, canMakeSystemdGuest, makeSystemdGuest } from './systemd-guest.mjs'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export async function benchPeers() {
  return { virtmeNgMs: await virtmeNg(), systemdGuestMs: await systemdGuest() }
}

/** virtme-ng boots a kernel of this machine with its file system as root; to `uname -r`, with no dockerd in it. */
async function virtmeNg() {
  const vmlinuz = readdirSync('/boot').find((name) => name.startsWith('vmlinuz-'))
  if (spawnSync('vng', ['--version']).status !== 0 || vmlinuz === undefined) return undefined
  const args = ['--disable-kvm', '--run', `/boot/${vmlinuz}`, '--exec', 'uname -r']
  return median(await repeated(3, () => timed(async () => execFileSync('vng', args, { stdio: 'pipe' }))))
}

async function systemdGuest() {
  if (!canMakeSystemdGuest) return undefined
  await makeSystemdGuest()
  const build = ['build', '--kernel', 'debian:trixie']
  const image = execFileSync(process.execPath, [main, ...build], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return median(await repeated(3, () => bootSystemdGuest(image.trim())))
}
