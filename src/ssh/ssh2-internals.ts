import type { ClientChannel } from 'ssh2'

/** The parts of an ssh2 1.17 channel that its types do not show. All that we know of them is in this file. */
interface Internals {
  readonly outgoing: { readonly id: number; state: 'open' | 'eof' | 'closing' | 'closed' }
  readonly _client: { readonly _protocol: { signal(channel: number, name: string): void } }
}

/**
 * Sends a signal to the program of a channel. ssh2's own method sends none once stdin has ended, though that says nothing
 * about the program.
 */
export function sendSignal(channel: ClientChannel, name: NodeJS.Signals): void {
  const { outgoing, _client } = channel as unknown as Internals
  if (outgoing.state === 'open' || outgoing.state === 'eof')
    _client._protocol.signal(outgoing.id, name.replace(/^SIG/, ''))
}

/**
 * Keeps a channel silent that has sent its last message, or whose connection is lost. ssh2 would go on to offer room for
 * data after a close, and on a lost connection it throws from stream callbacks where nobody can catch it.
 */
export function silence(channel: ClientChannel): void {
  const { outgoing } = channel as unknown as Internals
  outgoing.state = 'closed'
}
