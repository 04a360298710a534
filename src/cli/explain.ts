import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { InvalidOptionError } from '../options/index.ts'

/** As far from here in the package as from its sources. */
const PAGES = new URL('../../docs/errors/', import.meta.url)

/**
 * What docs/errors has of a code, for a terminal: why it happens, what to do, and how it reads.
 * @throws InvalidOptionError for a code that no error has
 */
export function explain(code: string): string {
  const wanted = code.toUpperCase()
  const sections = readdirSync(PAGES)
    .filter((name) => name !== 'README.md')
    .flatMap((name) => readFileSync(new URL(name, PAGES), 'utf8').split(/^## /m).slice(1))
  const section = sections.find((text) => text.startsWith(`${wanted}\n`))
  if (section !== undefined) return plain(section)
  throw new InvalidOptionError({
    what: `there is no error '${code}'`,
    remedy: `give the code that an error has in brackets, such as VM_DIED; ${fileURLToPath(new URL('README.md', PAGES))} lists all`,
  })
}

function plain(markdown: string): string {
  const [text = '', example = ''] = markdown.trimEnd().split('```text\n')
  const words = text.replaceAll('**What to do.**', 'What to do:').replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
  return `${words}${example.replace(/\n```$/, '').replaceAll(/^/gm, '  ')}\n`
}
