// Carries standard input and output to and from a unix socket: dial SOCKET
// How the owner of a box on another machine gets at its sockets. An end of input passes on as a half-close; it ends when the socket does.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fails(const char *what) {
  perror(what);
  return 1;
}

// 1 when there is more to come, 0 at the end, -1 with errno.
static int carry(int from, int to) {
  static char buffer[1 << 16];
  ssize_t length = read(from, buffer, sizeof buffer);
  if (length <= 0) return length;
  for (ssize_t done = 0; done < length;) {
    ssize_t written = write(to, buffer + done, length - done);
    if (written < 0) return -1;
    done += written;
  }
  return 1;
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
    fprintf(stderr, "usage: dial SOCKET\n");
    return 2;
  }
  strcpy(address.sun_path, argv[1]);
  int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof address) != 0) return fails(argv[1]);
  // Whoever dialled reads this first: from here on all that comes is the socket's.
  if (write(STDOUT_FILENO, "ok\n", 3) != 3) return fails("ok");
  struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = peer, .events = POLLIN}};
  for (;;) {
    if (poll(ends, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fails("poll");
    }
    if (ends[1].revents != 0) {
      int more = carry(peer, STDOUT_FILENO);
      if (more <= 0) return more < 0 ? fails(argv[1]) : 0;
    }
    if (ends[0].revents != 0) {
      int more = carry(STDIN_FILENO, peer);
      if (more < 0) return fails(argv[1]);
      if (more == 0) {
        shutdown(peer, SHUT_WR);
        ends[0].fd = -1;
      }
    }
  }
}
