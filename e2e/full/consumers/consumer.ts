import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Run, type RunOptions } from '../../support/run.ts'

const root = join(import.meta.dirname, '../../..')
const execute = promisify(execFile)

/** A fixture outside of this repository, with the package installed as `npm publish` would send it. */
export class Consumer implements AsyncDisposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** @param packages what else it installs */
  static async install(fixture: string, packages: readonly string[]): Promise<Consumer> {
    const directory = await mkdtemp(join(tmpdir(), 'tk-consumer-'))
    const consumer = new Consumer(directory)
    try {
      await cp(join(root, 'fixtures', fixture), consumer.#project, { recursive: true })
      const type = fixture.startsWith('vitest') ? 'module' : 'commonjs'
      await writeFile(
        join(consumer.#project, 'package.json'),
        JSON.stringify({ name: 'consumer', private: true, type }),
      )
      const { stdout } = await execute('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: root })
      await mkdir(join(consumer.#project, 'node_modules'), { recursive: true })
      const tarball = join(directory, stdout.trim())
      await execute('npm', ['install', '--silent', '--engine-strict=false', ...packages, tarball], {
        cwd: consumer.#project,
      })
      return consumer
    } catch (thrown) {
      await consumer[Symbol.asyncDispose]()
      throw thrown
    }
  }

  /** A program that it has installed, with Node of its own if it has one. */
  run(
    script: string,
    args: readonly string[],
    { node = process.execPath, ...options }: RunOptions & { node?: string },
  ) {
    const path = (name: string) => join(this.#project, 'node_modules', name)
    const program = node === process.execPath ? node : path(node)
    return Run.start([program, path(script), ...args], {
      ...options,
      cwd: this.#project,
      env: { NO_COLOR: '1', ...options.env },
    })
  }

  get #project(): string {
    return join(this.#directory, 'project')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
