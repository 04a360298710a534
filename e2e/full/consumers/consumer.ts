import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Run, type RunOptions } from '../../support/run.ts'

export const root = join(import.meta.dirname, '../../..')
const execute = promisify(execFile)

let packed: Promise<string> | undefined

/** The package as it is published, of the dist that is there: made once for all tests of a file. @returns its path */
export function packTarball(): Promise<string> {
  packed ??= execute('npm', ['run', '--silent', 'package'], { cwd: root }).then(({ stdout }) => stdout.trim())
  return packed
}

/** A fixture outside of this repository, with the package installed as it is published. */
export class Consumer implements AsyncDisposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * @param packages what else it installs
   * @param options of `npm install`
   */
  static async install(
    fixture: string,
    packages: readonly string[],
    options: readonly string[] = [],
  ): Promise<Consumer> {
    const directory = await mkdtemp(join(tmpdir(), 'tk-consumer-'))
    const consumer = new Consumer(directory)
    try {
      await cp(join(root, 'fixtures', fixture), consumer.#project, { recursive: true })
      const type = fixture.startsWith('jest') ? 'commonjs' : 'module'
      await writeFile(
        join(consumer.#project, 'package.json'),
        JSON.stringify({ name: 'consumer', private: true, type }),
      )
      await mkdir(join(consumer.#project, 'node_modules'), { recursive: true })
      const args = ['install', '--silent', '--engine-strict=false', ...options, ...packages, await packTarball()]
      await execute('npm', args, { cwd: consumer.#project })
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
    { node = process.execPath, ...options }: RunOptions & { node?: string } = {},
  ) {
    const path = (name: string) => join(this.#project, 'node_modules', name)
    const program = node === process.execPath ? node : path(node)
    return Run.start([program, path(script), ...args], {
      ...options,
      cwd: this.#project,
      env: { NO_COLOR: '1', ...options.env },
    })
  }

  /** Checks its types, by a configuration of its own. @throws with what is wrong with them */
  async compile(project = 'tsconfig.json'): Promise<void> {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await execute(process.execPath, [tsc, '--project', project], { cwd: this.#project }).catch(({ stdout }) => {
      throw new Error(stdout)
    })
  }

  /** A file that it wrote. */
  async read(name: string): Promise<string> {
    return await readFile(join(this.#project, name), 'utf8')
  }

  /** All files that were installed, by their paths in node_modules. */
  async installed(): Promise<string[]> {
    return await readdir(join(this.#project, 'node_modules'), { recursive: true })
  }

  get #project(): string {
    return join(this.#directory, 'project')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
