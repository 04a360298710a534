// `docker load` through a guest's forwarded socket, by a client that is another process: how fast it goes beside the bare link and beside a
// dockerd that is asked within its guest, what this process, which carries it, keeps of it, and how long its event loop is at one thing.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { forwardDocker } from '../../dist/forward/docker/docker-forward.js'
import { during, median } from './statistics.mjs'

const MIB = 2 ** 20
const LARGE_MIB = 600
/** For what is measured several times. */
const PART_MIB = 32
/** The same where nothing is emulated. */
const RELAYED_MIB = 200
const ROUNDS = 3
const ENGINE = '/var/run/docker.sock'
const NAME = 'bench/large:1'
const SINK = '/run/sink.sock'
const KEEPER = '/run/keeper.sock'
const ARCHIVE = '/dev/shm/archive'
const LOAD = '/images/load?quiet=1'
const TICK_MS = 5

const program = (name) => fileURLToPath(new URL(name, import.meta.url))

export async function benchLoad() {
  return { ...(await benchRelay()), ...(await benchGuest()) }
}

/** What carries it in this process, between a client and the engine of this machine: both are as fast as they are, and nothing is emulated. */
async function benchRelay() {
  const docker = new Docker({ socketPath: ENGINE })
  const directory = await mkdtemp(join(tmpdir(), 'tk-bench-'))
  const localPath = join(directory, 'docker.sock')
  const streams = { open: async () => connect({ path: ENGINE, allowHalfOpen: true }) }
  const load = async (socket, mib) => {
    const rate = await pour({ mib, socket, path: LOAD })
    await docker.getImage(NAME).remove({ force: true })
    return rate
  }
  return await during(forwardDocker({ streams, remotePath: ENGINE, localPath }), async () => {
    await load(localPath, 8)
    const rates = { direct: [], relayed: [] }
    for (let round = 0; round < ROUNDS; round++) {
      rates.direct.push(await load(ENGINE, RELAYED_MIB))
      rates.relayed.push(await load(localPath, RELAYED_MIB))
    }
    const { loadLargeMBs, loadGrowthMiB, loadLongestTurnMs } = await watch(() => load(localPath, LARGE_MIB))
    await rm(directory, { recursive: true })
    const [direct, relayed] = Object.values(rates).map(median)
    return {
      engineLoadDirectMBs: direct,
      engineLoadRelayedMBs: relayed,
      engineLoadRelayedToDirect: relayed / direct,
      engineLoadLargeMBs: loadLargeMBs,
      engineLoadGrowthMiB: loadGrowthMiB,
      engineLoadLongestTurnMs: loadLongestTurnMs,
    }
  })
}

async function benchGuest() {
  const forwards = [{ guest: SINK }, { guest: KEEPER }]
  const entry = new KernelVm({ kernel: 'debian:bookworm', forwards })
  return await during(entry.start(), async (vm) => {
    await inGuest(vm, reader(SINK, '/dev/null'))
    await inGuest(vm, reader(KEEPER, ARCHIVE))
    const into = (socket) => (mib) => pour({ mib, socket })
    const link = into(vm.forwards.sink.address)
    const load = (mib) => pour({ mib, socket: vm.dockerHost.slice('unix://'.length), path: LOAD })
    await into(vm.forwards.keeper.address)(PART_MIB)
    await load(8)
    const rates = { link: [], load: [], inGuest: [], offDisk: [] }
    // In turn, so that what the machine does meanwhile hits all.
    for (let round = 0; round < ROUNDS; round++) {
      rates.link.push(await link(PART_MIB))
      rates.load.push(await load(PART_MIB))
      rates.inGuest.push(Number(await inGuest(vm, LOADER)))
      await inGuest(vm, 'system("mount -t tmpfs none /var/lib/docker/tmp") == 0 or die')
      rates.offDisk.push(await load(PART_MIB))
      await inGuest(vm, 'system("umount /var/lib/docker/tmp") == 0 or die')
    }
    const watched = await watch(() => load(LARGE_MIB))
    const [linkMBs, loadMBs, inGuestMBs, offDiskMBs] = Object.values(rates).map(median)
    return {
      loadLinkMBs: linkMBs,
      loadMBs,
      loadToLink: loadMBs / linkMBs,
      loadInGuestMBs: inGuestMBs,
      loadToInGuest: loadMBs / inGuestMBs,
      loadOffDiskMBs: offDiskMBs,
      loadOffDiskToLink: offDiskMBs / linkMBs,
      ...watched,
    }
  })
}

/** MB a second of an image that other processes make and send to a socket: until the last byte is taken. */
async function pour({ mib, socket, path = '' }) {
  const maker = spawn(process.execPath, [program('../large-image.mjs'), NAME, String(mib)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const client = spawn(process.execPath, [program('pour.mjs'), socket, path], {
    stdio: [maker.stdout, 'pipe', 'inherit'],
  })
  return Number(await text(client.stdout))
}

/** What a Perl script in the guest prints. It needs what every Debian has. */
async function inGuest(vm, script) {
  const { exitCode, stdout, stderr } = await vm.exec(['perl', '-e', `use Socket; $| = 1; ${script}`])
  if (exitCode !== 0) throw new Error(stderr)
  return stdout
}

/** Reads each connection to its end, in large blocks, into a file. It goes on without who started it. */
const reader = (socket, file) => `
socket(my $server, PF_UNIX, SOCK_STREAM, 0) or die $!;
bind($server, pack_sockaddr_un('${socket}')) or die $!;
listen($server, 5) or die $!;
exit if fork;
open STDOUT, '>', '/dev/null'; open STDERR, '>&', STDOUT;
while (accept(my $connection, $server)) {
  open my $file, '>', '${file}' or die $!;
  while (sysread($connection, my $block, 1 << 20)) { syswrite($file, $block) == length $block or die $! }
  close $file;
}`

/** Asks dockerd what \`load\` asks it, with what the keeper has. Prints MB a second until the last byte is taken. */
const LOADER = `
sub now { open my $file, '<', '/proc/uptime'; (split ' ', <$file>)[0] }
socket(my $dockerd, PF_UNIX, SOCK_STREAM, 0) or die $!;
connect($dockerd, pack_sockaddr_un('/run/docker.sock')) or die $!;
open my $file, '<', '${ARCHIVE}' or die $!;
my ($from, $all) = (now(), 0);
sub say_all { my ($what) = @_; while (length $what) { my $n = syswrite($dockerd, $what) or die $!; substr($what, 0, $n) = '' } }
say_all("POST ${LOAD} HTTP/1.1\\r\\nHost: docker\\r\\nConnection: close\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n");
while (my $read = sysread($file, my $piece, 1 << 16)) {
  say_all(sprintf("%x\\r\\n", $read) . $piece . "\\r\\n");
  $all += $read;
}
say_all("0\\r\\n\\r\\n");
my $seconds = now() - $from;
my $answer = '';
1 while sysread($dockerd, $answer, 1 << 16, length $answer);
die $answer unless $answer =~ / 200 OK/ and $answer =~ /Loaded image/;
print $all / 1e6 / $seconds;`

/**
 * What is seen of this process while something is done: by how many MiB its memory grows at most; for how long its event loop is at most at
 * one thing, in milliseconds of processor time; and by how much a timer is late at most, which is what others on the machine take as well:
 * beside it that of a process that does nothing.
 */
async function watch(work) {
  const idle = spawn(process.execPath, ['-e', IDLE], { stdio: ['pipe', 'pipe', 'inherit'] })
  const delay = monitorEventLoopDelay({ resolution: TICK_MS })
  const before = process.memoryUsage().rss
  let [growth, longest, last] = [0, 0, processorMs()]
  const sampling = setInterval(() => {
    const now = processorMs()
    longest = Math.max(longest, now - last)
    last = now
    growth = Math.max(growth, process.memoryUsage.rss() - before)
  }, TICK_MS)
  delay.enable()
  const loadLargeMBs = await work()
  delay.disable()
  clearInterval(sampling)
  idle.stdin.end()
  return {
    loadLargeMBs,
    loadGrowthMiB: growth / MIB,
    loadLongestTurnMs: longest,
    loadLongestDelayMs: delay.max / 1e6,
    idleLongestDelayMs: Number(await text(idle.stdout)),
  }
}

const IDLE = `
const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: ${TICK_MS} })
delay.enable()
process.stdin.resume().once('end', () => console.log(delay.max / 1e6))`

/** What the thread of the event loop has had of a processor so far. */
function processorMs() {
  return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[0]) / 1e6
}
