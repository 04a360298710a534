/** The steps of a plain progress display, by what became of them. */
export function stepsOf(progress: string, outcome: 'CACHED' | 'DONE'): string[] {
  const names = new Map([...progress.matchAll(/^#(\d+) (\[.*)$/gm)].map(([, id, name = '']) => [id, name]))
  return [...progress.matchAll(new RegExp(`^#(\\d+) ${outcome}`, 'gm'))].map(([, id]) => names.get(id) ?? '')
}
