/**
 * The point-to-point link between the container (tap0) and the guest (eth0): fixed addresses from TEST-NET-1 (RFC 5737), which
 * no real network uses, so that a restored guest finds its network as it left it. images/guest/init and
 * images/runner/entrypoint hold the same addresses.
 */
export const guestLink = {
  hostAddress: '192.0.2.1',
  guestAddress: '192.0.2.2',
  /** High and unusual, because every other port of the container's address belongs to what tests publish in the guest. */
  sshPort: 61022,
  macAddress: '52:54:00:74:6b:01',
} as const
