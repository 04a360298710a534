import { readLines } from './lines.ts'

/** One line of the engine's answer to pull, load and import. */
export interface EngineMessage {
  readonly id?: string
  readonly status?: string
  readonly stream?: string
  readonly error?: string
}

/** Reads the answer to its end. The engine has said 200 long before it knows: a failure is a message as well. */
export async function* readMessages(answer: AsyncIterable<Buffer>): AsyncGenerator<EngineMessage, void> {
  for await (const line of readLines(answer)) {
    if (line.trim() === '') continue
    const message = JSON.parse(line) as EngineMessage
    if (message.error !== undefined) throw new Error(message.error)
    yield message
  }
}
