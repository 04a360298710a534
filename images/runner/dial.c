// Carries standard input and output to and from a unix socket: dial SOCKET
// How the owner of a box on another machine gets at its sockets. What comes in is in frames: a length of four bytes, the highest first, and so
// many bytes; one without any is the end of what the owner writes, and passes on as a half-close. The end of standard input is that of the owner,
// and nobody reads the rest. What goes out is in frames as well, so that the end of what the socket has said is not the end of a connection that
// was lost on its way. It ends when both directions have.
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LENGTH_BYTES 4

// What was read of standard input, and not written yet.
struct input {
  char bytes[1 << 16];
  size_t at;
  size_t end;
  // Of the length of a frame: its bytes so far, and how many they are.
  uint32_t length;
  int length_bytes;
  // Of the frame.
  uint32_t left;
  // The owner writes no more.
  bool is_over;
};

static int fails(const char *what) {
  perror(what);
  return 1;
}

// The other side reads as long as it is there.
static bool write_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, length);
    if (written < 0 && errno != EINTR) return false;
    if (written < 0) continue;
    bytes += written;
    length -= written;
  }
  return true;
}

static void take_length(struct input *input, int peer) {
  input->length = input->length << 8 | (unsigned char)input->bytes[input->at++];
  if (++input->length_bytes < LENGTH_BYTES) return;
  input->left = input->length;
  input->length = input->length_bytes = 0;
  if (input->left > 0) return;
  input->is_over = true;
  shutdown(peer, SHUT_WR);
}

// A frame; `frame` has room for the length before its bytes.
static bool write_frame(unsigned char *frame, uint32_t length) {
  for (int at = 0; at < LENGTH_BYTES; at++) frame[at] = length >> 8 * (LENGTH_BYTES - 1 - at);
  return write_all((char *)frame, LENGTH_BYTES + length);
}

// Passes on what the socket takes now; false with errno.
static bool pass_on(struct input *input, int peer) {
  while (input->at < input->end) {
    if (input->left == 0) {
      take_length(input, peer);
      continue;
    }
    size_t there = input->end - input->at;
    ssize_t written = send(peer, input->bytes + input->at, there < input->left ? there : input->left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0) return errno == EAGAIN || errno == EINTR;
    input->at += written;
    input->left -= written;
  }
  return true;
}

int main(int argc, char **argv) {
  static struct input input;
  static unsigned char output[LENGTH_BYTES + (1 << 16)];
  // The socket says no more.
  bool is_silent = false;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
    fprintf(stderr, "usage: dial SOCKET\n");
    return 2;
  }
  strcpy(address.sun_path, argv[1]);
  int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof address) != 0) return fails(argv[1]);
  // Whoever dialled reads this first: from here on all that comes is the socket's.
  memcpy(output + LENGTH_BYTES, "ok\n", 3);
  if (!write_frame(output, 3)) return fails("ok");
  while (!is_silent || !input.is_over) {
    bool is_waiting = input.at < input.end;
    // Of a pipe whose writer has gone we hear in any case.
    struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = is_waiting ? 0 : POLLIN},
                            {.fd = peer, .events = (is_silent ? 0 : POLLIN) | (is_waiting ? POLLOUT : 0)}};
    if (poll(ends, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fails("poll");
    }
    // It takes no more, either.
    if (is_silent && ends[1].revents & (POLLHUP | POLLERR)) return 0;
    if (!is_silent && ends[1].revents & ~POLLOUT) {
      ssize_t length = recv(peer, output + LENGTH_BYTES, sizeof output - LENGTH_BYTES, MSG_DONTWAIT);
      if (length < 0 && errno != EAGAIN && errno != EINTR) return fails(argv[1]);
      if (length >= 0 && !write_frame(output, length)) return fails("output");
      is_silent = length == 0;
    }
    if (is_waiting) {
      if (!pass_on(&input, peer)) return fails(argv[1]);
      // What the socket does not take now is nobody's any more.
      if (input.at < input.end && ends[0].revents != 0) return 0;
    } else if (ends[0].revents != 0) {
      ssize_t length = read(STDIN_FILENO, input.bytes, sizeof input.bytes);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0) return fails("input");
      if (length == 0) return 0;
      input.at = 0;
      input.end = length;
      if (!pass_on(&input, peer)) return fails(argv[1]);
    }
  }
  return 0;
}
