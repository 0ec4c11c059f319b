// SPDX-License-Identifier: Apache-2.0
//
// How the kernel shares a core between this thread and others.

#include "meridian.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/** As sched_setattr(2) has it; C libraries name it since lately only. */
typedef struct {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
} Attributes;

/**
 * setSlice(ns): the calling thread's slice under the fair policy, 100,000 to 100,000,000 ns (Linux 6.12; older kernels take and ignore
 * it). Who asks for a short one is let in soon after it wakes, before a thread in the middle of a longer one. Costs no fairness.
 */
static napi_value set_slice(napi_env env, napi_callback_info info) {
  napi_value value;
  int ns;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &ns)) return NULL;
  Attributes attributes;
  // The rest of them stays as it is, the nice value above all.
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) {
    return throw_errno(env, "sched_getattr", errno);
  }
  attributes.runtime = (uint64_t)ns;
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) return throw_errno(env, "sched_setattr", errno);
  return NULL;
}

/**
 * setPatience(isPatient): whether the calling thread, when it wakes, lets the thread that runs end its slice (SCHED_BATCH) or takes the
 * core from it at once where it may (SCHED_OTHER). Anybody may change that; the nice value stays.
 */
static napi_value set_patience(napi_env env, napi_callback_info info) {
  napi_value value;
  int is_patient;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &is_patient)) return NULL;
  struct sched_param none = {0};
  // Only who may raise priorities may take that flag back, so it stays.
  int flag = sched_getscheduler(0) & SCHED_RESET_ON_FORK;
  if (sched_setscheduler(0, (is_patient ? SCHED_BATCH : SCHED_OTHER) | flag, &none) != 0) {
    return throw_errno(env, "sched_setscheduler", errno);
  }
  return NULL;
}

/**
 * setUrgency(priority, thread): from 1 on, a thread of this process (0: the calling one) goes before every thread that shares its core
 * fairly, and before those of lower priority (SCHED_FIFO), which needs CAP_SYS_NICE or as high an RLIMIT_RTPRIO; with 0 it shares the core
 * fairly again. Threads and processes that it makes are no more urgent than others. The kernel leaves a twentieth of each second
 * to the others, whatever such a thread does.
 */
static napi_value set_urgency(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int priority, thread;
  if (!read_arguments(env, info, 2, values) || !read_int(env, values[0], &priority) ||
      !read_int(env, values[1], &thread)) {
    return NULL;
  }
  struct sched_param param = {.sched_priority = priority};
  int policy = priority > 0 ? SCHED_FIFO : SCHED_OTHER;
  // Only who may raise priorities may take this flag back, so it stays.
  if (sched_setscheduler(thread, policy | SCHED_RESET_ON_FORK, &param) != 0) {
    return throw_errno(env, "sched_setscheduler", errno);
  }
  return NULL;
}

bool define_schedule(napi_env env, napi_value exports) {
  return define(env, exports, "setSlice", set_slice) && define(env, exports, "setPatience", set_patience) &&
         define(env, exports, "setUrgency", set_urgency);
}
