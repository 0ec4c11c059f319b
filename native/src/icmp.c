// SPDX-License-Identifier: Apache-2.0
//
// ICMP echo (RFC 792, RFC 4443 section 4) for health probes. The kernel's ping sockets (SOCK_DGRAM, allowed by
// net.ipv4.ping_group_range) are tried first, then raw sockets (CAP_NET_RAW). Building and reading messages is done in
// TypeScript; this file opens the socket, sends, and waits for replies on a thread of libuv's pool.

#include "meridian.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  /** Replies taken in one wait, and the bytes kept of each: an IPv4 header with options and an echo of 64 bytes. */
  REPLIES_MAX = 64,
  REPLY_SIZE = 128,
};

/** Replies of other programs' pings do not have to wake this process: raw sockets take echo replies only. */
static void filter_raw(int fd, int family) {
  if (family == AF_INET) {
    uint32_t blocked = ~(1U << ICMP_ECHOREPLY);
    (void)setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &blocked, sizeof blocked);
  } else {
    struct icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    (void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
}

/** openIcmp(family: 4 | 6): {fd, raw} */
static napi_value open_icmp(napi_env env, napi_callback_info info) {
  napi_value argument, result, raw_value;
  int version;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &version)) return NULL;
  int family = version == 4 ? AF_INET : AF_INET6;
  int protocol = version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  bool raw = false;
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) {
    raw = true;
    fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  }
  if (fd < 0) return throw_errno(env, "socket", errno);
  if (raw) filter_raw(fd, family);
  if (napi_create_object(env, &result) != napi_ok || napi_get_boolean(env, raw, &raw_value) != napi_ok ||
      napi_set_named_property(env, result, "fd", make_int(env, fd)) != napi_ok ||
      napi_set_named_property(env, result, "raw", raw_value) != napi_ok) {
    close(fd);
    return NULL;
  }
  return result;
}

/** sendIcmp(fd, address, message: ArrayBuffer) */
static napi_value send_icmp(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd;
  char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  Address address;
  void *message;
  size_t length;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_string(env, arguments[1], text, sizeof text) || !parse_address(env, text, 0, &address)) {
    return NULL;
  }
  if (napi_get_arraybuffer_info(env, arguments[2], &message, &length) != napi_ok) {
    return throw_type(env, "Cannot send an echo request: expected an ArrayBuffer");
  }
  ssize_t sent = sendto(fd, message, length, MSG_DONTWAIT, &address.any, address_length(&address));
  return sent < 0 ? throw_errno(env, "sendto", errno) : NULL;
}

typedef struct {
  int fd;
  int timeout_ms;
  int count;
  int length[REPLIES_MAX];
  uint8_t bytes[REPLIES_MAX][REPLY_SIZE];
  napi_async_work work;
  napi_deferred deferred;
} Wait;

/** On a pool thread: waits for the first reply, then takes what else is there. */
static void wait_for_replies(napi_env env, void *data) {
  (void)env;
  Wait *wait = data;
  struct pollfd readable = {.fd = wait->fd, .events = POLLIN};
  if (poll(&readable, 1, wait->timeout_ms) <= 0) return;
  while (wait->count < REPLIES_MAX) {
    ssize_t length = recv(wait->fd, wait->bytes[wait->count], REPLY_SIZE, MSG_DONTWAIT);
    if (length < 0) return;
    wait->length[wait->count++] = (int)length;
  }
}

static void resolve_replies(napi_env env, napi_status status, void *data) {
  (void)status;
  Wait *wait = data;
  napi_value list;
  napi_create_array_with_length(env, (size_t)wait->count, &list);
  for (int i = 0; i < wait->count; i++) {
    void *memory = NULL;
    napi_value buffer;
    if (napi_create_arraybuffer(env, (size_t)wait->length[i], &memory, &buffer) != napi_ok) continue;
    memcpy(memory, wait->bytes[i], (size_t)wait->length[i]);
    napi_set_element(env, list, (uint32_t)i, buffer);
  }
  napi_resolve_deferred(env, wait->deferred, list);
  napi_delete_async_work(env, wait->work);
  free(wait);
}

/** receiveIcmp(fd, timeoutMs): Promise of the messages that came, [] after the time-out */
static napi_value receive_icmp(napi_env env, napi_callback_info info) {
  napi_value arguments[2], promise, name;
  int fd, timeout_ms;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &timeout_ms)) {
    return NULL;
  }
  Wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) return throw_errno(env, "calloc", ENOMEM);
  wait->fd = fd;
  wait->timeout_ms = timeout_ms;
  if (napi_create_promise(env, &wait->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "receiveIcmp", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, wait_for_replies, resolve_replies, wait, &wait->work) != napi_ok ||
      napi_queue_async_work(env, wait->work) != napi_ok) {
    free(wait);
    return throw_errno(env, "receiveIcmp", ENOMEM);
  }
  return promise;
}

bool define_icmp(napi_env env, napi_value exports) {
  return define(env, exports, "openIcmp", open_icmp) && define(env, exports, "sendIcmp", send_icmp) &&
         define(env, exports, "receiveIcmp", receive_icmp);
}
