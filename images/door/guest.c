// The guest's end of the door: door ADDRESS PORT PEER SHARE
// Takes connections of PEER alone, and only while it has a secret; standard input gives it that, line by line: `admit SECRET`, or
// `forget`. Both break off what is there. A connection begins with a line (request.c). The answer is one, too: `ok`, and the bytes behind
// it are the destination's, or frames of its datagrams; `error REASON` of the destination's; or `denied REASON`. One for a directory of the
// owner's is the program SHARE's (share.c), its answer too.
#define _GNU_SOURCE  // pipe2
#include "door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

// A connection that has not come to its destination.
struct visitor {
  struct watch watch;  // its own socket first, then that of the destination
  int connection;
  bool datagrams;
  char line[LINE_MAX_LENGTH];
  size_t length;
  struct visitor *previous, *next;
};

static struct visitor *visitors;
static struct in_addr admitted_peer;
static int entrance;
static struct listener listener;
static char secret[SECRET_LENGTH];
static char *share_program;
// Programs that have a share end when its second descriptor is closed.
static int leash[2] = {-1, -1};

static void forget_visitor(struct visitor *visitor) {
  if (visitor->watch.ready) loop_unwatch(&visitor->watch);
  if (visitor->previous) visitor->previous->next = visitor->next;
  else visitors = visitor->next;
  if (visitor->next) visitor->next->previous = visitor->previous;
  explicit_bzero(visitor->line, sizeof visitor->line);
  loop_free(visitor);
}

static void turn_away(struct visitor *visitor, const char *verdict, const char *reason) {
  char answer[160];
  int length = snprintf(answer, sizeof answer, "%s %s\n", verdict, reason);
  int connection = visitor->connection, current = visitor->watch.fd;
  forget_visitor(visitor);
  if (current != connection) close(current);
  // Nothing was sent on it before: there is room.
  send(connection, answer, length, MSG_NOSIGNAL);
  close(connection);
  listener_retry();
}

static void let_in(struct visitor *visitor) {
  int connection = visitor->connection, destination = visitor->watch.fd;
  bool datagrams = visitor->datagrams;
  forget_visitor(visitor);
  send(connection, "ok\n", 3, MSG_NOSIGNAL);
  if (datagrams) datagrams_carry(connection, destination);
  else pair_join(connection, destination, NULL);
}

static void connected(struct watch *watch, uint32_t events) {
  struct visitor *visitor = (struct visitor *)watch;
  int reason = 0;
  socklen_t length = sizeof reason;
  (void)events;
  getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &reason, &length);
  if (reason != 0) turn_away(visitor, "error", strerror(reason));
  else let_in(visitor);
}

static bool has_datagrams(const struct request *request) {
  return request->destination == TO_UDP || request->destination == TO_UDP6;
}

static int connect_to(const struct request *request) {
  union {
    struct sockaddr any;
    struct sockaddr_un file;
    struct sockaddr_in port;
    struct sockaddr_in6 port6;
  } to = {0};
  socklen_t size;
  int one = 1;
  if (request->destination == TO_UNIX) {
    to.file.sun_family = AF_UNIX;
    memcpy(to.file.sun_path, request->path, SOCKET_PATH_MAX_LENGTH);
    size = sizeof to.file;
  } else if (request->destination == TO_TCP6 || request->destination == TO_UDP6) {
    to.port6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(request->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    size = sizeof to.port6;
  } else {
    to.port = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(request->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size = sizeof to.port;
  }
  int type = has_datagrams(request) ? SOCK_DGRAM : SOCK_STREAM;
  int destination = socket(to.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (destination < 0) return -1;
  if (type == SOCK_STREAM && to.any.sa_family != AF_UNIX) setsockopt(destination, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(destination, &to.any, size) == 0 || errno == EINPROGRESS) return destination;
  int reason = errno;
  close(destination);
  errno = reason;
  return -1;
}

static void become_share(int connection, struct request *request) {
  char *access = request->destination == TO_DIRECTORY ? "rw" : "ro";
  if (dup2(connection, 0) == 0 && dup2(leash[0], 1) == 1) execl(share_program, "share", access, request->path, (char *)NULL);
  int length = dprintf(connection, "error %s: %s\n", share_program, strerror(errno));
  _exit(length < 0);
}

static void give_to_share(struct visitor *visitor, struct request *request) {
  if (leash[1] < 0 && pipe2(leash, O_CLOEXEC) != 0) return turn_away(visitor, "error", strerror(errno));
  pid_t child = fork();
  if (child < 0) return turn_away(visitor, "error", strerror(errno));
  if (child == 0) become_share(visitor->connection, request);
  int connection = visitor->connection;
  forget_visitor(visitor);
  close(connection);
  listener_retry();
}

static void open_for(struct visitor *visitor) {
  struct request request;
  bool is_request = request_parse(visitor->line, visitor->length, &request);
  bool is_owner = is_request && secret_equals(request.secret, secret);
  explicit_bzero(request.secret, sizeof request.secret);
  if (!is_owner) return turn_away(visitor, "denied", is_request ? "the secret is not that of this start" : "this is no request");
  if (request.destination == TO_DIRECTORY || request.destination == TO_READ_ONLY_DIRECTORY) return give_to_share(visitor, &request);
  int destination = connect_to(&request);
  if (destination < 0) return turn_away(visitor, "error", strerror(errno));
  visitor->datagrams = has_datagrams(&request);
  loop_unwatch(&visitor->watch);
  visitor->watch = (struct watch){.fd = destination, .ready = connected};
  loop_watch(&visitor->watch, EPOLLOUT);
}

static void listen_to(struct watch *watch, uint32_t events) {
  struct visitor *visitor = (struct visitor *)watch;
  (void)events;
  switch (line_receive(watch->fd, visitor->line, sizeof visitor->line, &visitor->length)) {
    case LINE_IS_PART: return;
    case LINE_IS_WHOLE: return open_for(visitor);
    case LINE_HAS_NO_END: return turn_away(visitor, "denied", "the line has no end");
    case LINE_IS_NONE: return turn_away(visitor, "denied", "this is no request");
  }
}

static void receive(struct listener *listening, int connection, const struct sockaddr_storage *peer) {
  (void)listening;
  const struct sockaddr_in *from = (const struct sockaddr_in *)peer;
  struct visitor *visitor = from->sin_addr.s_addr == admitted_peer.s_addr ? calloc(1, sizeof *visitor) : NULL;
  if (!visitor) {
    close(connection);
    return;
  }
  visitor->watch = (struct watch){.fd = connection, .ready = listen_to};
  visitor->connection = connection;
  visitor->next = visitors;
  if (visitors) visitors->previous = visitor;
  visitors = visitor;
  loop_watch(&visitor->watch, EPOLLIN);
}

static void forget(void) {
  listener_stop(&listener);
  explicit_bzero(secret, sizeof secret);
  while (visitors) turn_away(visitors, "denied", "the guest has another owner");
  pair_end_all();
  datagrams_end_all();
  for (int at = 0; at < 2; at++) {
    close(leash[at]);
    leash[at] = -1;
  }
}

static void obey(char *line) {
  if (strcmp(line, "forget") == 0) return forget();
  if (strncmp(line, "admit ", 6) != 0 || strlen(line + 6) != SECRET_LENGTH) return;
  forget();
  memcpy(secret, line + 6, SECRET_LENGTH);
  listener_start(&listener, entrance, receive);
}

static void read_orders(struct watch *watch, uint32_t events) {
  static char buffer[256];
  static size_t used;
  (void)events;
  ssize_t count = read(watch->fd, buffer + used, sizeof buffer - used);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // The agent has ended, and the guest with it.
  if (count <= 0) exit(0);
  used += count;
  for (char *end; (end = memchr(buffer, '\n', used));) {
    *end = 0;
    obey(buffer);
    size_t length = end + 1 - buffer;
    used -= length;
    memmove(buffer, buffer + length, used);
    explicit_bzero(buffer + used, sizeof buffer - used);
  }
  if (used == sizeof buffer) used = 0;
}

int main(int argc, char **argv) {
  static struct watch orders = {.fd = 0, .ready = read_orders};
  struct sockaddr_in here = {.sin_family = AF_INET};
  int one = 1;
  if (argc != 5 || inet_pton(AF_INET, argv[1], &here.sin_addr) != 1 || inet_pton(AF_INET, argv[3], &admitted_peer) != 1) {
    fprintf(stderr, "usage: door ADDRESS PORT PEER SHARE\n");
    return 2;
  }
  here.sin_port = htons(atoi(argv[2]));
  share_program = argv[4];
  signal(SIGPIPE, SIG_IGN);
  // Nobody asks how a share ended.
  signal(SIGCHLD, SIG_IGN);
  raise_descriptor_limit();
  entrance = listener_open((struct sockaddr *)&here, sizeof here, 0);
  need(entrance >= 0, argv[1]);
  // Its connections inherit it.
  setsockopt(entrance, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(0, F_SETFL, O_NONBLOCK);
  loop_watch(&orders, EPOLLIN);
  loop_run();
}
