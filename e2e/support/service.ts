// A network service for guests, whose busybox has none for UDP: a program for the Perl that is in their root file system.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { docker } from './docker.ts'
import { fixtureImage } from './env.ts'

type Guest = Parameters<typeof docker>[0]

/** For an answer over UDP, which would never come had the datagram been lost, from a guest that has little of a busy machine. */
const ANSWER_DEADLINE_MS = 240_000

const program = `
use IO::Socket::INET; use IO::Select; $| = 1;
my $tcp = IO::Socket::INET->new(Listen => 9, LocalPort => 80) or die $!;
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalPort => 80) or die $!;
print "listening\\n";
my $both = IO::Select->new($tcp, $udp);
while (1) {
  for my $socket ($both->can_read) {
    if ($socket == $tcp) { my $client = $tcp->accept; print $client $ENV{HOSTNAME}; close $client }
    else { my $datagram; $udp->recv($datagram, 65535); $udp->send("$ENV{HOSTNAME} $datagram") }
  }
}`

/** The directories of Debian's /usr that the program needs, where it looks for them. */
const volumes = ['/usr:/usr:ro', '/usr/lib:/lib:ro', '/usr/lib64:/lib64:ro'].flatMap((volume) => ['--volume', volume])

/**
 * Runs a container that says its name at TCP port 80 to who connects, and at UDP port 80 before what it was sent; comes back when docker
 * says that it runs.
 */
export async function startService(guest: Guest, name: string, ...options: string[]): Promise<void> {
  const names = ['--name', name, '--hostname', name, '--env', `HOSTNAME=${name}`]
  await docker(guest, [
    'run',
    '--detach',
    ...names,
    ...volumes,
    ...options,
    fixtureImage,
    '/usr/bin/perl',
    '-e',
    program,
  ])
}

/** The same; comes back when it listens. */
export async function runService(guest: Guest, name: string, ...options: string[]): Promise<void> {
  await startService(guest, name, ...options)
  await listening(guest, name, 1)
}

/** Says its own name to who connects. */
export const greeter = ['sh', '-c', 'while :; do hostname | nc -l -p 80; done']

export function runGreeter(of: Guest, name: string, ...options: string[]): Promise<string> {
  return docker(of, ['run', '--detach', '--name', name, '--hostname', name, ...options, fixtureImage, ...greeter])
}

/**
 * Runs a container whose files are at its port 80 over HTTP; comes back when it listens. It does so before it goes to the background:
 * a container has been started before its program has run, and until then its port is refused.
 */
export async function runWebServer(of: Guest, name: string, ...options: string[]): Promise<void> {
  const server = ['sh', '-c', 'httpd -h / -p 80 && echo listening && exec tail -f /dev/null']
  await docker(of, ['run', '--detach', '--name', name, ...options, fixtureImage, ...server])
  await listening(of, name, 1)
}

/** Comes back when the service has begun to listen for so many times. */
export async function listening(guest: Guest, name: string, starts: number): Promise<void> {
  const said = async () => (await docker(guest, ['logs', name])).split('\n').filter((line) => line === 'listening')
  const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS)
  while ((await said()).length < starts) signal.throwIfAborted()
}

/** What is said to who connects. */
export async function dial(address: string, port: number): Promise<string> {
  return (await text(connect({ host: address, port }))).trim()
}

/** Sends one datagram, once. @returns the answer */
export async function ask(address: string, port: number, question: string): Promise<string> {
  const socket = createSocket('udp4')
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) })
    socket.send(question)
    const [answer] = await answered
    return String(answer)
  } finally {
    socket.close()
  }
}
