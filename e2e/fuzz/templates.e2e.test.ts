// The files of a template, mutated: what is not what was saved is never taken for it, and what is said of it is understood. What then
// becomes of the start is e2e/template/repair and the campaign's. `npm run build` first; the image of a VM has the program that looks.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readLines } from '../../src/log/index.ts'
import { describeUnusable } from '../../src/template/index.ts'
import { vmImage } from '../support/templates.ts'
import { fuzz } from './fuzz.ts'

const KEY = '0123456789abcdef'
const END = 'end of answer'
const savedFiles = ['mem.img', 'state.bin', 'scratch.img'] as const
const saved = new Map<string, Buffer>(
  savedFiles.map((name, at) => [name, Buffer.alloc(3 * 4096 + at, `${name}\n`).fill(0, 4096, 8192)]),
)
/** What a file may be in place of a file with something in it. */
const kinds = ['content', 'missing', 'directory', 'link'] as const

let base: string
let box: ChildProcessByStdio<Writable, Readable, null>
let answers: AsyncGenerator<string, void>
const templates = () => join(base, 'templates')

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'tk-fuzz-'))
  for (const name of ['templates', 'marks', 'making']) await mkdir(join(base, name))
  for (const [name, content] of saved) await writeFile(join(base, 'making', name), content)
  const volumes = ['templates', 'marks', 'making'].flatMap((name) => [
    '--volume',
    `${join(base, name)}:/var/lib/testkernels/${name}`,
  ])
  // Not each in a container of its own: that takes a second.
  const loop = `while read -r line; do timeout 20 /testkernels/template $line 2>&1 && status=0 || status=$?; echo $status; echo ${END}; done`
  const args = ['run', '--rm', '--interactive', '--network', 'none', ...volumes, '--entrypoint', 'sh', await vmImage()]
  box = spawn('docker', [...args, '-c', loop], { stdio: ['pipe', 'pipe', 'inherit'] })
  answers = readLines(box.stdout)
  expect(await template(`seal ${KEY} .${KEY}.1`)).toMatchObject({ status: 0 })
})

afterAll(async () => {
  box.stdin.end()
  await once(box, 'close')
  await rm(base, { recursive: true })
})

/** Runs images/runner/template. */
async function template(args: string): Promise<{ readonly said: readonly string[]; readonly status: number }> {
  box.stdin.write(`${args}\n`)
  const lines: string[] = []
  for (;;) {
    const { value } = await answers.next()
    if (value === undefined) throw new Error('its container ended')
    if (value === END) return { said: lines.slice(0, -1), status: Number(lines.at(-1)) }
    lines.push(value)
  }
}

/** `FILE KIND`, a line, and what is in it. */
function parse(input: Buffer) {
  const end = input.indexOf('\n')
  const [name = '', kind = ''] = input.toString('latin1', 0, Math.max(end, 0)).split(' ')
  const among = <const T extends string>(all: readonly T[], one: string): T =>
    all.find((each) => each === one) ?? (all[one.length % all.length] as T)
  const content = input.subarray(end + 1)
  return { name: among([...savedFiles, 'sums', 'seen'], name), kind: among(kinds, kind), content }
}

async function put(path: string, kind: (typeof kinds)[number], content: Buffer): Promise<void> {
  await rm(path, { recursive: true, force: true })
  if (kind === 'content') await writeFile(path, content)
  if (kind === 'directory') await mkdir(path)
  if (kind === 'link') await symlink('/etc/os-release', path)
}

test('the files of a template', async () => {
  const sums = await readFile(join(templates(), KEY, 'sums'))
  const seen = await readFile(join(base, 'marks', `${KEY}.seen`))
  const originals = new Map([...saved, ['sums', sums], ['seen', seen]])
  const seeds = [...originals].flatMap(([name, content]) =>
    kinds.map((kind) => Buffer.concat([Buffer.from(`${name} ${kind}\n`), content])),
  )
  const take = async (input: Buffer) => {
    const { name, kind, content } = parse(input)
    const path = name === 'seen' ? join(base, 'marks', `${KEY}.seen`) : join(templates(), KEY, name)
    await put(path, kind, content)
    const { said, status } = await template(`check ${KEY}`)
    if (status !== 0) {
      const stderr = { kept: said, tail: () => said.join('\n') }
      const { why } = describeUnusable({ exitCode: status, oomKilled: false }, { stderr, entry: 'v1' })
      expect(why, said.join('\n')).toBe('damaged')
    } else if (saved.has(name)) {
      // What was cut off may be put back by a mutation.
      expect(kind).toBe('content')
      expect(content).toEqual(saved.get(name))
    }
    await put(path, 'content', originals.get(name) ?? Buffer.alloc(0))
  }
  expect(await fuzz({ name: 'template files', seeds, take })).toBeGreaterThan(0)
  expect(await template(`check ${KEY}`)).toEqual({ said: [], status: 0 })
})
