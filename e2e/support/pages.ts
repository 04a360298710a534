// README.md and docs/, as far as tests look at them: code blocks, and what they are.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

export interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly text: string
}

/** Paths from the root. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

export function blocksOf(page: string): readonly Block[] {
  const lines = readPage(page).split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const language = /^```(.*)$/.exec(lines[at] ?? '')?.[1]
    if (language === undefined) continue
    const end = lines.indexOf('```', at + 1)
    blocks.push({ page, line: at + 1, language, text: `${lines.slice(at + 1, end).join('\n')}\n` })
    at = end
  }
  return blocks
}

export const blocks: readonly Block[] = pages.flatMap(blocksOf)

/** The file that a block of code is: its first line names it. */
export function fileOf({ text }: Block): string | undefined {
  return /^\/\/ (\S+\.[cm]?[jt]s)$/m.exec(text.split('\n', 1)[0] ?? '')?.[1]
}

/** Puts the files of a page into a directory of their own, where `testkernels` is this package; gives their paths. */
export function writeFiles(page: string): readonly string[] {
  const directory = projectOf(page)
  rmSync(directory, { recursive: true, force: true })
  return blocksOf(page).flatMap((block) => {
    const file = fileOf(block)
    if (file === undefined) return []
    const path = join(directory, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, block.text)
    return [path]
  })
}

export function projectOf(page: string): string {
  return join(root, '.testkernels/docs', basename(page, '.md'))
}
