#define _GNU_SOURCE  // O_DIRECT
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DOCKER_SOCKET "/var/run/docker.sock"
// The fourth disk: src/qemu/machine.ts.
#define DISK "vdd"
#define CHUNK_BYTES (1 << 20)
#define PROGRESS_BYTES (16LL << 20)

// What the child that reads the disk tells; written and read as a whole, because it is shorter than PIPE_BUF.
struct news {
  char event[16];
  char text[2048];
};

static int pipe_ends[2] = {-1, -1};

static void tell(const char *event, const char *text) {
  struct news news = {0};
  snprintf(news.event, sizeof news.event, "%s", event);
  snprintf(news.text, sizeof news.text, "%s", text);
  if (write(pipe_ends[1], &news, sizeof news) < 0) _exit(1);
}

static bool send_all(int connection, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(connection, data, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    data += sent;
    length -= sent;
  }
  return true;
}

// Past the page cache: what is read once would fill the memory that is saved into a template.
static bool send_disk(int connection, long long offset, long long length) {
  char progress[32];
  char *chunk = aligned_alloc(4096, CHUNK_BYTES);
  int disk = open("/dev/" DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (!chunk || disk < 0) return false;
  for (long long done = 0, told = 0; done < length;) {
    ssize_t count = pread(disk, chunk, CHUNK_BYTES, offset + done);
    if (count <= 0) return false;
    if (count > length - done) count = length - done;
    if (!send_all(connection, chunk, count)) return false;
    done += count;
    if (done - told < PROGRESS_BYTES) continue;
    told = done;
    snprintf(progress, sizeof progress, "%lld", done);
    tell("loading", progress);
  }
  return true;
}

// The end of the answer, head included where it is short; dockerd closes the connection after it.
static void tell_answer(int connection) {
  char answer[2048] = "", more[512];
  size_t length = 0;
  for (ssize_t count; (count = read(connection, more, sizeof more)) > 0;) {
    if (length + count >= sizeof answer) {
      // The first line stays: it has the status.
      size_t keep = strcspn(answer, "\n") + 1, drop = length + count - sizeof answer + 1;
      memmove(answer + keep, answer + keep + drop, length - keep - drop);
      length -= drop;
    }
    memcpy(answer + length, more, count);
    length += count;
  }
  answer[length] = 0;
  tell("loaded", answer);
}

static void load(long long offset, long long length) {
  char head[256];
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = DOCKER_SOCKET};
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(head, sizeof head,
           "POST /images/load?quiet=1 HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\n"
           "Content-Length: %lld\r\n\r\n",
           length);
  if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
    tell("loaded", "dockerd takes no connection");
    return;
  }
  // One that has heard enough answers before it has all.
  bool sent = send_all(connection, head, strlen(head)) && send_disk(connection, offset, length);
  if (!sent && errno != EPIPE && errno != ECONNRESET) {
    char reason[128];
    snprintf(reason, sizeof reason, "cannot read the disk " DISK ": %s", strerror(errno));
    tell("loaded", reason);
    return;
  }
  tell_answer(connection);
}

void load_begin(const char *value) {
  long long offset, length;
  if (sscanf(value, "%lld %lld", &offset, &length) != 2) return;
  if (pipe_ends[0] < 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
  if (fork() != 0) return;
  // The child waits where the parent must not.
  fcntl(pipe_ends[1], F_SETFL, 0);
  load(offset, length);
  _exit(0);
}

int load_descriptor(void) {
  return pipe_ends[0];
}

void load_read(void) {
  struct news news;
  while (read(pipe_ends[0], &news, sizeof news) == sizeof news) control_event(news.event, news.text);
}

// A clone has another disk in its place, with nothing on it: the guest forgets that there was one.
void load_eject(void) {
  char link[PATH_MAX] = "";
  ssize_t length = readlink("/sys/block/" DISK "/device", link, sizeof link - 1);
  const char *device = length > 0 ? strrchr(link, '/') : NULL;
  int driver = open("/sys/bus/virtio/drivers/virtio_blk/unbind", O_WRONLY | O_CLOEXEC);
  bool gone = device && driver >= 0 && write(driver, device + 1, strlen(device + 1)) > 0;
  close(driver);
  control_event("ejected", gone ? "" : "the disk " DISK " stays");
}
