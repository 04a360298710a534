import { commandOf, type Definition } from '../llb/index.ts'
import { SolveError } from './errors.ts'
import type { SolveTrace } from './trace.ts'

interface FailedSolve {
  /** The engine's own words; all that it tells of the error. */
  readonly message: string
  readonly trace: SolveTrace
  readonly definition?: Definition | undefined
  /** What failed on our side while we served the session: nearer to the cause than the engine's words. */
  readonly sessionFailure?: Error | undefined
}

export function explainFailure({ message, trace, definition, sessionFailure }: FailedSolve): SolveError {
  const cause = sessionFailure ?? new Error(withoutCommand(message))
  const vertex = trace.culprit(message)
  if (vertex === undefined)
    return new SolveError({ what: 'the engine could not build', cause, remedy: remedyFor(message), logTail: [] })
  const logTail = trace.tailOf(vertex.digest)
  const args = definition === undefined ? undefined : commandOf(definition, vertex.digest)
  const command = args?.join(' ') ?? commandIn(message)
  const exitCode = exitCodeIn(message)
  return new SolveError({
    what: `the step "${shorten(vertex.name, 100)}" failed${exitCode === undefined ? '' : ` with exit code ${exitCode}`}`,
    cause,
    remedy: command === undefined ? remedyFor(message) : `${remedyFor(message)}; it ran: ${shorten(command, 300)}`,
    output: logTail.join('\n'),
    vertex: { digest: vertex.digest, name: vertex.name },
    command,
    exitCode,
    logTail,
  })
}

function exitCodeIn(message: string): number | undefined {
  const code = /exit code: (\d+)/.exec(message)?.[1]
  return code === undefined ? undefined : Number(code)
}

/** Up to BuildKit 0.8 `executor failed running [sh -c x]`; later `process "sh -c x" did not complete`, with Go's quoting. */
function commandIn(message: string): string | undefined {
  const quoted = /process ("(?:[^"\\]|\\.)*") did not complete/s.exec(message)?.[1]
  return quoted === undefined ? /executor failed running \[(.*)\]: /s.exec(message)?.[1] : unquote(quoted)
}

/** What Go quotes is JSON but for rare control characters. */
function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted.slice(1, -1)
  }
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/no space left on device/, 'free space on the engine: docker builder prune'],
  [
    /pull access denied|authoriz|basic auth|failed to resolve source metadata|failed to do request|no such host|manifest unknown|not found: docker\.io/,
    'check the name of the image, log in to its registry, or load it into the engine beforehand',
  ],
  [/entitlement|is not allowed/, 'name the right that the step needs in `entitlements`'],
  [/exit code: \d+/, 'correct what the output shows'],
]

function remedyFor(message: string): string {
  return remedies.find(([pattern]) => pattern.test(message))?.[1] ?? 'correct what the cause names, and build again'
}

/** The command is told apart, and may be a script of many lines. */
function withoutCommand(message: string): string {
  return message
    .replace(/executor failed running \[.*\]: /s, 'the command failed: ')
    .replace(/process ".*" did not complete/s, 'the command did not complete')
}

/** As one line of no more than so many characters. */
function shorten(text: string, maxLength: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`
}
