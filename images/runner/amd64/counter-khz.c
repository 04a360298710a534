// Prints the rate of this machine's time stamp counter in kHz, measured against the raw monotonic clock.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define MEASURE_MS 100

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(void) {
  struct timespec wait = {.tv_nsec = MEASURE_MS * 1000000L};
  int64_t start_ns = now_ns();
  uint64_t start = __rdtsc();
  nanosleep(&wait, NULL);
  uint64_t ticks = __rdtsc() - start;
  int64_t elapsed_ns = now_ns() - start_ns;
  printf("%llu\n", (unsigned long long)((double)ticks * 1e6 / elapsed_ns + 0.5));
}
