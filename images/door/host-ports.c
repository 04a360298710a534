#define _GNU_SOURCE  // accept4
#include "door.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (sizeof "65535\n" - 1)

// A connection of the owner, which says which port it is for, and then waits for one of the guest.
struct offer {
  struct watch watch;
  struct port *port;
  char line[LINE_MAX_BYTES];
  size_t length;
  struct offer *next;
};

// Stays open as long as the container: between two offers the guest's connections wait in it.
struct port {
  struct watch watch;
  uint16_t number;
  // The first is taken first.
  struct offer *offers;
  struct port *next;
};

static struct listener entrance;
static struct in_addr address;
static struct port *ports;

static void say(int fd, const char *line) {
  // Three short lines at most: there is room.
  send(fd, line, strlen(line), MSG_NOSIGNAL);
}

// It is in no list any more. @returns its connection
static int take_over(struct offer *offer) {
  int connection = offer->watch.fd;
  loop_unwatch(&offer->watch);
  loop_free(offer);
  return connection;
}

static void turn_down(struct offer *offer, const char *reason) {
  char answer[160];
  int connection = take_over(offer);
  snprintf(answer, sizeof answer, "error %s\n", reason);
  say(connection, answer);
  close(connection);
  listener_retry();
}

static void take_back(struct offer *offer) {
  struct port *port = offer->port;
  for (struct offer **at = &port->offers; *at; at = &(*at)->next) {
    if (*at != offer) continue;
    *at = offer->next;
    break;
  }
  if (!port->offers) loop_want(&port->watch, 0);
  close(take_over(offer));
  listener_retry();
}

static void connect_one(struct watch *watch, uint32_t events) {
  struct port *port = (struct port *)watch;
  struct offer *offer = port->offers;
  (void)events;
  int guest = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (guest < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN)) return;
  int reason = errno;
  port->offers = offer->next;
  if (!port->offers) loop_want(&port->watch, 0);
  // Without a descriptor for it: the owner offers again, and by then there may be one.
  if (guest < 0) return turn_down(offer, strerror(reason));
  int owner = take_over(offer);
  say(owner, "connected\n");
  pair_join(owner, guest, NULL);
}

static struct port *find_or_open(uint16_t number) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = address, .sin_port = htons(number)};
  int one = 1;
  for (struct port *port = ports; port; port = port->next)
    if (port->number == number) return port;
  int listener = listener_open((struct sockaddr *)&here, sizeof here, 0);
  if (listener < 0) return NULL;
  // Its connections inherit it.
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct port *port = calloc(1, sizeof *port);
  need(port != NULL, "memory");
  *port = (struct port){.watch = {.fd = listener, .ready = connect_one}, .number = number, .next = ports};
  ports = port;
  loop_watch(&port->watch, 0);
  return port;
}

// The owner says nothing while its offer waits: it has gone.
static void hear_end(struct watch *watch, uint32_t events) {
  (void)events;
  take_back((struct offer *)watch);
}

static void open_for(struct offer *offer) {
  uint16_t number;
  if (!port_parse(offer->line, offer->length, &number)) return turn_down(offer, "this is no port");
  struct port *port = find_or_open(number);
  if (!port) return turn_down(offer, strerror(errno));
  struct offer **last = &port->offers;
  while (*last) last = &(*last)->next;
  *last = offer;
  offer->port = port;
  offer->watch.ready = hear_end;
  say(offer->watch.fd, "listening\n");
  loop_want(&port->watch, EPOLLIN);
}

static void listen_to(struct watch *watch, uint32_t events) {
  struct offer *offer = (struct offer *)watch;
  (void)events;
  switch (line_receive(watch->fd, offer->line, sizeof offer->line, &offer->length)) {
    case LINE_IS_PART: return;
    case LINE_IS_WHOLE: return open_for(offer);
    case LINE_HAS_NO_END: return turn_down(offer, "the line has no end");
    case LINE_IS_NONE: return turn_down(offer, "this is no port");
  }
}

static void receive(struct listener *listening, int connection, const struct sockaddr_storage *peer) {
  struct offer *offer = calloc(1, sizeof *offer);
  (void)listening, (void)peer;
  need(offer != NULL, "memory");
  offer->watch = (struct watch){.fd = connection, .ready = listen_to};
  loop_watch(&offer->watch, EPOLLIN);
}

void host_ports_start(int listener, struct in_addr host) {
  address = host;
  listener_start(&entrance, listener, receive);
}
