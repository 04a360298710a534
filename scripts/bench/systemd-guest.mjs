// What VMs of one's own take, as they are usually made: Debian with systemd and dockerd on a disk, in QEMU's usual machine. To the moment
// that dockerd says it is ready. The same QEMU as ours, from an image of ours.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { timed } from './statistics.mjs'

const directory = fileURLToPath(new URL('../../.testkernels/systemd-guest/', import.meta.url))
const packages = ['linux-image-cloud-amd64', 'systemd-sysv', 'udev', 'docker.io', 'iptables']
const READY = 'bench: dockerd is ready'

/** Whether this machine can make one: the tool that also makes our base image where there is no registry. */
export const canMakeSystemdGuest = ['mmdebstrap', 'mke2fs'].every(
  (tool) => spawnSync(tool, ['--version']).error === undefined,
)

/** Makes the disk, once. Takes minutes. */
export async function makeSystemdGuest() {
  if (existsSync(join(directory, 'disk.ext4'))) return
  const { debianMirror } = await import('../../dist/image/index.js')
  const { readSettings } = await import('../../dist/options/index.js')
  const mirror = await debianMirror(readSettings().debianMirror)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(join(directory, 'root'), { recursive: true })
  const unit = `[Unit]\\nAfter=docker.service\\n[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "echo ${READY} >/dev/ttyS0"\\n[Install]\\nWantedBy=multi-user.target\\n`
  execFileSync(
    'mmdebstrap',
    [
      ...['--variant=minbase', '--quiet', `--include=${packages.join(',')}`],
      `--customize-hook=printf '${unit}' >"$1/etc/systemd/system/ready.service"`,
      '--customize-hook=chroot "$1" systemctl enable ready.service docker.service',
      ...['trixie', join(directory, 'root'), mirror.url],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const boot = join(directory, 'root/boot')
  for (const name of ['vmlinuz', 'initrd.img']) {
    const found = readdirSync(boot).find((file) => file.startsWith(`${name}-`))
    copyFileSync(join(boot, found), join(directory, name))
  }
  const disk = join(directory, 'disk.part')
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', join(directory, 'root'), disk, '4G'])
  rmSync(join(directory, 'root'), { recursive: true })
  renameSync(disk, join(directory, 'disk.ext4'))
}

/** Boots it, to dockerd, and ends it. @param image one of ours, for its QEMU @returns the milliseconds until dockerd was ready */
export async function bootSystemdGuest(image) {
  const qemu = [
    ...['qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '2048', '-smp', '2'],
    ...['-display', 'none', '-serial', 'stdio', '-no-reboot', '-nic', 'user,model=virtio-net-pci'],
    ...['-kernel', '/guest/vmlinuz', '-initrd', '/guest/initrd.img', '-append', 'root=/dev/vda rw console=ttyS0'],
    ...['-drive', 'file=/guest/disk.ext4,if=virtio,format=raw,snapshot=on'],
  ]
  const args = ['run', '--rm', '--interactive', '--volume', `${directory}:/guest:ro`, '--entrypoint', qemu[0], image]
  const lines = []
  let ended
  const ms = await timed(async () => {
    const vm = spawn('docker', [...args, ...qemu.slice(1)], { stdio: ['pipe', 'pipe', 'inherit'] })
    ended = once(vm, 'exit')
    for await (const line of createInterface({ input: vm.stdout })) {
      lines.push(line)
      if (line.includes(READY)) break
    }
    vm.kill('SIGTERM')
  })
  // The next one shall have the machine to itself.
  await ended
  const ready = lines.at(-1)?.includes(READY)
  writeFileSync(join(directory, 'console.log'), lines.join('\n'))
  if (!ready)
    throw new Error(`the systemd guest ended before its dockerd was ready; its console is ${directory}console.log`)
  return ms
}
