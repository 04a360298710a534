#include "door.h"

#include <errno.h>
#include <stdlib.h>

#define EVENTS 64
#define REPEAT_MS 10

static int poller = -1;
static bool (*repeated)(void);
static void **garbage;
static size_t garbage_count, garbage_limit;

static void control(int operation, struct watch *watch) {
  struct epoll_event event = {.events = watch->wanted, .data.ptr = watch};
  if (poller < 0) need((poller = epoll_create1(EPOLL_CLOEXEC)) >= 0, "epoll");
  need(epoll_ctl(poller, operation, watch->fd, &event) == 0, "epoll_ctl");
}

void loop_watch(struct watch *watch, uint32_t wanted) {
  watch->wanted = wanted;
  control(EPOLL_CTL_ADD, watch);
}

void loop_want(struct watch *watch, uint32_t wanted) {
  if (watch->wanted == wanted) return;
  watch->wanted = wanted;
  control(EPOLL_CTL_MOD, watch);
}

void loop_unwatch(struct watch *watch) {
  watch->ready = NULL;
  control(EPOLL_CTL_DEL, watch);
}

void loop_free(void *memory) {
  if (garbage_count == garbage_limit) {
    garbage_limit = garbage_limit * 2 + EVENTS;
    need((garbage = realloc(garbage, garbage_limit * sizeof *garbage)) != NULL, "memory");
  }
  garbage[garbage_count++] = memory;
}

void loop_repeat(bool (*work)(void)) { repeated = work; }

void loop_run(void) {
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS, repeated ? REPEAT_MS : -1);
    need(count >= 0 || errno == EINTR, "epoll_wait");
    for (int at = 0; at < count; at++) {
      struct watch *watch = events[at].data.ptr;
      // An event before it may have ended this one's descriptor.
      if (watch->ready) watch->ready(watch, events[at].events);
    }
    if (repeated && !repeated()) repeated = NULL;
    while (garbage_count > 0) free(garbage[--garbage_count]);
  }
}
