// What guests and QEMU say: no input may throw out of a listener, or be kept for ever.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { createDemultiplexer, LineBuffer } from '../../src/engine/output.ts'
import { TestkernelsError, visible } from '../../src/errors/index.ts'
import { createLogger } from '../../src/log/index.ts'
import { parseKernelEntry } from '../../src/options/index.ts'
import { connectControl, connectQmp, loadState } from '../../src/qemu/index.ts'
import { doorStreams } from '../../src/streams/index.ts'
import { ConsoleLog } from '../../src/vm/death/console-log.ts'
import { describeDeath } from '../../src/vm/death/death.ts'
import { explainStatus, lostVm, watchQemu } from '../../src/vm/death/diagnosis.ts'
import { KernelReports } from '../../src/vm/kernel-reports.ts'
import { fuzz } from './fuzz.ts'

const entry = parseKernelEntry('v1', { kernel: 'debian:bookworm' })
/** With the lines before its headline. */
const LONGEST_REPORT = 64 * 1024
/** Of one that quotes what QEMU said. */
const LONGEST_ERROR = 1024

test('the control port', async () => {
  const seeds = [
    '{"phase":"init","uptime":2.1}\n',
    '{"time":"1 1700000000.000000001"}\n',
    '{"committed":"1"}\n{"warning":"x"}\n',
    '{"loading":"16777216"}\n{"loaded":"HTTP/1.1 200 OK\\r\\n"}\n',
    '{"ended":"status 1"}\n{"log":"a\\u000ab"}\n{"sshd":"x"}\n',
  ]
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line), level: 'debug' })
  const take = async (input: Buffer) => {
    const [ours, theirs] = duplexPair()
    const control = connectControl(ours, { log, entry: 'v1', onFault: () => {} })
    const stop = new AbortController()
    const waiting = [
      control.setClock(stop.signal),
      control.loadImages({ offset: 0, length: 1 }, checkAmount, stop.signal),
    ]
    let sent = ''
    theirs.on('data', (piece) => {
      sent += piece
    })
    theirs.on('error', () => {})
    theirs.end(input)
    await settled(ours)
    stop.abort(new Error('over'))
    await Promise.allSettled(waiting)
    expect(control.phases.length).toBeLessThanOrEqual(101)
    expect(sent).not.toMatch(/NaN|Infinity/)
    for (const line of lines.splice(0)) expect(line).toBe(visible(line))
  }
  expect(await fuzz({ name: 'control port', seeds, take })).toBeGreaterThan(0)
})

function checkAmount(bytes: number): void {
  if (!Number.isSafeInteger(bytes)) throw new Error(`${bytes} is no amount`)
}

test('the monitor', async () => {
  const ready = '{"QMP":{"version":{},"capabilities":[]}}\n{"id":1,"return":{}}\n'
  const seeds = [
    ready,
    `${ready}{"id":2,"return":{"status":"paused"}}\n{"id":3,"return":{}}\n{"id":4,"return":{}}\n`,
    '{"event":"MIGRATION","data":{"status":"completed"}}\n',
    '{"id":2,"error":{"class":"GenericError","desc":"no"}}\n',
    '{"event":"BLOCK_IO_ERROR","data":{"action":"stop","nospace":true,"reason":"No space left on device"}}\n',
    '{"event":"BLOCK_IO_ERROR","data":{"action":"report","reason":"Input/output error"}}\n',
    '{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"}}\n{"event":"STOP"}\n',
  ]
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line), level: 'debug' })
  const take = async (input: Buffer) => {
    const [ours, theirs] = duplexPair()
    const stop = new AbortController()
    const told: Error[] = []
    const session = connectQmp(ours, { signal: stop.signal, log, entry: 'v1' }).then(async (qmp) => {
      const watch = watchQemu(qmp, { onLost: (diagnosis) => told.push(lostVm(diagnosis, entry)), log })
      const status = qmp
        .execute('query-status')
        .then((answer) => void told.push(lostVm(explainStatus(answer, true), entry)))
      await Promise.allSettled([status, loadState(qmp, '/state')])
      told.push(diedOf(watch.shutdownReason))
    })
    theirs.on('error', () => {})
    theirs.resume()
    theirs.end(input)
    await settled(ours)
    ours.destroy()
    stop.abort(new Error('over'))
    await Promise.allSettled([session])
    for (const { message } of told) expect(message.length).toBeLessThan(LONGEST_ERROR)
    for (const said of [...told.map(({ message }) => message.replaceAll('\n', '')), ...lines.splice(0)])
      expect(said).toBe(visible(said))
  }
  expect(await fuzz({ name: 'monitor', seeds, take })).toBeGreaterThan(0)
})

function diedOf(shutdownReason: string | undefined): Error {
  const console = { path: '/console', reason: undefined, excerpt: '' }
  const exit = { exitCode: 0, oomKilled: false }
  return describeDeath({ exit, entry, console, control: undefined, shutdownReason, stderr: '' })
}

test("the kernel's log", async () => {
  const batch = (...lines: string[]) => `${JSON.stringify({ kernel: lines.join('\n') })}\n`
  const seeds = [
    batch('0 812 0 0 0', '4 811 5000123 WARNING: CPU: 0 PID: 87 at net/x.c:1 f+0x4b/0x60', '4 812 5000124 Call Trace:'),
    batch('0 820 3 40 1', '4 813 5000125 ------------[ cut here ]------------', '4 814 5 ---[ end trace 0 ]---'),
    batch('1 830 0 0 0', '1 821 6 BUG: KASAN: slab-out-of-bounds in f+0x1/0x2', '1 822 6 Oops: 0000 [#1] SMP'),
    batch('1 840 0 0 1', '3 831 7 INFO: task x:1 blocked for more than 120 seconds.', '3 832 7 \x1b[2J'),
  ]
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line), level: 'debug' })
  const take = async (input: Buffer) => {
    const [ours, theirs] = duplexPair()
    const control = connectControl(ours, { log, entry: 'v1', onFault: () => {} })
    const reports = new KernelReports({ entry, accelerator: 'tcg', port: control.kernelLog, log })
    reports.follow('now')
    const stop = new AbortController()
    const settling = reports.settle(stop.signal)
    theirs.on('error', () => {})
    theirs.resume()
    theirs.end(input)
    await settled(ours)
    stop.abort(new Error('over'))
    await settling
    control.close()
    expect(reports.all.length).toBeLessThanOrEqual(100)
    for (const { block } of reports.all) expect(block.length).toBeLessThan(LONGEST_REPORT)
    for (const line of lines.splice(0)) expect(line).toBe(visible(line))
  }
  expect(await fuzz({ name: "kernel's log", seeds, take })).toBeGreaterThan(0)
})

/** All that was sent has been heard. */
async function settled(stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve())
  })
}

test('the console', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-fuzz-'))
  const seeds = [
    '[    0.0] Linux version 6.1\r\n',
    'Kernel panic - not syncing: x\n',
    'testkernels: init: y\n',
    '\x1b[2J',
  ]
  const console = await ConsoleLog.open(join(directory, 'consoles/one.log'), { fileBytes: 10_000_000 })
  const take = async (input: Buffer) => {
    const header = Buffer.of(1, 0, 0, 0, 0, 0, 0, 0)
    header.writeUInt32BE(input.length, 4)
    const lines = new LineBuffer()
    const demultiplex = createDemultiplexer({
      stdout: (piece) => lines.write(piece),
      stderr: (piece) => lines.write(piece),
    })
    for (const piece of [header, input, input]) demultiplex(piece)
    lines.end()
    for await (const line of lines) console.add(line)
    expect(console.excerpt.length).toBeLessThan(35_000)
    expect(lines.tail().length).toBeLessThan(20 * 66_000)
  }
  try {
    expect(await fuzz({ name: 'console', seeds, take })).toBeGreaterThan(0)
  } finally {
    await console.close('remove')
    await rm(directory, { recursive: true })
  }
})

test("the door's answer", async () => {
  const seeds = ['ok\n', 'error Connection refused\n', 'denied the guest has another owner\n']
  const take = async (input: Buffer) => {
    const [ours, theirs] = duplexPair()
    theirs.on('error', () => {})
    theirs.resume()
    theirs.end(input)
    const opening = doorStreams({ dial: async () => ours, secret: '0'.repeat(64) }).open({ kind: 'tcp', port: 1 })
    const [opened] = await Promise.allSettled([opening])
    if (opened?.status === 'rejected') expect(opened.reason).toBeInstanceOf(TestkernelsError)
    ours.destroy()
  }
  expect(await fuzz({ name: "door's answer", seeds, take })).toBeGreaterThan(0)
})
