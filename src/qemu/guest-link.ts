/**
 * The point-to-point link between the container (tap0) and the guest (eth0): fixed addresses from TEST-NET-1 (RFC 5737), which
 * no real network uses, so that a restored guest finds its network as it left it. images/guest/init, images/guest/agent and
 * images/runner hold the same addresses.
 */
export const guestLink = {
  hostAddress: '192.0.2.1',
  guestAddress: '192.0.2.2',
  /**
   * The guest's SSH server listens here on its loopback device, and its door here on the link. High and unusual, because every other
   * port belongs to what tests publish in the guest; these two lead nowhere at the container's address.
   */
  sshPort: 61022,
  doorPort: 61023,
  macAddress: '52:54:00:74:6b:01',
} as const
