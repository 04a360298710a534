import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { connectEngine } from './connect.ts'
import { requestJson } from './request.ts'
import { dialOverSsh, sshArguments } from './ssh.ts'

const lab = { kind: 'ssh', host: 'lab' } as const
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-ssh-'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(directory, { recursive: true })
})

/** An `ssh` that is a shell script, and writes down its arguments. */
async function fakeSsh(script: string): Promise<void> {
  const path = join(directory, 'ssh')
  await writeFile(path, `#!/bin/sh\nprintf '%s\\n' "$@" > ${directory}/arguments\n${script}\n`)
  await chmod(path, 0o755)
  vi.stubEnv('PATH', `${directory}${delimiter}${process.env['PATH']}`)
}

test('says what the docker command line says, and asks nothing', () => {
  expect(sshArguments(lab)).toEqual([
    ...['-o', 'ConnectTimeout=30', '-o', 'BatchMode=yes'],
    ...['-o', 'ServerAliveInterval=15', '-o', 'ServerAliveCountMax=3', '-T', '--', 'lab'],
    ...['docker', 'system', 'dial-stdio'],
  ])
  const all = sshArguments({ ...lab, user: 'me', port: 2222, path: '/run/docker.sock' }).join(' ')
  expect(all).toContain('-l me -p 2222 -- lab docker --host unix:///run/docker.sock system dial-stdio')
})

test('connections share one where the path of its socket fits', () => {
  expect(sshArguments({ ...lab, controlDirectory: '/home/me/.cache/testkernels/ssh' })).toContain(
    'ControlPath=/home/me/.cache/testkernels/ssh/%C',
  )
  for (const controlDirectory of ['/home/me/my cache/ssh', '/home/me/%z/ssh'])
    expect(sshArguments({ ...lab, controlDirectory }).join(' ')).not.toContain('Control')
  const long = sshArguments({ ...lab, controlDirectory: `/${'x'.repeat(80)}` })
  expect(long.join(' ')).not.toContain('Control')
})

test('carries both directions to their ends', async () => {
  await fakeSsh('read line; echo "heard $line"; cat >/dev/null; echo done')
  const stream = dialOverSsh(lab)
  stream.end('hello\nmore')
  expect(await text(stream)).toBe('heard hello\ndone\n')
  expect(await readFile(join(directory, 'arguments'), 'utf8')).toMatch(/^lab$/m)
})

test('more than fits into pipes waits for who reads', async () => {
  await fakeSsh('head -c 5000000 /dev/zero')
  let read = 0
  for await (const piece of dialOverSsh(lab)) read += (piece as Buffer).length
  expect(read).toBe(5_000_000)
})

test('one whose program has ended is closed, whether or not anybody ended it here', async () => {
  await fakeSsh('echo hello')
  const stream = dialOverSsh(lab).resume()
  await once(stream, 'close')
  expect(stream.errored).toBeNull()
})

test('its end does not wait for who keeps standard error, as a connection does that others share', async () => {
  await fakeSsh('echo hello; sleep 60 >/dev/null <&- &')
  expect(await text(dialOverSsh(lab))).toBe('hello\n')
})

test('one that is destroyed ends its program', async () => {
  await fakeSsh('echo $$; exec cat')
  const stream = dialOverSsh(lab)
  const pid = Number(String(await new Promise((resolve) => stream.once('data', resolve))))
  stream.destroy()
  await expect.poll(() => isAlive(pid)).toBe(false)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('what ssh says is the cause', async () => {
  await fakeSsh('echo "me@lab: Permission denied (publickey,password)." >&2; exit 255')
  await expect(connectEngine({ address: lab })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringMatching(
      /no Docker engine answers at ssh:\/\/lab[\s\S]*Permission denied \(publickey,password\)/,
    ),
    remedy: expect.stringContaining('`ssh lab docker version`'),
  })
})

test('a machine without ssh is told how to get it', async () => {
  vi.stubEnv('PATH', directory)
  await expect(connectEngine({ address: lab })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    remedy: expect.stringContaining('openssh-client'),
  })
})

test('requests that follow each other go through one', async () => {
  const answer = 'HTTP/1.1 200 OK\\r\\nApi-Version: 1.41\\r\\nContent-Length: 2\\r\\n\\r\\n{}'
  await fakeSsh(`echo started >> ${directory}/starts
while read -r line; do test "$line" != "$(printf '\\r')" || printf '${answer}'; done`)
  const address = { ...lab }
  for (const path of ['/info', '/version']) expect(await requestJson(address, { path })).toEqual({})
  expect(await readFile(join(directory, 'starts'), 'utf8')).toBe('started\n')
})
