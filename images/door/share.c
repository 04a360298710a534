// The guest's end of a directory of the owner's: share ro|rw PATH
// Mounts it at the path, and answers on the connection at standard input: `ok`, and behind it are the kernel's requests of FUSE
// (linux/fuse.h) one way and the owner's answers the other; or `error REASON`. It is over when the connection ends, when the file system is
// unmounted, or when the other end of the pipe at standard output is closed.
// A program of its own, because the door must not wait for a file system that is served through it.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTION 0
#define LEASH 1
// The owner's end holds the kernel to it (src/mounts/requests.ts): 128 KiB of a file, and what goes before them.
#define MESSAGE_MAX_BYTES ((128 << 10) + 4096)

// Of the kernel; no other is taken from it before the connection has all of it.
static struct {
  size_t length, sent;
  uint8_t bytes[MESSAGE_MAX_BYTES];
} request;
// Of the owner: less than a whole one, unless bytes were just read.
static struct {
  size_t held;
  uint8_t bytes[MESSAGE_MAX_BYTES];
} answer;

static int fail(const char *what) {
  char line[160];
  int length = snprintf(line, sizeof line, "error %s: %s\n", what, strerror(errno));
  // Nothing was sent on it before: there is room.
  send(CONNECTION, line, length, MSG_NOSIGNAL);
  return 1;
}

static bool make_directory(char *path) {
  for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    mkdir(path, 0755);
  }
  struct stat there;
  if (mkdir(path, 0755) == 0) return true;
  return errno == EEXIST && stat(path, &there) == 0 && (S_ISDIR(there.st_mode) || (errno = ENOTDIR, false));
}

// false when nothing more will come.
static bool take_answers(int device) {
  ssize_t count = recv(CONNECTION, answer.bytes + answer.held, sizeof answer.bytes - answer.held, 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  size_t at = 0;
  answer.held += count;
  while (answer.held - at >= sizeof(struct fuse_out_header)) {
    struct fuse_out_header head;
    memcpy(&head, answer.bytes + at, sizeof head);
    if (head.len < sizeof head || head.len > sizeof answer.bytes) return false;
    if (answer.held - at < head.len) break;
    // Nobody waits any more for the answer to a request that was interrupted.
    if (write(device, answer.bytes + at, head.len) < 0 && errno != ENOENT) return false;
    at += head.len;
  }
  answer.held -= at;
  memmove(answer.bytes, answer.bytes + at, answer.held);
  return true;
}

static bool take_request(int device) {
  ssize_t count = read(device, request.bytes, sizeof request.bytes);
  if (count < 0) return errno == EAGAIN || errno == EINTR || errno == ENOENT;
  request.length = count;
  request.sent = 0;
  return true;
}

static bool send_request(void) {
  ssize_t count = send(CONNECTION, request.bytes + request.sent, request.length - request.sent, MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  request.sent += count;
  return true;
}

static void carry(int device) {
  for (;;) {
    bool sends = request.sent < request.length;
    struct pollfd connection = {.fd = CONNECTION, .events = POLLIN | (sends ? POLLOUT : 0)};
    struct pollfd kernel = {.fd = sends ? -1 : device, .events = POLLIN};
    struct pollfd all[] = {connection, kernel, {.fd = LEASH}};
    if (poll(all, 3, -1) < 0 && errno != EINTR) return;
    if (all[2].revents) return;
    if (all[0].revents & ~POLLOUT && !take_answers(device)) return;
    if (all[1].revents && !take_request(device)) return;
    if (request.sent < request.length && !send_request()) return;
  }
}

int main(int argc, char **argv) {
  char options[128];
  if (argc != 3) return 2;
  bool read_only = strcmp(argv[1], "ro") == 0;
  char *path = argv[2];
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return fail("/dev/fuse");
  if (!make_directory(path)) return fail("mkdir");
  // The kernel looks at modes and owners, as it does for a directory of its own, and everybody in the guest may come.
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", device);
  unsigned long flags = MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0);
  if (mount("testkernels", path, "fuse.testkernels", flags, options) != 0) return fail("mount");
  send(CONNECTION, "ok\n", 3, MSG_NOSIGNAL);
  carry(device);
  // Who waits for an answer hears that there will be none.
  close(device);
  umount2(path, MNT_DETACH);
  return 0;
}
