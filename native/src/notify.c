// SPDX-License-Identifier: Apache-2.0
//
// A word to a service manager: one datagram to its Unix socket (sd_notify(3)), which Node.js cannot send.

#include "meridian.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  /** Ours are a line of a few words. */
  MESSAGE_BYTES_MAX = 1024,
};

/** notifyManager(path, message): a path that begins with @ is in the abstract namespace (unix(7)) */
static napi_value notify_manager(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char message[MESSAGE_BYTES_MAX];
  if (!read_arguments(env, info, 2, arguments) ||
      !read_string(env, arguments[0], address.sun_path, sizeof address.sun_path) ||
      !read_string(env, arguments[1], message, sizeof message)) {
    return NULL;
  }
  // The name of an abstract socket has no end of its own: the length says where it ends.
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + (socklen_t)strlen(address.sun_path);
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;
  else length++;
  int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return throw_errno(env, "socket", errno);
  ssize_t sent =
      sendto(sender, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, length);
  int error = errno;
  close(sender);
  return sent < 0 ? throw_errno(env, "sendto", error) : NULL;
}

bool define_notify(napi_env env, napi_value exports) {
  return define(env, exports, "notifyManager", notify_manager);
}
