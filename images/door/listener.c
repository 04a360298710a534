#define _GNU_SOURCE  // accept4
#include "door.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

// As many as may wait to be taken: a client of a unix socket is refused when there are more. (The C library's SOMAXCONN may be 128.)
#define BACKLOG 4096

static struct watch watched = {.fd = -1};
static take_connection *take_one;
// The listener is full of connections, and we are out of descriptors: being told of it again and again helps nobody.
static bool waits;

int listener_open(const struct sockaddr *address, socklen_t length, mode_t mode) {
  int one = 1;
  int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // So that the file never has another mode.
  mode_t before = umask(~mode & 0777);
  bool listens = bind(listener, address, length) == 0 && listen(listener, BACKLOG) == 0;
  umask(before);
  if (listens) return listener;
  int reason = errno;
  close(listener);
  errno = reason;
  return -1;
}

// One at a time: we are told again of those that are left.
static void accept_one(struct watch *watch, uint32_t events) {
  struct sockaddr_storage peer = {0};
  socklen_t length = sizeof peer;
  (void)events;
  int connection = accept4(watch->fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection >= 0) return take_one(connection, &peer);
  // One that was gone before it was taken says nothing of those behind it.
  if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) return;
  waits = true;
  loop_want(watch, 0);
}

void listener_start(int listener, take_connection *take) {
  if (watched.ready) return;
  watched = (struct watch){.fd = listener, .ready = accept_one};
  take_one = take;
  waits = false;
  loop_watch(&watched, EPOLLIN);
}

void listener_stop(void) {
  if (watched.ready) loop_unwatch(&watched);
}

void listener_retry(void) {
  if (!waits || !watched.ready) return;
  waits = false;
  loop_want(&watched, EPOLLIN);
}
