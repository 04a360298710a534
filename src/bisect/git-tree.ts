import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TestkernelsError } from '../errors/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import type { History, Subject } from './search.ts'

const run = promisify(execFile)
/** A line for each of a million commits. */
const OUTPUT_MAX_BYTES = 256 * 1024 * 1024
/** They would lead git away from the tree that is named, as in a hook. */
const REDIRECTING = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_PREFIX', 'GIT_NAMESPACE']

/** Git could not do what a search needs of it. */
export class GitFailedError extends TestkernelsError {
  readonly code = 'GIT_FAILED'
}

export interface GitOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}

export interface GitRange {
  /** Revisions: tags, commits, branches. */
  readonly good: string
  readonly bad: string
  /** `first-parent` sees a merged branch as the one commit that merged it. */
  readonly follow: 'all' | 'first-parent'
}

/**
 * The commits of a git tree, from one to another.
 * @param path see `GitTree.open`
 * @throws InvalidOptionError
 */
export async function treeSubject(path: string, range: GitRange, options: GitOptions): Promise<Subject> {
  const tree = await GitTree.open(path, options)
  return {
    history: await tree.history(range),
    async referenceOf(commit, directory) {
      // One directory for all commits: what they have in common is written, and sent, once.
      const target = { directory: join(directory, CHECKOUT), index: join(directory, `${CHECKOUT}.index`) }
      await tree.checkOut(commit, target)
      return `source:${target.directory}`
    },
    titleOf: (commit) => tree.title(commit),
    logOf: (commit) => tree.log(commit),
  }
}

/** It is in the names of build steps. */
const CHECKOUT = 'tree'

/**
 * The commits of a git repository with kernel sources. Its own work tree, index and HEAD are neither read nor changed: candidates are
 * checked out elsewhere.
 */
export class GitTree {
  /** Absolute path of its `.git`, or of a bare repository. */
  readonly directory: string
  readonly #options: GitOptions

  private constructor(directory: string, options: GitOptions) {
    this.directory = directory
    this.#options = options
  }

  /** @param path of a work tree, or in one, or of a bare repository. @throws InvalidOptionError */
  static async open(path: string, options: GitOptions): Promise<GitTree> {
    try {
      const stdout = await git(['-C', path, 'rev-parse', '--absolute-git-dir'], options)
      return new GitTree(stdout.trimEnd(), options)
    } catch (thrown) {
      if (!(thrown instanceof GitFailedError)) throw thrown
      throw new InvalidOptionError({
        what: `${path} is no git repository`,
        cause: thrown.cause,
        remedy: 'give --tree the path of a clone of the kernel sources',
      })
    }
  }

  /** @throws InvalidOptionError for what is no commit, or a good end that is not in the history of the bad one */
  async history({ good: goodEnd, bad: badEnd, follow }: GitRange): Promise<History> {
    const good = await this.#commit('--good', goodEnd)
    const bad = await this.#commit('--bad', badEnd)
    if (good === bad || !(await this.#isAncestor(good, bad))) await this.#refuse(goodEnd, badEnd, { good, bad })
    const parents = follow === 'first-parent' ? ['--first-parent'] : []
    const list = (...args: string[]) => this.#git('rev-list', ...parents, ...args)
    const after = hashesIn(await list('--topo-order', '--reverse', bad, `^${good}`))
    return {
      candidates: [good, ...after],
      suspects: async (from, known) =>
        hashesIn(await list('--bisect-all', from, ...known.map((commit) => `^${commit}`))),
      precedes: (one, other) => this.#isAncestor(one, other),
    }
  }

  /**
   * Makes a directory the tree of a commit. Only files that differ are written, so that what builds from it sees which did.
   * @param index path of what git notes about the directory
   */
  async checkOut(commit: string, { directory, index }: { directory: string; index: string }): Promise<void> {
    await mkdir(directory, { recursive: true })
    // Of a process that was killed as it wrote.
    await rm(`${index}.lock`, { force: true })
    // What is set for the user's work tree is not meant for this one.
    const settings = [
      'core.sparseCheckout=false',
      'core.fsmonitor=false',
      'core.hooksPath=/dev/null',
      'core.bare=false',
    ]
    const args = [`--git-dir=${this.directory}`, `--work-tree=${directory}`, ...settings.flatMap((one) => ['-c', one])]
    await git([...args, 'read-tree', '--reset', '-u', commit], this.#options, { GIT_INDEX_FILE: index })
  }

  /** Its short hash and the first line of its message. */
  async title(commit: string): Promise<string> {
    return (await this.#git('log', '-1', '--no-color', '--format=%h %s', commit)).trimEnd()
  }

  /** Author, date, message, and the files that it changed. */
  async log(commit: string): Promise<string> {
    return (await this.#git('show', '--no-color', '--no-ext-diff', '--stat', commit)).trimEnd()
  }

  async #commit(option: string, revision: string): Promise<string> {
    try {
      const found = await this.#git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`)
      // Git before 2.30 repeats the option.
      return found.trim().split('\n').at(-1) ?? ''
    } catch (thrown) {
      if (!(thrown instanceof GitFailedError)) throw thrown
      throw new InvalidOptionError({
        what: `${option}: there is no commit '${revision}' in ${this.directory}`,
        remedy: 'name a tag, a branch or a commit that the tree has; git fetch --tags may bring it',
      })
    }
  }

  async #isAncestor(one: string, other: string): Promise<boolean> {
    const common = await this.#git('merge-base', '--all', one, other).catch(noneInCommon)
    return hashesIn(common).includes(one)
  }

  async #refuse(goodEnd: string, badEnd: string, { good, bad }: { good: string; bad: string }): Promise<never> {
    const base = await this.#git('merge-base', good, bad).catch(noneInCommon)
    const swap = 'swap the two; to find what repaired something, let the command fail where it is repaired'
    throw new InvalidOptionError({
      what: `the good commit ${goodEnd} is not in the history of the bad one, ${badEnd}`,
      remedy: base === '' || base.trim() === bad ? swap : `take their merge base as --good, if it is: ${base.trim()}`,
    })
  }

  #git(...args: string[]): Promise<string> {
    return git([`--git-dir=${this.directory}`, ...args], this.#options)
  }
}

/** Histories that have nothing in common: git's status is 1 then, and it says nothing. */
function noneInCommon(thrown: unknown): string {
  if (thrown instanceof GitFailedError && thrown.cause === 'status 1') return ''
  throw thrown
}

async function git(
  args: readonly string[],
  { environment, signal }: GitOptions,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const own = Object.entries(environment).filter(([name]) => !REDIRECTING.includes(name))
  const env = { ...Object.fromEntries(own), ...more }
  try {
    return (await run('git', args, { env, signal, maxBuffer: OUTPUT_MAX_BYTES })).stdout
  } catch (thrown) {
    signal.throwIfAborted()
    const { code, stderr } = thrown as { readonly code?: unknown; readonly stderr?: string }
    if (code === 'ENOENT')
      throw new InvalidOptionError({ what: 'there is no git, which --tree is read with', remedy: 'install git' })
    throw new GitFailedError({
      what: `git ${args.find((word) => /^[a-z]+(-[a-z]+)?$/.test(word))} failed`,
      cause: stderr?.trim() || `status ${code}`,
      remedy: 'see what git says; git fsck checks the clone, and a disk that is full says so here as well',
    })
  }
}

/** The first word of each line. */
function hashesIn(text: string): readonly string[] {
  return text.match(/^[0-9a-f]+/gm) ?? []
}
