// A host whose engine is taken for one on another machine: nothing of it is a file or an address here.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../src/engine/index.ts'
import { type BoxSpec, dockerHost, type Host } from '../../src/host/index.ts'
import { silentLogger as log } from '../../src/log/index.ts'
import { readSettings } from '../../src/options/index.ts'
import { connectQmp } from '../../src/qemu/index.ts'
import { vmImage } from '../support/templates.ts'
import { engineUnderTest } from './support.ts'

const run = promisify(execFile)
const DEADLINE_MS = 60_000
const target = '/run/testkernels'
const KILL_DIAL =
  'for dir in /proc/[0-9]*; do if grep -aq "dia[l]" $dir/cmdline && grep -aq "hal[f].sock" $dir/cmdline; then kill -9 $(basename $dir); fi; done'
let directory: string
let engine: Engine
let host: Host

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkernels-e2e-'))
  engine = await engineUnderTest()
  host = dockerHost({ ...engine, docker: engine.docker, locality: 'remote' }, readSettings())
})

afterAll(() => rm(directory, { recursive: true }))

/** A QEMU without a guest, whose monitor is a socket of the box. */
async function qemu(): Promise<BoxSpec> {
  const monitor = `unix:${target}/monitor.sock,server=on,wait=off`
  return {
    image: await vmImage(),
    entry: 'remote',
    entrypoint: ['sh', '-c', '"$@" </dev/null & cat >/dev/null; kill $!', 'sh'],
    command: ['qemu-system-x86_64', '-M', 'none', '-display', 'none', '-qmp', monitor],
    mounts: [{ kind: 'sockets', directory, target }],
  }
}

test('a socket in a box is dialled through the engine, and goes with the box', async () => {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const box = await host.run(await qemu(), { signal, log })
  try {
    const qmp = await connectQmp(await box.dial('monitor.sock', signal), { signal, log, entry: 'remote' })
    expect(await qmp.execute('query-version')).toMatchObject({ qemu: { major: expect.any(Number) } })
    qmp.close()
    expect(box.address).toBeUndefined()
    expect(await readdir(directory)).toEqual([])
  } finally {
    await box.stop()
  }
  const { Volumes } = await engine.docker.listVolumes()
  expect(Volumes.map(({ Name }) => Name)).not.toContain(directory.split('/').at(-1))
})

test('a socket that never comes is waited for until the signal aborts', async () => {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  await using box = await host.run(await qemu(), { signal, log })
  const abort = new AbortController()
  const dialling = box.dial('no-such.sock', abort.signal)
  ;(await box.dial('monitor.sock', signal)).destroy()
  abort.abort(new Error('enough'))
  await expect(dialling).rejects.toThrow('enough')
})

test('what dials in a box passes on an end of what is written, and ends with its stream', async () => {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const program = `
    $| = 1;
    my $client = IO::Socket::UNIX->new(Local => "${target}/late.sock", Listen => 1)->accept;
    print {$client} "heard ", <$client>;
    $client->flush;
    sleep 1000;`
  const spec = { ...(await qemu()), entry: 'remote-late', command: ['perl', '-MIO::Socket::UNIX', '-e', program] }
  await using box = await host.run(spec, { signal, log })
  const [container] = await engine.docker.listContainers({ filters: { label: ['testkernels.entry=remote-late'] } })
  const dialling = async () => {
    const { Processes } = await engine.docker.getContainer(container?.Id ?? '').top()
    return Processes.filter((columns: string[]) => columns.some((column) => /dial .*late\.sock/.test(column)))
  }
  const stream = await box.dial('late.sock', signal)
  stream.end('me')
  const [said] = await once(stream, 'data')
  expect(String(said)).toBe('heard me')
  expect(await dialling()).toHaveLength(1)
  stream.destroy()
  await expect.poll(dialling, { timeout: DEADLINE_MS }).toEqual([])
})

test('what a socket has said is over before what it hears, and a way that is lost is no end', async () => {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const program = `
    $| = 1;
    my $server = IO::Socket::UNIX->new(Local => "${target}/half.sock", Listen => 2);
    my $client = $server->accept;
    print {$client} "said all";
    $client->shutdown(1);
    my $heard = join "", <$client>;
    print length $heard, "\\n";
    my $other = $server->accept;
    print {$other} "said a part";
    $other->flush;
    sleep 1000;`
  const spec = { ...(await qemu()), entry: 'remote-half', command: ['perl', '-MIO::Socket::UNIX', '-e', program] }
  await using box = await host.run(spec, { signal, log })
  const stream = await box.dial('half.sock', signal)
  // Who iterates a stream destroys it at its end.
  let read = ''
  stream.on('data', (bytes) => (read += bytes))
  await once(stream, 'end')
  expect(read).toBe('said all')
  stream.end(Buffer.alloc(1_000_000))
  for await (const line of box.stdout) {
    expect(line).toBe('1000000')
    break
  }
  const other = await box.dial('half.sock', signal)
  const [said] = await once(other, 'data')
  expect(String(said)).toBe('said a part')
  const ended = buffer(other)
  const [container] = await engine.docker.listContainers({ filters: { label: ['testkernels.entry=remote-half'] } })
  const failed = expect(ended).rejects.toThrow('the connection to the engine was lost')
  // As an engine does that ends, and as a connection to it that is cut.
  await run('docker', ['exec', container?.Id ?? '', 'sh', '-c', KILL_DIAL])
  await failed
})

test('a box has an address where its host is this machine, and it has a network', async () => {
  const options = { signal: AbortSignal.timeout(DEADLINE_MS), log }
  const spec = { image: await vmImage(), entry: 'local', entrypoint: ['sh', '-c', 'hostname -I; cat >/dev/null', 'sh'] }
  const local = dockerHost(engine, readSettings())
  await using box = await local.run({ ...spec, network: 'reachable' }, options)
  for await (const line of box.stdout) {
    expect(line.trim()).toBe(box.address)
    break
  }
  await using secluded = await local.run(spec, options)
  expect(secluded.address).toBeUndefined()
  await using far = await host.run({ ...spec, network: 'reachable' }, options)
  expect(far.address).toBeUndefined()
})
