import { LineSplitter } from '../log/index.ts'

/** The lines of a stream of UTF-8 text; an unfinished last one counts. The stream's failure is thrown. */
export async function* readLines(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  const lines = new LineSplitter()
  for await (const chunk of stream) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    for (const line of lines.push(text)) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  lines.push(decoder.decode())
  if (lines.rest !== '') yield lines.rest
}
