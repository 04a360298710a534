// Prints the size and the XXH3 checksum (128 bits) of each file's content: `NAME SIZE CHECKSUM`. Holes are not read, because most
// of a VM's RAM and disk was never written; and blocks of zeros do not count, so that it is the same wherever the holes are.
#define _GNU_SOURCE
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCK 4096
#define BLOCKS 64

static int fails(const char *name) {
  perror(name);
  return 1;
}

static int add(XXH3_state_t *state, int file, off_t from, off_t to) {
  static _Alignas(64) uint8_t buffer[BLOCK * BLOCKS];
  static const uint8_t zeros[BLOCK];
  for (from -= from % BLOCK; from < to;) {
    ssize_t length = pread(file, buffer, sizeof buffer, from);
    if (length <= 0) return length < 0 ? -1 : 0;
    // The last block of a file is as long as the file, here and wherever else it is read.
    for (ssize_t at = 0; at < length; at += BLOCK) {
      size_t size = length - at < BLOCK ? length - at : BLOCK;
      uint64_t place = from + at;
      if (from + at >= to || memcmp(buffer + at, zeros, size) == 0) continue;
      XXH3_128bits_update(state, &place, sizeof place);
      XXH3_128bits_update(state, buffer + at, size);
    }
    from += length;
  }
  return 0;
}

int main(int argc, char **argv) {
  for (int at = 1; at < argc; at++) {
    static XXH3_state_t state;
    int file = open(argv[at], O_RDONLY | O_CLOEXEC);
    if (file < 0) return fails(argv[at]);
    off_t size = lseek(file, 0, SEEK_END), done = 0;
    XXH3_128bits_reset(&state);
    for (off_t from; (from = lseek(file, done, SEEK_DATA)) >= 0;) {
      off_t to = lseek(file, from, SEEK_HOLE);
      // Two pieces of data may meet in one block.
      if (to < 0 || add(&state, file, from < done ? done : from, to) != 0) return fails(argv[at]);
      done = to + (BLOCK - to % BLOCK) % BLOCK;
      if (done >= size) break;
    }
    if (done < size && errno != ENXIO) return fails(argv[at]);
    XXH128_canonical_t text;
    XXH128_canonicalFromHash(&text, XXH3_128bits_digest(&state));
    printf("%s %lld ", argv[at], (long long)size);
    for (size_t byte = 0; byte < sizeof text.digest; byte++) printf("%02x", text.digest[byte]);
    printf("\n");
    close(file);
  }
  return 0;
}
