import * as v from 'valibot'

/** An event, as QEMU's machine protocol has it (docs/interop/qmp-spec): `{"event": "MIGRATION", "data": {...}}`. */
export interface QmpEvent {
  readonly event: string
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

/** One line of the protocol. */
export type QmpMessage =
  | { readonly QMP: unknown }
  | QmpEvent
  | { readonly id?: number | undefined; readonly return: unknown }
  | { readonly id?: number | undefined; readonly error: { readonly class: string; readonly desc: string } }

const message = v.union([
  v.object({ QMP: v.unknown() }),
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown())) }),
  v.object({ id: v.optional(v.number()), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ id: v.optional(v.number()), return: v.unknown() }),
])

/** @throws SyntaxError or ValiError for what is not QMP */
export function parseQmpMessage(line: string): QmpMessage {
  return v.parse(message, JSON.parse(line))
}
