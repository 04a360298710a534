import { request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Answer {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly body: string
}

/** One HTTP request at a unix socket, on a connection of its own. */
export function ask(socketPath: string, { method = 'GET', body = '' } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/v1.41/info', method, agent: false }, (response) => {
      text(response).then(
        (answer) => resolve({ status: response.statusCode, type: response.headers['content-type'], body: answer }),
        reject,
      )
    })
    asked.once('error', reject)
    asked.end(body)
  })
}
