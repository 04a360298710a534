// Writes what comes on standard input to a file, for QEMU to have it as a disk: pieces with their length in front (4 bytes, the first
// the highest), until one of length 0. Not a byte is read beyond it, because the end of standard input is the container's as well.
// src/vm/preload.ts is the other side.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static int fails(const char *name) {
  perror(name);
  return 1;
}

// Returns whether all came; the end of standard input is the end of whoever sends.
static int read_all(uint8_t *buffer, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t count = read(0, buffer + at, length - at);
    if (count > 0) at += count;
    else if (count == 0 || errno != EINTR) return 0;
  }
  return 1;
}

static int write_all(int file, const uint8_t *buffer, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t count = write(file, buffer + at, length - at);
    if (count > 0) at += count;
    else if (count == 0 || errno != EINTR) return 0;
  }
  return 1;
}

int main(int argc, char **argv) {
  static uint8_t buffer[1 << 20];
  uint8_t header[4];
  if (argc != 2) return 2;
  int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return fails(argv[1]);
  while (read_all(header, sizeof header)) {
    size_t left = (size_t)header[0] << 24 | header[1] << 16 | header[2] << 8 | header[3];
    if (left == 0) return close(file) == 0 ? 0 : fails(argv[1]);
    while (left > 0) {
      size_t length = left < sizeof buffer ? left : sizeof buffer;
      if (!read_all(buffer, length)) return fails("standard input ended in the middle");
      if (!write_all(file, buffer, length)) return fails(argv[1]);
      left -= length;
    }
  }
  fputs("standard input ended before what was announced\n", stderr);
  return 1;
}
