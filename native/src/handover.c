// SPDX-License-Identifier: Apache-2.0
//
// Passing open sockets to another process of the same user: SCM_RIGHTS over a Unix datagram socket (unix(7)). The
// receiver names a path; one datagram carries up to HANDOVER_FDS_MAX descriptors and no data but one byte. What the
// descriptors are is told elsewhere (the TypeScript side speaks JSON over a stream), in the same order.

#include "meridian.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  /** The kernel's limit is 253 (SCM_MAX_FD). */
  HANDOVER_FDS_MAX = 250,
};

typedef union {
  char bytes[CMSG_SPACE(HANDOVER_FDS_MAX * sizeof(int))];
  struct cmsghdr align;
} Rights;

static bool read_path(napi_env env, napi_value value, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  return read_string(env, value, address->sun_path, sizeof address->sun_path);
}

/** openHandover(path): fd of a non-blocking receiver that only this user can send to */
static napi_value open_handover(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct sockaddr_un address;
  if (!read_arguments(env, info, 1, &argument) || !read_path(env, argument, &address)) return NULL;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return throw_errno(env, "socket", errno);
  // The mode is set before bind(2) makes the file, so there is no moment at which others could send.
  if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, "bind", error);
  }
  return make_int(env, fd);
}

/** sendSockets(path, fds): sends descriptors in one datagram */
static napi_value send_sockets(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct sockaddr_un address;
  uint32_t count;
  if (!read_arguments(env, info, 2, arguments) || !read_path(env, arguments[0], &address)) return NULL;
  if (napi_get_array_length(env, arguments[1], &count) != napi_ok || count < 1 || count > HANDOVER_FDS_MAX) {
    return throw_type(env, "Cannot send sockets: expected 1 to 250 descriptors");
  }
  Rights rights = {0};
  char byte = 0;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_name = &address,
                           .msg_namelen = sizeof address,
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &rights,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  rights.align.cmsg_level = SOL_SOCKET;
  rights.align.cmsg_type = SCM_RIGHTS;
  rights.align.cmsg_len = CMSG_LEN(count * sizeof(int));
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    int fd;
    if (napi_get_element(env, arguments[1], i, &element) != napi_ok || !read_int(env, element, &fd)) return NULL;
    memcpy(CMSG_DATA(&rights.align) + i * sizeof fd, &fd, sizeof fd);
  }
  int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return throw_errno(env, "socket", errno);
  ssize_t sent = sendmsg(sender, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  int error = errno;
  close(sender);
  return sent < 0 ? throw_errno(env, "sendmsg", error) : NULL;
}

/** receiveSockets(fd): the descriptors of the next datagram, [] where none waits */
static napi_value receive_sockets(napi_env env, napi_callback_info info) {
  napi_value argument, list;
  int receiver;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &receiver)) return NULL;
  Rights rights;
  char byte;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
  if (napi_create_array(env, &list) != napi_ok) return NULL;
  if (recvmsg(receiver, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0) {
    return errno == EAGAIN ? list : throw_errno(env, "recvmsg", errno);
  }
  uint32_t index = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      napi_set_element(env, list, index++, make_int(env, fd));
    }
  }
  return list;
}

bool define_handover(napi_env env, napi_value exports) {
  return define(env, exports, "openHandover", open_handover) && define(env, exports, "sendSockets", send_sockets) &&
         define(env, exports, "receiveSockets", receive_sockets);
}
