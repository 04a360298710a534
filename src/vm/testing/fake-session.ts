import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect } from 'vitest'
import { FakeHost, type FakeHostOptions } from '../../host/testing/fake-host.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import { type KernelOptions, parseKernelEntry, readSettings } from '../../options/index.ts'
import { launchVm } from '../launch.ts'
import { newSession, type Session } from '../session.ts'
import { newStart } from '../start.ts'
import type { StartedKernelVm } from '../started-kernel-vm.ts'
import { FakeImage } from './fake-guest-image.ts'

export interface LaunchOptions extends Partial<KernelOptions> {
  readonly signal?: AbortSignal
  readonly log?: Logger
  readonly memoryWaitMs?: number
}

/** Opens one for each test of a file, and sees at its end that no VM left anything. @param take is given it, before the test */
export function openForEachTest(take: (fake: FakeSession) => void): void {
  beforeEach(async () => {
    const fake = await FakeSession.open()
    take(fake)
    return async () => {
      expect(await fake.leftovers()).toEqual({ boxes: 0, directories: [] })
      await fake[Symbol.asyncDispose]()
    }
  })
}

/** VMs on a fake host, with directories of their own. */
export class FakeSession implements AsyncDisposable {
  readonly image = new FakeImage()
  readonly host: FakeHost
  readonly session: Session
  readonly #directory: string

  private constructor(directory: string, options: Partial<FakeHostOptions>) {
    this.#directory = directory
    this.host = new FakeHost({ program: this.image.play, cores: 4, ...options })
    const environment = { TESTKERNELS_CACHE_DIR: join(directory, 'cache'), TESTKERNELS_RUN_DIR: join(directory, 'run') }
    this.session = newSession(this.host, { settings: readSettings(environment), log: silentLogger })
  }

  static async open(options: Partial<FakeHostOptions> = {}): Promise<FakeSession> {
    return new FakeSession(await mkdtemp(join(tmpdir(), 'tk-fake-')), options)
  }

  async launch({
    signal,
    log = this.session.log,
    memoryWaitMs,
    ...options
  }: LaunchOptions = {}): Promise<StartedKernelVm> {
    const entry = parseKernelEntry('fake', { kernel: 'debian:trixie', memoryMib: 512, ...options })
    const start = newStart(this.session, { hostname: 'fake', log, signal, memoryWaitMs })
    return await launchVm({ session: this.session, entry, image: 'fake' }, start)
  }

  /** What of VMs is left on the host and on this machine. */
  async leftovers(): Promise<{ readonly boxes: number; readonly directories: readonly string[] }> {
    return { boxes: this.host.boxes.size, directories: await this.#runDirectories() }
  }

  async #runDirectories(): Promise<readonly string[]> {
    return await readdir(this.session.settings.runtimeDirectory).catch(() => [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
