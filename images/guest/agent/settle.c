#include "agent.h"

#include <stdio.h>
#include <time.h>

// A guest is at rest when its CPUs were idle for this share of the time, in this many windows one after the other.
#define WINDOW_MS 250
#define IDLE_PERCENT 85
#define WINDOWS 4
// One that never rests is saved as it is.
#define LONGEST_MS 20000

static bool settling;
static long long began_ms, window_ms;
static unsigned long long idle_before, all_before;
static int windows;

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void read_cpus(unsigned long long *idle, unsigned long long *all) {
  unsigned long long ticks[8] = {0};
  FILE *stat = fopen("/proc/stat", "re");
  *idle = *all = 0;
  if (!stat) return;
  if (fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4],
             &ticks[5], &ticks[6], &ticks[7]) == 8) {
    *idle = ticks[3] + ticks[4];
    for (int at = 0; at < 8; at++) *all += ticks[at];
  }
  fclose(stat);
}

void settle_begin(void) {
  settling = true;
  windows = 0;
  began_ms = window_ms = now_ms();
  read_cpus(&idle_before, &all_before);
}

bool settle_continues(void) {
  if (!settling) return false;
  long long now = now_ms();
  if (now - window_ms < WINDOW_MS) return true;
  unsigned long long idle, all;
  read_cpus(&idle, &all);
  bool rests = all > all_before && (idle - idle_before) * 100 >= (all - all_before) * IDLE_PERCENT;
  windows = rests ? windows + 1 : 0;
  window_ms = now;
  idle_before = idle;
  all_before = all;
  if (windows < WINDOWS && now - began_ms < LONGEST_MS) return true;
  settling = false;
  control_event("settled", windows < WINDOWS ? "never at rest" : "at rest");
  return false;
}
