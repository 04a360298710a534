// The door: the owner's way into the guest without SSH, and the guest's to ports of the owner's machine. One program on each end of the link
// between container and guest:
//   box.c    a unix socket in the run directory; each connection goes on over the link as it is. Beside it host-ports.c and names.c
//   guest.c  reads one line of each (request.c), and goes on to a socket of the guest, or hands it to share.c, a program of its own
// What they share is below, one concern a file. Both are one thread around one epoll.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// ---- request.c: the line with which a connection begins ----
// `SECRET unix PATH`, `SECRET ro PATH`, `SECRET rw PATH`, or `SECRET PROTOCOL PORT` with tcp, tcp6, udp or udp6, and a line feed.
#define SECRET_LENGTH 64  // hexadecimal digits
#define SOCKET_PATH_MAX_LENGTH 107
#define PATH_MAX_LENGTH 1023
#define LINE_MAX_LENGTH (SECRET_LENGTH + sizeof " unix " - 1 + PATH_MAX_LENGTH + 1)
struct request {
  char secret[SECRET_LENGTH];
  enum destination { TO_UNIX, TO_TCP, TO_TCP6, TO_UDP, TO_UDP6, TO_READ_ONLY_DIRECTORY, TO_DIRECTORY } destination;
  // 0 for a path. Over UDP, frames of datagrams (frames.c) follow, and no bytes of a connection.
  uint16_t port;
  // Absolute, and empty for a port: of a unix socket, or of where a directory of the owner's is to be mounted (share.c).
  char path[PATH_MAX_LENGTH + 1];
};
enum line { LINE_IS_PART, LINE_IS_WHOLE, LINE_HAS_NO_END, LINE_IS_NONE };
// Receives more of a line, of which there are `*length` bytes so far. A whole one is counted without its line feed. Nothing comes behind that
// before there was an answer: what has more, or does not fit, is no line.
enum line line_receive(int connection, char *line, size_t size, size_t *length);
// Reads a line without its line feed; false for one that is no request.
bool request_parse(const char *line, size_t length, struct request *request);
// Reads the digits of a port, of which there is one way to write each: the first is not 0.
bool port_parse(const char *text, size_t length, uint16_t *port);
// Takes the same time wherever the two differ.
bool secret_equals(const char *one, const char *other);

// ---- loop.c: waits for descriptors, and calls whoever watches them ----
struct watch {
  int fd;
  // Errors and hang-ups are told in any case.
  uint32_t wanted;
  void (*ready)(struct watch *watch, uint32_t events);
};
void loop_watch(struct watch *watch, uint32_t wanted);
void loop_want(struct watch *watch, uint32_t wanted);
// The descriptor stays open.
void loop_unwatch(struct watch *watch);
// What is freed may still be in the batch of events that is worked off: it is freed after that.
void loop_free(void *memory);
// Calls `work` every few milliseconds while it returns true.
void loop_repeat(bool (*work)(void));
_Noreturn void loop_run(void);

// ---- listener.c: takes connections ----
struct listener;
typedef void take_connection(struct listener *listener, int connection, const struct sockaddr_storage *peer);
struct listener {
  struct watch watch;
  take_connection *take;
  // It is full of connections, and we are out of descriptors: being told of it again and again helps nobody.
  bool waits;
  struct listener *next;
};
// Listens at the address; -1 with errno if it cannot. `mode` is that of the file of a unix socket.
int listener_open(const struct sockaddr *address, socklen_t length, mode_t mode);
// Takes its connections from now on, unless it does already.
void listener_start(struct listener *listener, int fd, take_connection *take);
void listener_stop(struct listener *listener);
// There may be room again for connections that had to wait.
void listener_retry(void);

// ---- pair.c: two sockets, joined ----
// Carries bytes both ways until both ends have ended or one is gone. An end passes on as a half-close, back-pressure as it is, and
// who goes away without a word is gone on the other side as well, once that has all he sent. Takes both descriptors. `count`, unless it is
// NULL, is one more until then.
void pair_join(int one, int other, size_t *count);
// Breaks all of them off.
void pair_end_all(void);

// ---- frames.c: datagrams in a stream, each behind two bytes with its length, the high one first ----
#define FRAME_HEAD_BYTES 2
#define DATAGRAM_MAX_BYTES UINT16_MAX
#define FRAME_MAX_BYTES (FRAME_HEAD_BYTES + DATAGRAM_MAX_BYTES)
struct frames {
  // Less than a frame, unless bytes were just read.
  size_t held;
  uint8_t bytes[FRAME_MAX_BYTES];
};
// `count` bytes were read behind those that are held: calls `take` for each datagram that is whole by now, and holds the rest.
void frames_split(struct frames *frames, size_t count, void (*take)(void *taker, const uint8_t *datagram, size_t length), void *taker);
void frame_begin(uint8_t *head, size_t length);

// ---- datagrams.c: a stream of frames, and a UDP socket ----
// Carries datagrams both ways until the stream ends. Takes both descriptors.
void datagrams_carry(int stream, int socket);
// Ends all of them.
void datagrams_end_all(void);

// ---- host-ports.c: ports of the owner's machine, for the guest ----
// Takes connections of the owner at `listener`. Each begins with the digits of a port and a line feed, and is answered by `listening` when
// that port of `address` is open, and by `connected` when somebody of the guest has connected to it: the bytes behind that are his. Or by
// `error REASON`.
void host_ports_start(int listener, struct in_addr address);

// ---- names.c: the name of that address, and name servers that are out of the guest's reach ----
// `HERE` answers those who ask this address of the link for host.testkernels.internal. `HERE=SERVER`, with an IPv4 or IPv6 address, passes
// all other names on, over UDP and TCP, and the answers back. -1 with errno where it cannot listen.
int names_start(const char *word, struct in_addr address);
// Makes the answer of a question in its place. @returns its length, which is at most NAMES_MORE_BYTES more; 0 for no question of ours
size_t names_answer(uint8_t *message, size_t length, struct in_addr address);
// Whether a message has our name where a question has its own, as those that images/runner/entrypoint lets in by it, whatever else is in it.
bool names_ours(const uint8_t *message, size_t length);
#define NAMES_MORE_BYTES 16

// ---- support.c ----
// Ends the program when what it cannot do without fails.
void need(bool succeeded, const char *what);
void raise_descriptor_limit(void);
