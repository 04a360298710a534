#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// The kernel's own; others are programs, which can write to the log as well.
#define FACILITY_KERNEL 0
#define LEVEL_DEBUG 7
// Escaped as JSON it is no longer than a line of control.c.
#define BATCH_BYTES 6144
#define TEXT_BYTES 1000
// What waits to be told. A host that is slow to ask is waited for with the reading going on: the kernel's ring waits for nobody. With the
// limits on lines below, a kernel fills it in a minute of nothing but reports.
#define QUEUE_BYTES (512 * 1024)
// A turn is this many records at the most, so that others have theirs. Where it had them all, the next begins a little later, when there
// may be more than one; where it had not, soon: the smallest ring of Debian's kernels (128 KiB) is written anew within 30 ms of a flood.
#define RECORDS_A_TURN 512
#define PAUSE_MS 4
#define SHORT_PAUSE_MS 1
// Lines that are told whatever they say: a boot has less than a thousand. Of more than that, those that may be part of a report.
#define BURST_LINES 2000
#define LINES_A_SECOND 200
#define LINES_OF_A_REPORT 150
// Behind those, and for as long as a kernel may take for a report, lines that stand in one: what another processor says meanwhile has
// used up the others.
#define LINES_OF_TRACES 400
#define MICROSECONDS_OF_A_REPORT 2000000

static int kmsg = -1;
static char queue[QUEUE_BYTES];
static size_t used;
static bool is_awaited;
// The sequence number of the last record that was read; whether there was one.
static unsigned long long through;
static bool has_read;
// Records that the kernel wrote over before they were read, and lines that are not told, since the last batch.
static unsigned long long overwritten, left_out;
static long long pause_until_ms, refilled_ms;
static long allowed = BURST_LINES, of_report, of_traces;
static unsigned long long report_began;

// What begins a report, coarsely: src/kernel-log/kinds.ts knows them.
static const char *const headlines[] = {
    "cut here",      "WARNING",  "BUG",   "Oops",   "KASAN",       "KCSAN",     "KFENCE",    "UBSAN",
    "INFO: ",        "stall",    "LOCKUP", "lockup", "refcount_t:", "kmemleak:", "protection fault",
    "Unable to handle kernel", "unreferenced object", "[#",
};

// What lines behind it begin with, coarsely: src/kernel-log/index.ts knows them.
static const char *const in_traces[] = {
    " ",    "Call ", "Modules ", "CPU: ", "Hardware ", "Workqueue: ", "RIP: ", "RSP: ", "RAX: ", "RDX: ", "RBP: ",
    "R10: ", "R13: ", "FS: ",     "CS: ",  "CR2: ",     "Code: ",      "---[ ", "=====", "task:", "rcu: ", "NMI ",
};

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// One pass for all: of a flood each line is looked at, and the ring waits for nobody. No report begins with a line for debugging.
static bool may_begin_report(unsigned level, const char *text) {
  static bool begins[256];
  if (level >= LEVEL_DEBUG) return false;
  if (!begins[(unsigned char)headlines[0][0]])
    for (size_t at = 0; at < sizeof headlines / sizeof *headlines; at++) begins[(unsigned char)headlines[at][0]] = true;
  for (; *text; text++) {
    if (!begins[(unsigned char)*text]) continue;
    for (size_t at = 0; at < sizeof headlines / sizeof *headlines; at++)
      if (strncmp(text, headlines[at], strlen(headlines[at])) == 0) return true;
  }
  return false;
}

static bool stands_in_trace(const char *text) {
  for (size_t at = 0; at < sizeof in_traces / sizeof *in_traces; at++)
    if (strncmp(text, in_traces[at], strlen(in_traces[at])) == 0) return true;
  return false;
}

static bool is_told(unsigned level, unsigned long long microseconds, const char *text) {
  if (may_begin_report(level, text)) {
    of_report = LINES_OF_A_REPORT;
    of_traces = LINES_OF_TRACES;
    report_began = microseconds;
  }
  // A line for debugging is part of no report, and takes none of its lines.
  bool may_be_part = level < LEVEL_DEBUG;
  bool is_part = may_be_part && of_report > 0;
  if (is_part) of_report--;
  if (allowed > 0) {
    allowed--;
    return true;
  }
  if (is_part) return true;
  if (!may_be_part || of_traces <= 0 || microseconds - report_began > MICROSECONDS_OF_A_REPORT || !stands_in_trace(text)) return false;
  of_traces--;
  return true;
}

static void refill(void) {
  long long now = now_ms();
  long more = (now - refilled_ms) * LINES_A_SECOND / 1000;
  if (more <= 0) return;
  allowed = allowed + more > BURST_LINES ? BURST_LINES : allowed + more;
  refilled_ms = now;
}

static bool has_room(void) {
  return used + TEXT_BYTES + 64 < sizeof queue;
}

// A record is `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`, and then lines of properties. The kernel has escaped what is not printable.
static void take(char *record) {
  char *at = record;
  unsigned priority = strtoul(at, &at, 10);
  if (*at++ != ',') return;
  unsigned long long sequence = strtoull(at, &at, 10);
  if (*at++ != ',') return;
  unsigned long long microseconds = strtoull(at, &at, 10);
  char *text = strchr(at, ';');
  if (!text) return;
  if (has_read && sequence > through + 1) overwritten += sequence - through - 1;
  through = sequence;
  has_read = true;
  if (priority >> 3 != FACILITY_KERNEL) return;
  text++;
  char *end = strchr(text, '\n');
  if (end) *end = 0;
  if (!is_told(priority & 7, microseconds, text)) left_out++;
  else
    used += snprintf(queue + used, sizeof queue - used, "%u %llu %llu %.*s\n", priority & 7, sequence, microseconds, TEXT_BYTES,
                     text);
}

// Returns whether there is no more.
static bool read_records(void) {
  char record[8192 + 1];
  refill();
  for (int count = 0; count < RECORDS_A_TURN && has_room(); count++) {
    ssize_t length = read(kmsg, record, sizeof record - 1);
    // Written over while nobody read: the next read goes on with the oldest that is left.
    if (length < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (length <= 0) return true;
    record[length] = 0;
    take(record);
  }
  return false;
}

// The length of the whole lines at the beginning of the queue that are a batch, and the number of the last one of them.
static size_t batch_length(unsigned long long *last) {
  size_t length = 0;
  while (length < used) {
    char *line = queue + length;
    size_t size = (char *)memchr(line, '\n', used - length) + 1 - line;
    if (length + size > BATCH_BYTES) break;
    // After the level, which is one digit.
    *last = strtoull(line + 2, NULL, 10);
    length += size;
  }
  return length;
}

// `QUESTION THROUGH OVERWRITTEN LEFT_OUT MORE`, and a line `LEVEL SEQUENCE MICROSECONDS TEXT` for each record.
static void tell(unsigned long question, bool more) {
  static char message[BATCH_BYTES + 128];
  unsigned long long told = through;
  size_t length = batch_length(&told);
  bool is_rest = length < used;
  snprintf(message, sizeof message, "%lu %llu %llu %llu %d\n%.*s", question, is_rest ? told : through, overwritten, left_out,
           more || is_rest, (int)length, queue);
  used -= length;
  memmove(queue, queue + length, used);
  overwritten = left_out = 0;
  control_event("kernel", message);
}

void kernel_log_open(void) {
  kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void begin_now(void) {
  lseek(kmsg, 0, SEEK_END);
  has_read = false;
  used = 0;
  overwritten = left_out = 0;
  is_awaited = false;
  allowed = BURST_LINES;
}

void kernel_log_handle(const char *value) {
  bool is_over;
  if (strcmp(value, "from-now") == 0) begin_now();
  else if (strcmp(value, "wait") == 0) {
    is_awaited = used == 0;
    if (used > 0) tell(0, true);
  } else if (strncmp(value, "ask ", 4) == 0) {
    is_over = kmsg < 0 || read_records();
    tell(strtoul(value + 4, NULL, 10), !is_over);
  }
}

// What there is no room for stays in the kernel's ring.
int kernel_log_descriptor(void) {
  return has_room() && now_ms() >= pause_until_ms ? kmsg : -1;
}

int kernel_log_pause_ms(void) {
  long long left = pause_until_ms - now_ms();
  return left > 0 && has_room() ? (int)left : -1;
}

void kernel_log_read(void) {
  bool is_over = read_records();
  pause_until_ms = now_ms() + (is_over ? PAUSE_MS : SHORT_PAUSE_MS);
  if (!is_awaited || (used == 0 && overwritten == 0)) return;
  is_awaited = false;
  tell(0, !is_over);
}
