#include "door.h"

#include <string.h>

static size_t length_in(const uint8_t *head) { return (size_t)head[0] << 8 | head[1]; }

void frames_split(struct frames *frames, size_t count, void (*take)(void *taker, const uint8_t *datagram, size_t length), void *taker) {
  size_t at = 0;
  frames->held += count;
  while (frames->held - at >= FRAME_HEAD_BYTES) {
    const uint8_t *head = frames->bytes + at;
    size_t length = length_in(head);
    if (frames->held - at - FRAME_HEAD_BYTES < length) break;
    take(taker, head + FRAME_HEAD_BYTES, length);
    at += FRAME_HEAD_BYTES + length;
  }
  frames->held -= at;
  memmove(frames->bytes, frames->bytes + at, frames->held);
}

void frame_begin(uint8_t *head, size_t length) {
  head[0] = length >> 8;
  head[1] = length & 0xff;
}
