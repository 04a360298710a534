#include "door.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

// How often one end may go on before the others have their turn.
#define TURNS 16

// A client's stream, and the socket that his datagrams leave from. What there is no room for is lost, as on any network.
struct relay {
  struct watch stream, socket;
  // What has come of the stream and is no whole datagram yet.
  struct frames in;
  // The datagram that is on its way into the stream. None is taken from the socket before it is there: the kernel holds them, as many
  // as it does for any program, and drops the others.
  struct {
    size_t length, sent;
    uint8_t bytes[FRAME_MAX_BYTES];
  } out;
  struct relay *previous, *next;
};

static struct relay *relays;

static struct relay *relay_of_socket(struct watch *socket) {
  return (struct relay *)((char *)socket - offsetof(struct relay, socket));
}

static void end(struct relay *relay) {
  struct watch *watches[] = {&relay->stream, &relay->socket};
  for (int at = 0; at < 2; at++) {
    loop_unwatch(watches[at]);
    close(watches[at]->fd);
  }
  if (relay->previous) relay->previous->next = relay->next;
  else relays = relay->next;
  if (relay->next) relay->next->previous = relay->previous;
  loop_free(relay);
  listener_retry();
}

static void send_datagram(void *taker, const uint8_t *datagram, size_t length) {
  int socket = ((struct relay *)taker)->socket.fd;
  // That nobody listened a moment ago is told once, instead of sending: who listens now is to have it.
  if (send(socket, datagram, length, 0) < 0 && errno == ECONNREFUSED) send(socket, datagram, length, 0);
}

// false when the stream takes no more of it for now.
static bool send_frame(struct relay *relay) {
  while (relay->out.sent < relay->out.length) {
    ssize_t count = send(relay->stream.fd, relay->out.bytes + relay->out.sent, relay->out.length - relay->out.sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    // One that is broken takes none, and has its end told where it is read.
    if (count < 0) return false;
    relay->out.sent += count;
  }
  return true;
}

static void await(struct relay *relay) {
  bool waits = relay->out.sent < relay->out.length;
  loop_want(&relay->stream, EPOLLIN | (waits ? EPOLLOUT : 0));
  loop_want(&relay->socket, waits ? 0 : EPOLLIN);
}

static void read_stream(struct watch *watch, uint32_t events) {
  struct relay *relay = (struct relay *)watch;
  if (events & EPOLLOUT) send_frame(relay);
  for (int turn = 0; turn < TURNS; turn++) {
    // There is always room: what is held is less than a whole datagram.
    ssize_t count = recv(watch->fd, relay->in.bytes + relay->in.held, sizeof relay->in.bytes - relay->in.held, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    // A client who has ended is not there for answers either.
    if (count <= 0) return end(relay);
    frames_split(&relay->in, count, send_datagram, relay);
  }
  await(relay);
}

static void read_socket(struct watch *watch, uint32_t events) {
  struct relay *relay = relay_of_socket(watch);
  int reason;
  socklen_t length = sizeof reason;
  // Nobody listens, or not yet: to be told of it again and again helps nobody.
  if (events & EPOLLERR) getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &reason, &length);
  for (int turn = 0; turn < TURNS && send_frame(relay); turn++) {
    ssize_t count = recv(watch->fd, relay->out.bytes + FRAME_HEAD_BYTES, DATAGRAM_MAX_BYTES, 0);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) continue;
    frame_begin(relay->out.bytes, count);
    relay->out.length = FRAME_HEAD_BYTES + count;
    relay->out.sent = 0;
  }
  await(relay);
}

void datagrams_carry(int stream, int socket) {
  struct relay *relay = calloc(1, sizeof *relay);
  need(relay != NULL, "memory");
  relay->stream = (struct watch){.fd = stream, .ready = read_stream};
  relay->socket = (struct watch){.fd = socket, .ready = read_socket};
  relay->next = relays;
  if (relays) relays->previous = relay;
  relays = relay;
  loop_watch(&relay->stream, EPOLLIN);
  loop_watch(&relay->socket, EPOLLIN);
}

void datagrams_end_all(void) {
  while (relays) end(relays);
}
