// Becomes part of Dropbear's svr-main.c. The guest's agent starts a server before it has a connection for it, and before its guest is
// saved: descriptor 0 is a socket on which the connection comes (images/guest/agent/sessions.c). Only afterwards does the server read
// keys and random numbers, so that nothing of them is in a saved guest, and no two of its clones have the same.
#include <sys/socket.h>

static void take_connection(void) {
  char byte;
  int connection;
  union {
    char buffer[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.buffer, .msg_controllen = sizeof control.buffer};
  ssize_t count;
  do count = recvmsg(0, &message, 0);
  while (count < 0 && errno == EINTR);
  struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  // The agent has ended, and the guest with it.
  if (!header || header->cmsg_type != SCM_RIGHTS) exit(0);
  memcpy(&connection, CMSG_DATA(header), sizeof connection);
  dup2(connection, 0);
  dup2(connection, 1);
  close(connection);
}
