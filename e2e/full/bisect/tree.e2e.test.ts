// Sixteen commits of a tree, one of which breaks something. Its source is a stand-in that builds in seconds, and makes a real kernel.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removingImages } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { kernelImage, makeKernelImages } from '../../support/kernel-images.ts'
import { testkernels } from '../../support/run.ts'

const COMMITS = 16
const REGRESSION = 11
const TIMEOUT_MS = 1_800_000
const LAYOUT = 'bisected'
const run = promisify(execFile)
const docker = new Docker()
let directory: string
let tree: string
let images: AsyncDisposable

const git = async (...args: readonly string[]) => (await run('git', ['-C', tree, ...args])).stdout.trim()

async function commit(message: string): Promise<void> {
  await git('add', '--all', '--force')
  const author = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org']
  await git(...author, 'commit', '--quiet', '--allow-empty', '-m', message)
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-bisect-'))
  images = await removingImages('testkernels/vm:tree-*')
  tree = join(directory, 'linux')
  await cp(join(import.meta.dirname, '../../../fixtures/kernel-stand-in'), tree, { recursive: true })
  const script = `
    cp boot/vmlinuz-$V /out/image
    cp boot/config-$V /out/config
    cp boot/System.map-$V /out/symbols
    tar -cf /out/modules.tar -C lib/modules $V
    echo $V >/out/release`
  await makeKernelImages({ [LAYOUT]: { of: 'bookworm', script } })
  const { stdout } = await run('docker', ['create', kernelImage(LAYOUT), 'none'])
  for (const name of ['image', 'config', 'symbols', 'modules.tar', 'release'])
    await run('docker', ['cp', `${stdout.trim()}:/${name}`, tree])
  await run('docker', ['rm', stdout.trim()])
  // No other run has compiled it.
  await writeFile(join(tree, 'compiled.c'), `int compiled_${randomBytes(8).toString('hex')};\n`)
  await git('init', '--quiet')
  await commit('a kernel')
  await git('tag', 'good')
  for (let number = 1; number <= COMMITS; number++) {
    await writeFile(join(tree, `change-${number}.c`), `int change_${number};\n`)
    if (number === REGRESSION) await run('sh', ['-c', `echo '0000000000000000 t regressed' >>${tree}/symbols`])
    await commit(`change ${number}`)
  }
  await git('tag', 'bad')
})

afterAll(async () => {
  await images[Symbol.asyncDispose]()
  await docker.getImage(kernelImage(LAYOUT)).remove({ force: true })
  await rm(directory, { recursive: true })
})

test('the commit is found in at most log2(n) + 1 boots, and what it changed', { timeout: TIMEOUT_MS }, async () => {
  // The guest has the kernel's symbols in /boot.
  const script = `docker load --quiet --input ${fixtureTar} >/dev/null &&
    docker run --rm --volume /boot:/boot:ro ${fixtureImage} sh -c '! cat /boot/System.map* | grep -q regressed'`
  const args = ['bisect', '--tree', tree, '--good', 'good', '--bad', 'bad', '--no-template']
  await using search = await testkernels([...args, '--', 'sh', '-c', script])
  expect(await search.program.exit, search.program.stderr).toEqual({ code: 0, signal: null })
  const culprit = await git('rev-parse', `bad~${COMMITS - REGRESSION}`)
  const { stdout } = search.program
  expect(stdout).toContain(`${culprit.slice(0, 7)} change ${REGRESSION} is the first bad one\n`)
  expect(stdout).toMatch(new RegExp(`^commit ${culprit}[\\s\\S]+ change-${REGRESSION}\\.c +\\| 1 \\+\n`, 'm'))
  expect(search.booted.length).toBeLessThanOrEqual(Math.ceil(Math.log2(COMMITS)) + 1)
  // What the commits have in common is compiled for the first of them alone.
  const compiled = search.program.stderr.match(/(?:Hits|Misses): +1 \/ +1 /g)?.map((line) => line.split(':')[0])
  expect(compiled).toEqual(['Misses', ...search.booted.slice(1).map(() => 'Hits')])
  // The clone is as it was.
  expect(await git('status', '--porcelain')).toBe('')
})
