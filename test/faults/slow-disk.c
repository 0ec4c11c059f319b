// SPDX-License-Identifier: Apache-2.0

// Preloaded into a process, this makes its disk slow: fsync and fdatasync wait for as many milliseconds as stand in the file that
// SLOW_DISK_MS_FILE names, each time anew.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_as_told(void) {
  const char *path = getenv("SLOW_DISK_MS_FILE");
  FILE *file = path == NULL ? NULL : fopen(path, "re");
  long milliseconds = 0;
  if (file == NULL) return;
  if (fscanf(file, "%ld", &milliseconds) != 1 || milliseconds < 0 || milliseconds > 60000) milliseconds = 0;
  fclose(file);
  struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  while (rest.tv_sec + rest.tv_nsec > 0 && nanosleep(&rest, &rest) != 0) continue;
}

int fsync(int descriptor) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_as_told();
  return real(descriptor);
}

int fdatasync(int descriptor) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_as_told();
  return real(descriptor);
}
