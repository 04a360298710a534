#define _GNU_SOURCE  // accept4
#include "door.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

// As many as may wait to be taken: a client of a unix socket is refused when there are more. (The C library's SOMAXCONN may be 128.)
#define BACKLOG 4096

static struct listener *listeners;

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
  struct listener *listener = (struct listener *)watch;
  struct sockaddr_storage peer = {0};
  socklen_t length = sizeof peer;
  (void)events;
  int connection = accept4(watch->fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection >= 0) return listener->take(listener, connection, &peer);
  // One that was gone before it was taken says nothing of those behind it.
  if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) return;
  listener->waits = true;
  loop_want(watch, 0);
}

void listener_start(struct listener *listener, int fd, take_connection *take) {
  if (listener->watch.ready) return;
  *listener = (struct listener){.watch = {.fd = fd, .ready = accept_one}, .take = take, .next = listeners};
  listeners = listener;
  loop_watch(&listener->watch, EPOLLIN);
}

void listener_stop(struct listener *listener) {
  if (!listener->watch.ready) return;
  loop_unwatch(&listener->watch);
  for (struct listener **at = &listeners; *at; at = &(*at)->next) {
    if (*at != listener) continue;
    *at = listener->next;
    return;
  }
}

void listener_retry(void) {
  for (struct listener *listener = listeners; listener; listener = listener->next) {
    if (!listener->waits) continue;
    listener->waits = false;
    loop_want(&listener->watch, EPOLLIN);
  }
}
