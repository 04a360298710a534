#define _GNU_SOURCE  // splice, pipe2
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIECE_BYTES (1 << 20)
#define SMALL_BYTES (16 << 10)
// How often one direction may go on before the others have their turn.
#define TURNS 16

// One direction. What is small is copied. What is not goes through a pipe, where it is moved: under emulation a copy of much is dear, and
// so is the kernel's code for pipes until it has run once, which most connections never need.
struct flow {
  int pipe[2];
  bool has_pipe;
  // Bytes in the pipe. Nothing is read before it is empty: that is the back-pressure.
  size_t held;
  // Nothing more will be carried: its source has ended, or its target takes nothing.
  bool over;
  // Its source has ended, and the target was told.
  bool ended;
};

struct side {
  struct watch watch;
  struct pair *pair;
  // Neither reads nor sends any more, except for what has arrived already.
  bool gone;
};

struct pair {
  struct side sides[2];
  // How many there are of its kind; NULL where nobody counts.
  size_t *count;
  // flows[n] comes from sides[n].
  struct flow flows[2];
  struct pair *previous, *next;
};

// A socket whose other side is gone: it is closed when its peer has all that was sent.
struct leaving {
  int fd;
  struct leaving *next;
};

static struct pair *pairs;
static struct leaving *leaving;

// Closes so that the peer hears that nobody reads any more, and not only that nobody sends.
static void reset(int fd) {
  struct linger at_once = {.l_onoff = 1};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

static bool has_left(int fd) {
  struct pollfd state = {.fd = fd};
  int unread = 0;
  if (poll(&state, 1, 0) > 0 && state.revents & (POLLERR | POLLHUP)) {
    close(fd);
    return true;
  }
  if (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0) return false;
  reset(fd);
  return true;
}

static bool see_off(void) {
  for (struct leaving **at = &leaving; *at;) {
    struct leaving *one = *at;
    if (!has_left(one->fd)) {
      at = &one->next;
      continue;
    }
    *at = one->next;
    free(one);
    listener_retry();
  }
  return leaving != NULL;
}

static void leave(int fd) {
  if (has_left(fd)) return;
  struct leaving *one = malloc(sizeof *one);
  need(one != NULL, "memory");
  *one = (struct leaving){.fd = fd, .next = leaving};
  leaving = one;
  loop_repeat(see_off);
}

static void dispose(struct pair *pair, void (*close_side)(struct pair *pair, int at)) {
  for (int at = 0; at < 2; at++) {
    if (pair->sides[at].watch.ready) loop_unwatch(&pair->sides[at].watch);
    close_side(pair, at);
    if (!pair->flows[at].has_pipe) continue;
    close(pair->flows[at].pipe[0]);
    close(pair->flows[at].pipe[1]);
  }
  if (pair->previous) pair->previous->next = pair->next;
  else pairs = pair->next;
  if (pair->next) pair->next->previous = pair->previous;
  if (pair->count) --*pair->count;
  loop_free(pair);
  listener_retry();
}

static void close_when_done(struct pair *pair, int at) {
  int fd = pair->sides[at].watch.fd;
  if (pair->sides[at].gone || pair->flows[at].ended) close(fd);
  else leave(fd);
}

static void break_off(struct pair *pair, int at) { reset(pair->sides[at].watch.fd); }

static bool pipe_made(struct flow *flow) {
  if (!flow->has_pipe) flow->has_pipe = pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) == 0;
  return flow->has_pipe;
}

// Each returns the bytes that were taken from the source, or 0 at its end, or -1 with errno.
static ssize_t copy(struct flow *flow, int source, int target) {
  static char buffer[SMALL_BYTES];
  ssize_t count = recv(source, buffer, sizeof buffer, 0);
  if (count <= 0) return count;
  ssize_t sent = send(target, buffer, count, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    flow->over = true;
    return count;
  }
  if (sent < 0) sent = 0;
  // An empty pipe has room for it, and for what comes in such an amount it is the better way from now on.
  if (sent < count || count == sizeof buffer) {
    if (!pipe_made(flow)) flow->over = sent < count;
    else if (sent < count) flow->held = write(flow->pipe[1], buffer + sent, count - sent);
  }
  return count;
}

static ssize_t fill_pipe(struct flow *flow, int source) {
  ssize_t count = splice(source, NULL, flow->pipe[1], NULL, PIECE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) flow->held = count;
  return count;
}

static void empty_pipe(struct flow *flow, int target) {
  ssize_t count = splice(flow->pipe[0], NULL, target, NULL, flow->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) flow->held -= count;
  else if (count == 0 || (errno != EAGAIN && errno != EINTR)) flow->over = true;
}

static void carry(struct pair *pair, int from) {
  struct flow *flow = &pair->flows[from];
  const struct side *source = &pair->sides[from], *target = &pair->sides[!from];
  // What a source that is gone has sent is all there: nothing would wake us for the rest of it.
  for (int turn = 0; !flow->over && (turn < TURNS || source->gone); turn++) {
    if (flow->held > 0) empty_pipe(flow, target->watch.fd);
    if (flow->over || flow->held > 0) return;
    int fd = source->watch.fd;
    ssize_t count = flow->has_pipe ? fill_pipe(flow, fd) : copy(flow, fd, target->watch.fd);
    if (count > 0 || (count < 0 && errno == EINTR)) continue;
    if (count < 0 && errno == EAGAIN && !source->gone) return;
    flow->over = flow->ended = true;
    shutdown(target->watch.fd, SHUT_WR);
  }
}

static void await(struct pair *pair) {
  for (int at = 0; at < 2; at++) {
    struct side *side = &pair->sides[at];
    const struct flow *out = &pair->flows[at], *in = &pair->flows[!at];
    uint32_t wanted = 0;
    if (!out->over && out->held == 0) wanted |= EPOLLIN;
    if (!in->over && in->held > 0) wanted |= EPOLLOUT;
    if (side->watch.ready) loop_want(&side->watch, wanted);
  }
}

static void continue_pair(struct watch *watch, uint32_t events) {
  struct side *side = (struct side *)watch;
  struct pair *pair = side->pair;
  int at = side == &pair->sides[1];
  if (events & (EPOLLERR | EPOLLHUP)) {
    side->gone = true;
    pair->flows[!at].over = true;
    loop_unwatch(watch);
  }
  carry(pair, 0);
  carry(pair, 1);
  if (pair->flows[0].over && pair->flows[1].over) dispose(pair, close_when_done);
  else await(pair);
}

void pair_join(int one, int other, size_t *count) {
  int sockets[2] = {one, other};
  struct pair *pair = calloc(1, sizeof *pair);
  need(pair != NULL, "memory");
  for (int at = 0; at < 2; at++) {
    pair->sides[at] = (struct side){.watch = {.fd = sockets[at], .ready = continue_pair}, .pair = pair};
    loop_watch(&pair->sides[at].watch, EPOLLIN);
  }
  pair->count = count;
  if (count) ++*count;
  pair->next = pairs;
  if (pairs) pairs->previous = pair;
  pairs = pair;
}

void pair_end_all(void) {
  while (pairs) dispose(pairs, break_off);
  while (leaving) {
    struct leaving *next = leaving->next;
    reset(leaving->fd);
    free(leaving);
    leaving = next;
  }
}
