import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../../files/index.ts'
import type { AcceleratorVerdict } from './verdict.ts'

const schema = v.object({
  kvm: v.picklist(['works', 'fails']),
  reason: v.string(),
  counterKhz: v.pipe(v.number(), v.minValue(1)),
  about: v.picklist(['machine', 'image']),
  output: v.optional(v.string()),
})

/** The file that remembers the verdict for all that `key` names. */
export function verdictFile(cacheDirectory: string, key: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
  return join(cacheDirectory, 'accelerator', `${digest}.json`)
}

/** @returns undefined where nothing is remembered, or nothing that can be read */
export async function recallVerdict(file: string): Promise<AcceleratorVerdict | undefined> {
  try {
    const parsed = v.safeParse(schema, JSON.parse(await readFile(file, 'utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

export async function rememberVerdict(file: string, verdict: AcceleratorVerdict): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await replaceFile(file, `${JSON.stringify(verdict)}\n`)
}
