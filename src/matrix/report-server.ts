import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { followLines } from '../log/index.ts'
import { lastKernelReports, reportedError, type StartedKernelVm, type VmKernelReport } from '../vm/index.ts'
import type { Failure, WatchReply, WatchRequest } from '../worker/index.ts'
import { failureOf } from './fates.ts'

type WatchedVm = Pick<
  StartedKernelVm,
  | 'entry'
  | 'kernelLogPosition'
  | 'kernelReports'
  | 'onKernelReport'
  | 'settleKernelReports'
  | 'findMemoryLeaks'
  | 'gone'
>

interface RunningTest {
  readonly name: string
  /** Position in the kernel's log; a report that begins before it is none of the test's. */
  readonly from: number
  /** When it is over: where the log was then. What is waited for after that may be another test's. */
  to?: number
  /** What came while it ran, and is not allowed. */
  readonly reports: VmKernelReport[]
  readonly failures: Failure[]
}

/** A worker with one test file. */
interface TestFile {
  readonly running: Map<number, RunningTest>
  /** Of reports that came while no test ran. */
  readonly failures: Failure[]
}

/** More is a message, and no help. */
const MOST_NAMES = 10

/**
 * Decides whose failure a report of one VM's kernel is: that of the tests that run, in whatever worker; where none runs, that of the files
 * that are under way; else that of the run.
 */
export class ReportServer {
  /** Where workers tell of their tests. */
  readonly socket: string
  readonly #vm: WatchedVm
  readonly #server: Server
  readonly #files = new Set<TestFile>()
  readonly #connections = new Set<Socket>()
  readonly #unclaimed: Error[] = []
  readonly #listener: Disposable
  #ended: Promise<readonly Error[]> | undefined

  private constructor(socket: string, vm: WatchedVm) {
    this.socket = socket
    this.#vm = vm
    this.#listener = vm.onKernelReport((report) => this.#assign(report))
    this.#server = createServer((connection) => this.#serve(connection))
    this.#server.unref()
  }

  static async open(vm: WatchedVm, directory: string): Promise<ReportServer> {
    const server = new ReportServer(join(directory, `${randomBytes(3).toString('hex')}.sock`), vm)
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject)
      server.#server.listen(server.socket, resolve)
    })
    return server
  }

  /** Before the VM is ended: the errors of what nobody's tests have caused; memoised. */
  end(): Promise<readonly Error[]> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<readonly Error[]> {
    // Of a VM that is gone, what is still on its way to us.
    await this.#vm.settleKernelReports()
    this.#listener[Symbol.dispose]()
    this.#server.close()
    for (const connection of this.#connections) connection.destroy()
    return this.#unclaimed
  }

  #assign(report: VmKernelReport): void {
    if (report.verdict === 'ignore') return
    const during = this.#testsDuring(report)
    for (const test of during) test.reports.push(report)
    if (report.verdict === 'warn') return
    if (during.length > 0) {
      const error = this.#errorOf(report, `, ${whileRunning(during.map(({ name }) => name))}`)
      for (const test of during) test.failures.push(failureOf(error))
    } else if (this.#files.size > 0) {
      const error = this.#errorOf(report, report.kind === 'memory-leak' ? '' : ', while no test ran')
      for (const file of this.#files) file.failures.push(failureOf(error))
    } else this.#unclaimed.push(this.#errorOf(report, ', while no test file was under way'))
  }

  /** What is lost was so before it was found. */
  #testsDuring({ kind, sequence }: VmKernelReport): readonly RunningTest[] {
    if (kind === 'memory-leak') return []
    const running = [...this.#files].flatMap((file) => [...file.running.values()])
    return running.filter(({ from, to = sequence }) => sequence > from && sequence <= to)
  }

  #ends(test: RunningTest | undefined): void {
    if (test !== undefined) test.to = this.#vm.kernelLogPosition
  }

  #errorOf(report: VmKernelReport, during: string): Error {
    return reportedError(report, this.#vm.entry, during)
  }

  #serve(connection: Socket): void {
    const file: TestFile = { running: new Map(), failures: [] }
    this.#files.add(file)
    this.#connections.add(connection)
    connection.unref()
    connection.once('close', () => {
      this.#files.delete(file)
      this.#connections.delete(connection)
    })
    const reply = (message: WatchReply) => {
      if (connection.writable) connection.write(`${JSON.stringify(message)}\n`)
    }
    const onLine = (line: string) => void this.#answer(JSON.parse(line) as WatchRequest, file, reply)
    // A worker may be killed at any time.
    followLines(connection, { onLine, onFailure: () => {} }, { overlong: 'throw' })
  }

  async #answer(request: WatchRequest, file: TestFile, reply: (message: WatchReply) => void): Promise<void> {
    const { running, failures } = file
    switch (request.do) {
      case 'begin':
        running.set(request.test, { name: request.name, from: this.#vm.kernelLogPosition, reports: [], failures: [] })
        return
      case 'end': {
        const own = running.get(request.test) ?? { failures: [], reports: [] }
        if (request.settle) await this.#vm.settleKernelReports({ onHeard: () => this.#ends(running.get(request.test)) })
        running.delete(request.test)
        if (request.settle) reply({ id: request.test, failures: own.failures, reports: own.reports })
        // Nobody waits for it.
        else failures.push(...own.failures)
        return
      }
      case 'settle':
        await this.#vm.settleKernelReports()
        reply({ id: request.id, failures: [], reports: [] })
        return
      case 'finish':
        await (request.looks ? lastKernelReports(this.#vm) : this.#vm.settleKernelReports()).catch((thrown) => {
          // Of a VM that is gone it was the tests that heard.
          if (!this.#vm.gone.aborted) failures.push(failureOf(thrown))
        })
        // What comes from now on is not this file's.
        this.#files.delete(file)
        reply({ id: request.id, failures: failures.splice(0), reports: this.#vm.kernelReports })
    }
  }
}

function whileRunning(names: readonly string[]): string {
  const listed = names.slice(0, MOST_NAMES).map((name) => `'${name}'`)
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ''
  return names.length === 1 ? `while ${listed[0]} ran` : `while ${names.length} tests ran: ${listed.join(', ')}${more}`
}

/** The servers of all VMs of a session, whoever asks for them. */
export class ReportServers {
  readonly #directory: () => Promise<string>
  readonly #servers = new Map<WatchedVm, Promise<ReportServer>>()
  readonly #unclaimed: Error[] = []

  constructor(directory: () => Promise<string>) {
    this.#directory = directory
  }

  /** Where workers tell of the tests that run on a VM; undefined where nobody cares for what its kernel reports. */
  async socketFor(vm: WatchedVm): Promise<string | undefined> {
    if (vm.entry.kernelReports === 'ignore') return undefined
    const open = this.#servers.get(vm) ?? this.#directory().then((directory) => ReportServer.open(vm, directory))
    this.#servers.set(vm, open)
    return (await open).socket
  }

  /** Before a VM is ended. */
  async end(vm: WatchedVm): Promise<void> {
    const server = await this.#servers.get(vm)?.catch(() => undefined)
    this.#servers.delete(vm)
    if (server !== undefined) this.#unclaimed.push(...(await server.end()))
  }

  /** The errors of reports that came when no test file was under way any more; each is given once. */
  takeUnclaimed(): readonly Error[] {
    return this.#unclaimed.splice(0)
  }
}
