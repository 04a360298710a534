#define _GNU_SOURCE  // accept4
#include "agent.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SSHD_LOG TOOLS "/sshd.log"
// Where no network leads to: the owner comes through the door. src/qemu/devices.ts holds the same port.
#define SSH_ADDRESS "127.0.0.1"
#define SSH_PORT 61022
#define SESSIONS_MAX 64

static int listener = -1;
// Whether any server may have said something in the log.
static bool logged;
// Leaders of process groups.
static pid_t sessions[SESSIONS_MAX];
// A server without a connection, and the socket on which it waits for one.
static struct {
  pid_t server;
  int socket;
} waiting = {.socket = -1};

static void nobody_waits(void) {
  close(waiting.socket);
  waiting.server = 0;
  waiting.socket = -1;
}

int sessions_listen(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SSH_PORT)};
  int one = 1;
  mkdir(SSH_DIR, 0700);
  inet_pton(AF_INET, SSH_ADDRESS, &address.sin_addr);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
    close(listener);
    listener = -1;
  }
  return listener;
}

// -W: a window of 1 MiB in place of 24 KiB nearly doubles what an image load gets through (12 to 22 MB/s, emulated).
void sessions_prepare(void) {
  static char *const argv[] = {TOOLS "/bin/dropbear", "-i", "-T", "3", "-K", "0", "-W", "1048576",
                               "-D", SSH_DIR, "-r", HOST_KEY, NULL};
  int ends[2];
  if (waiting.server > 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  waiting.server = spawn(argv, ends[1], SSHD_LOG);
  prefer(waiting.server);
  waiting.socket = ends[0];
  close(ends[1]);
}

// images/guest/sshd/take-connection.h is the other side.
static void hand_over(int connection) {
  char byte = 0;
  union {
    char buffer[CMSG_SPACE(sizeof connection)];
    struct cmsghdr aligned;
  } control = {{0}};
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.buffer, .msg_controllen = sizeof control.buffer};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof connection);
  memcpy(CMSG_DATA(header), &connection, sizeof connection);
  if (sendmsg(waiting.socket, &message, MSG_NOSIGNAL) < 0) control_event("warning", "no SSH server takes a connection");
}

void sessions_accept(void) {
  int one = 1;
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (size_t at = 0; at < SESSIONS_MAX; at++) {
    if (sessions[at] > 0) continue;
    sessions_prepare();
    hand_over(connection);
    sessions[at] = waiting.server;
    nobody_waits();
    logged = true;
    break;
  }
  close(connection);
}

void sessions_end(void) {
  for (size_t at = 0; at < SESSIONS_MAX; at++)
    if (sessions[at] > 0) kill(-sessions[at], SIGKILL);
  // What they said is their owner's. The server that waits has the file open.
  if (logged) truncate(SSHD_LOG, 0);
  logged = false;
}

void sessions_child_ended(pid_t child, int status) {
  char tail[2048];
  if (child == waiting.server) nobody_waits();
  for (size_t at = 0; at < SESSIONS_MAX; at++)
    if (sessions[at] == child) sessions[at] = 0, child = 0;
  if (child != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return;
  int file = open(SSHD_LOG, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, tail, sizeof tail - 1);
  close(file);
  tail[length > 0 ? length : 0] = 0;
  control_event("sshd", tail);
}
