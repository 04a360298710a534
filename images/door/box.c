// The container's end of the door: door SOCKET ADDRESS PORT
// Runs as QEMU's user, and neither knows nor needs the secret: it reads nothing of what it carries. Who may come in is decided by the
// mode of its socket (0600), and in the guest.
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

static void go_on(int connection, const struct sockaddr_storage *peer) {
  (void)peer;
  int one = 1;
  int link = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (link >= 0) {
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Until it is connected it takes nothing, and what its client sends waits.
    if (connect(link, (struct sockaddr *)&guest, sizeof guest) == 0 || errno == EINPROGRESS) return pair_join(connection, link);
    close(link);
  }
  close(connection);
}

int main(int argc, char **argv) {
  struct sockaddr_un here = {.sun_family = AF_UNIX};
  if (argc != 4 || strlen(argv[1]) >= sizeof here.sun_path || inet_pton(AF_INET, argv[2], &guest.sin_addr) != 1) {
    fprintf(stderr, "usage: door SOCKET ADDRESS PORT\n");
    return 2;
  }
  strcpy(here.sun_path, argv[1]);
  guest.sin_port = htons(atoi(argv[3]));
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  int listener = listener_open((struct sockaddr *)&here, sizeof here, 0600);
  need(listener >= 0, argv[1]);
  listener_start(listener, go_on);
  loop_run();
}
