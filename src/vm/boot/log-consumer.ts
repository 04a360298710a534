import type { Readable } from 'node:stream'

/** Takes a stream of strings, each a line of a guest's console. Called for each VM, before its first line. */
export type LogConsumer = (lines: Readable) => unknown
