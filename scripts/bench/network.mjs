// From a container of the engine into the guest, through our tap device and through QEMU's own user network: one guest that has both.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { silentLogger as log } from '../../dist/log/index.js'
import { parseKernelEntry, readSettings } from '../../dist/options/index.js'
import { connectControl, guestLink, imagePaths, qemuArguments } from '../../dist/qemu/index.js'
import { connectSsh } from '../../dist/ssh/index.js'
import { doorStreams } from '../../dist/streams/index.js'
import { chooseAccelerator } from '../../dist/vm/accelerator/choose.js'
import { introduce, makeGuestKeys, openDoor } from '../../dist/vm/boot/connect.js'
import { machineOf } from '../../dist/vm/guest-settings.js'
import { newStart, openSession, prepareImage } from '../../dist/vm/index.js'
import { FIXTURE_IMAGE, loadFixture } from './fixture.mjs'
import { during, median, repeated, timed } from './statistics.mjs'

const PORT = 5001
const MIB = 256
/** As QEMU's user network has them. */
const SLOW = { guest: '10.0.2.15/24', gateway: '10.0.2.2' }
const SINK_PORT = 5002
const POURED_BYTES = 32 * 2 ** 20
const busybox = '/.testkernels/bin/busybox'

export async function benchNetwork() {
  return await during(loadFixture(), () =>
    during(startServer(), ({ address }) => during(startGuest(), ({ ssh, door }) => compare({ ssh, door }, address))),
  )
}

async function compare({ ssh, door }, address) {
  const tap = median(await repeated(3, () => receive(ssh, address)))
  const link = `ip link set eth1 up; ip addr add ${SLOW.guest} dev eth1; ip route add ${address} via ${SLOW.gateway} dev eth1`
  const { exitCode, stderr } = await ssh.exec(['sh', '-c', link.replaceAll('ip ', `${busybox} ip `)])
  if (exitCode !== 0) throw new Error(stderr)
  const user = median(await repeated(3, () => receive(ssh, address)))
  const sshMbits = median(await repeated(3, () => throughSsh(ssh)))
  const into = await compareIntoGuest({ ssh, door })
  return {
    tapMbits: tap,
    userNetworkMbits: user,
    tapToUserNetwork: tap / user,
    sshMbits,
    sshToTap: sshMbits / tap,
    ...into,
  }
}

/** Through the door and over SSH to the same reader in the guest, in turn, so that what the machine does meanwhile hits both. */
async function compareIntoGuest({ ssh, door }) {
  const reader = await ssh.spawn(['perl', '-e', SINK, String(SINK_PORT)])
  await once(reader.stdout, 'data')
  const ways = { door, ssh: { open: ({ port }) => ssh.openTcpStream('127.0.0.1', port) } }
  const ms = { door: [], ssh: [] }
  for (let round = 0; round < 5; round++) {
    for (const [name, way] of Object.entries(ways)) ms[name].push(await timed(() => pourInto(way)))
  }
  reader.kill()
  const mbits = (of) => (POURED_BYTES * 8) / 1e3 / median(of)
  const [doorMbits, sshMbits] = [mbits(ms.door), mbits(ms.ssh)]
  return { intoGuestDoorMbits: doorMbits, intoGuestSshMbits: sshMbits, doorToSsh: doorMbits / sshMbits }
}

/** Ends when the reader has all of it. */
async function pourInto(way) {
  const stream = await way.open({ kind: 'tcp', port: SINK_PORT })
  const ended = once(stream.resume(), 'end')
  stream.end(Buffer.alloc(POURED_BYTES))
  await ended
}

/** Mbit a second of an SSH channel, which is what the forwarded socket is made of, without dockerd. */
async function throughSsh(ssh) {
  const bytes = 32 * 2 ** 20
  const ms = await timed(async () => {
    const remote = await ssh.spawn(['head', '-c', String(bytes), '/dev/zero'])
    let received = 0
    for await (const chunk of remote.stdout) received += chunk.length
    if (received !== bytes) throw new Error(`${received} bytes came`)
  })
  return (bytes * 8) / 1e3 / ms
}

/** Reads each connection to its end, in large blocks, and closes it then. */
const SINK = `
use Socket;
$| = 1;
socket(my $server, PF_INET, SOCK_STREAM, 0) or die $!;
bind($server, pack_sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die $!;
listen($server, 5) or die $!;
print "listens\\n";
while (accept(my $connection, $server)) { 1 while sysread($connection, my $block, 1 << 20) }
`

/**
 * Reads from a connection in large blocks, because small ones measure how fast an emulated guest makes system calls. Of Perl it
 * needs what every Debian has.
 */
const READER = `
use Socket;
sub now { open my $file, '<', '/proc/uptime'; (split ' ', <$file>)[0] }
socket(my $server, PF_INET, SOCK_STREAM, 0) or die $!;
connect($server, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;
my ($from, $all) = (now(), 0);
while (my $read = sysread($server, my $block, 1 << 20)) { $all += $read }
print "$all ", now() - $from, "\\n";`

/** Mbit a second, by the guest's clock. */
async function receive(ssh, address) {
  const { stdout, stderr } = await ssh.exec(['perl', '-e', READER, address, String(PORT)])
  const [bytes, seconds] = stdout.trim().split(' ').map(Number)
  if (bytes !== MIB * 2 ** 20) throw new Error(`${bytes} bytes came: ${stderr}`)
  return (bytes * 8) / 1e6 / seconds
}

async function startServer() {
  const docker = new Docker()
  const container = await docker.createContainer({
    Image: FIXTURE_IMAGE,
    Cmd: ['nc', '-ll', '-p', String(PORT), '-e', 'dd', 'if=/dev/zero', 'bs=1M', `count=${MIB}`],
    HostConfig: { AutoRemove: true },
  })
  await container.start()
  const { NetworkSettings } = await container.inspect()
  return {
    address: NetworkSettings.Networks.bridge.IPAddress,
    [Symbol.asyncDispose]: () => container.remove({ force: true }),
  }
}

/** A cold guest like any of ours, with a second network device. */
async function startGuest() {
  const signal = AbortSignal.timeout(240_000)
  const session = await openSession({ settings: readSettings(), log, signal })
  const { host } = session
  const entry = parseKernelEntry('bench', { kernel: 'debian:bookworm' })
  const { ref: image } = await prepareImage({ session, entry }, newStart(session, { hostname: entry.name, signal }))
  const { accelerator } = await chooseAccelerator({ session, entry, image, log, signal })
  const runDirectory = await mkdtemp(join(tmpdir(), 'tk-bench-'))
  const second = ['-netdev', 'user,id=slow', '-device', 'virtio-net-device,netdev=slow']
  const box = await host.run(
    {
      image,
      entry: entry.name,
      command: [
        ...qemuArguments(
          machineOf(entry, {
            arch: host.arch,
            transport: 'mmio',
            generation: 'modern',
            accelerator,
            ipv6: 'none',
            preload: 'none',
          }),
        ),
        ...second,
      ],
      environment: { TESTKERNELS_RUN_DIR: imagePaths.runDirectory, TESTKERNELS_ATTACHED: '1', TESTKERNELS_UID: '0' },
      mounts: [{ kind: 'sockets', directory: runDirectory, target: imagePaths.runDirectory }],
      devices: ['/dev/net/tun', ...(accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      network: 'reachable',
      rootFilesystem: 'writable',
    },
    { signal, log },
  )
  const control = connectControl(await box.dial('control.sock', signal), log)
  await control.phase('ready', signal)
  const keys = makeGuestKeys()
  openDoor(keys, control)
  await introduce({ control, keys, hostname: entry.name, signal })
  const streams = doorStreams({ dial: () => box.dial('door.sock', signal), secret: keys.doorSecret })
  const ssh = await connectSsh({
    dial: () => streams.open({ kind: 'tcp', port: guestLink.sshPort }),
    server: 'the guest',
    user: 'root',
    hostPublicKey: keys.hostKey.publicKey,
    clientKey: keys.clientKey,
    signal,
  })
  const end = async () => {
    await ssh.close()
    control.close()
    await box.stop()
    await rm(runDirectory, { recursive: true, force: true })
  }
  return { ssh, door: streams, [Symbol.asyncDispose]: end }
}
