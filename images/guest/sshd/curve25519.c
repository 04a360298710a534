// Takes the place of Dropbear's file of this name, whose curves are those of TweetNaCl: few lines, and slow. libsodium's need a twentieth
// of the instructions; emulated, a connection's three operations took 43 ms, and take 6 (each for the first time in its process).
#include "includes.h"
#include "curve25519.h"

#include <sodium/crypto_scalarmult_curve25519.h>
#include <sodium/crypto_sign_ed25519.h>

#include "dbhelpers.h"
#include "dbrandom.h"
#include "dbutil.h"

#define SEED_BYTES 32

void dropbear_curve25519_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p) {
  // It refuses points of low order, for which Dropbear expects the zeros that they give; it ends the connection at those.
  if (crypto_scalarmult_curve25519(q, n, p) != 0) memset(q, 0, crypto_scalarmult_curve25519_BYTES);
}

// libsodium's secret key is the seed, which is all of Dropbear's, with the public key behind it.
void dropbear_ed25519_make_key(unsigned char *pk, unsigned char *sk) {
  unsigned char secret[crypto_sign_ed25519_SECRETKEYBYTES];
  genrandom(sk, SEED_BYTES);
  crypto_sign_ed25519_seed_keypair(pk, secret, sk);
  m_burn(secret, sizeof secret);
}

void dropbear_ed25519_sign(const unsigned char *m, unsigned long mlen, unsigned char *s, unsigned long *slen,
                           const unsigned char *sk, const unsigned char *pk) {
  unsigned char secret[crypto_sign_ed25519_SECRETKEYBYTES];
  memcpy(secret, sk, SEED_BYTES);
  memcpy(secret + SEED_BYTES, pk, crypto_sign_ed25519_PUBLICKEYBYTES);
  crypto_sign_ed25519_detached(s, NULL, m, mlen, secret);
  *slen = crypto_sign_ed25519_BYTES;
  m_burn(secret, sizeof secret);
}

int dropbear_ed25519_verify(const unsigned char *m, unsigned long mlen, const unsigned char *s, unsigned long slen,
                            const unsigned char *pk) {
  return slen == crypto_sign_ed25519_BYTES ? crypto_sign_ed25519_verify_detached(s, m, mlen, pk) : -1;
}

// What its files want of the rest of libsodium.
void randombytes_buf(void *const bytes, const size_t size) { genrandom(bytes, size); }

void sodium_memzero(void *const bytes, const size_t size) { m_burn(bytes, size); }

int sodium_memcmp(const void *const one, const void *const other, size_t size) {
  return constant_time_memcmp(one, other, size);
}

int sodium_is_zero(const unsigned char *bytes, const size_t size) {
  unsigned char any = 0;
  for (size_t at = 0; at < size; at++) any |= bytes[at];
  return any == 0;
}
