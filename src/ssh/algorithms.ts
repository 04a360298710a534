import type { Algorithms } from 'ssh2'

/**
 * The few algorithms that we offer. A short list keeps the first packets small, and under emulation the key exchange is
 * the largest part of a warm start: curve25519 takes a third of the time of the post-quantum hybrids, and the two ends
 * share a machine.
 *
 * chacha20 comes first because the guest pays for the cipher too: its CPU has AES instructions only by chance, and Dropbear
 * implements chacha20 and plain AES-CTR but no GCM. GCM is for an OpenSSH server without chacha20.
 */
export const algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org'],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes128-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
  compress: ['none'],
} as const satisfies Algorithms
