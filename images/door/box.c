// The container's end of the door: door SOCKET ADDRESS PORT HOST-SOCKET HOST-ADDRESS [NAME-SERVER...]
// Connections at SOCKET go on to the guest's end, at ADDRESS and PORT. At HOST-SOCKET the owner opens ports of HOST-ADDRESS, which lead back
// to it (host-ports.c), and at each NAME-SERVER that address has a name (names.c); `HERE=SERVER` is asked for all others.
// Runs as QEMU's user, and neither knows nor needs the secret: it reads nothing of what it carries. Who may come in is decided by the
// mode of its sockets (0600), and in the guest.
#include "door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in guest = {.sin_family = AF_INET};
static struct listener entrance;

static void go_on(struct listener *listening, int connection, const struct sockaddr_storage *peer) {
  (void)listening, (void)peer;
  int one = 1;
  int link = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (link >= 0) {
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Until it is connected it takes nothing, and what its client sends waits.
    if (connect(link, (struct sockaddr *)&guest, sizeof guest) == 0 || errno == EINPROGRESS) return pair_join(connection, link, NULL);
    close(link);
  }
  close(connection);
}

static int open_privately(const char *path) {
  struct sockaddr_un here = {.sun_family = AF_UNIX};
  errno = ENAMETOOLONG;
  if (strlen(path) >= sizeof here.sun_path) return -1;
  strcpy(here.sun_path, path);
  return listener_open((struct sockaddr *)&here, sizeof here, 0600);
}

int main(int argc, char **argv) {
  struct in_addr host;
  if (argc < 6 || inet_pton(AF_INET, argv[2], &guest.sin_addr) != 1 || inet_pton(AF_INET, argv[5], &host) != 1) {
    fprintf(stderr, "usage: door SOCKET ADDRESS PORT HOST-SOCKET HOST-ADDRESS [NAME-SERVER...]\n");
    return 2;
  }
  guest.sin_port = htons(atoi(argv[3]));
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  int listener = open_privately(argv[1]);
  need(listener >= 0, argv[1]);
  listener_start(&entrance, listener, go_on);
  int owner = open_privately(argv[4]);
  need(owner >= 0, argv[4]);
  host_ports_start(owner, host);
  for (int at = 6; at < argc; at++) {
    // A guest without names is still a guest.
    if (names_start(argv[at], host) < 0) perror(argv[at]);
  }
  loop_run();
}
