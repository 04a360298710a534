/** A socket of the guest. */
export type Destination =
  | { readonly kind: 'unix'; readonly path: string }
  /** A port that something in the guest listens at, on its loopback device at least. */
  | { readonly kind: 'tcp'; readonly port: number }

/** For messages. */
export function destinationText(destination: Destination): string {
  return destination.kind === 'unix' ? destination.path : `port ${destination.port}`
}
