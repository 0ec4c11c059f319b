// SPDX-License-Identifier: Apache-2.0
//
// Opening sockets. A descriptor belongs to the process, not to the thread that opened it: the main thread keeps every
// listening socket open, so a packet that waits in one outlives the worker that would have read it.

#include "meridian.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const int ON = 1;

static bool is_wildcard(const Address *address) {
  return address->any.sa_family == AF_INET ? address->v4.sin_addr.s_addr == htonl(INADDR_ANY)
                                           : IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
}

/** A socket option that only improves matters where the kernel has it. */
static void try_option(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

static bool set_common(int fd, const Address *address, bool reuse_port) {
  if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &ON, sizeof ON) != 0) return false;
  // IPv6 sockets never take IPv4 packets: each family has its own socket, and no address is ever a mapped one.
  return address->any.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &ON, sizeof ON) == 0;
}

static bool set_udp(int fd, const Address *address, int receive_buffer, int timeout_ms) {
  // Past rmem_max only with CAP_NET_ADMIN; without it the kernel silently gives its maximum.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0) {
    try_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  }
  struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) return false;
  bool v4 = address->any.sa_family == AF_INET;
  // Path MTU told by strangers is ignored: replies fit the smallest IPv6 MTU, and fragments can be forged.
  if (v4) {
    try_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  } else {
    try_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  }
  // Only a wildcard socket has to be told which address was asked; elsewhere the kernel knows the source.
  if (!is_wildcard(address)) return true;
  return v4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &ON, sizeof ON) == 0
            : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &ON, sizeof ON) == 0;
}

static napi_value fail(napi_env env, int fd, const char *call) {
  int error = errno;
  if (fd >= 0) close(fd);
  return throw_errno(env, call, error);
}

/** openUdp(address, port, reusePort, receiveBufferBytes, receiveTimeoutMs): fd */
static napi_value open_udp(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  int port, reuse_port, receive_buffer, timeout_ms;
  Address address;
  if (!read_arguments(env, info, 5, arguments) || !read_string(env, arguments[0], text, sizeof text) ||
      !read_int(env, arguments[1], &port) || !read_int(env, arguments[2], &reuse_port) ||
      !read_int(env, arguments[3], &receive_buffer) || !read_int(env, arguments[4], &timeout_ms) ||
      !parse_address(env, text, port, &address)) {
    return NULL;
  }
  int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, fd, "socket");
  if (!set_common(fd, &address, reuse_port != 0) || !set_udp(fd, &address, receive_buffer, timeout_ms)) {
    return fail(env, fd, "setsockopt");
  }
  if (bind(fd, &address.any, address_length(&address)) != 0) return fail(env, fd, "bind");
  return make_int(env, fd);
}

/** openTcp(address, port, reusePort, backlog): fd of a listening, non-blocking socket */
static napi_value open_tcp(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  int port, reuse_port, backlog;
  Address address;
  if (!read_arguments(env, info, 4, arguments) || !read_string(env, arguments[0], text, sizeof text) ||
      !read_int(env, arguments[1], &port) || !read_int(env, arguments[2], &reuse_port) ||
      !read_int(env, arguments[3], &backlog) || !parse_address(env, text, port, &address)) {
    return NULL;
  }
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(env, fd, "socket");
  try_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!set_common(fd, &address, reuse_port != 0)) return fail(env, fd, "setsockopt");
  if (bind(fd, &address.any, address_length(&address)) != 0) return fail(env, fd, "bind");
  if (listen(fd, backlog) != 0) return fail(env, fd, "listen");
  return make_int(env, fd);
}

/** duplicate(fd): another descriptor of the same socket, for an owner that will close it */
static napi_value duplicate(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? throw_errno(env, "fcntl", errno) : make_int(env, copy);
}

/** closeSocket(fd): idempotence is the caller's; a number may have been given to another file since */
static napi_value close_socket(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (close(fd) != 0 && errno != EINTR) return throw_errno(env, "close", errno);
  return NULL;
}

/** socketPort(fd): the port it is bound to, which the kernel chose where 0 was asked for */
static napi_value socket_port(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  Address address;
  socklen_t length = sizeof address;
  if (getsockname(fd, &address.any, &length) != 0) return throw_errno(env, "getsockname", errno);
  return make_int(env, ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port));
}

/** socketDrops(fd): packets that the kernel dropped because the socket's queue was full, since it was opened */
static napi_value socket_drops(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof memory;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0) return throw_errno(env, "getsockopt", errno);
  return make_int(env, memory[SK_MEMINFO_DROPS]);
}

/** describeSocket(fd): [protocol, address, port], protocol 0 for UDP and 1 for a TCP listener, -1 for anything else */
static napi_value describe_socket(napi_env env, napi_callback_info info) {
  napi_value argument, list, text_value;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  Address address;
  int type = 0;
  socklen_t length = sizeof address, type_length = sizeof type;
  if (getsockname(fd, &address.any, &length) != 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) != 0) {
    return throw_errno(env, "getsockname", errno);
  }
  char text[INET6_ADDRSTRLEN] = "";
  bool v4 = address.any.sa_family == AF_INET;
  bool internet = v4 || address.any.sa_family == AF_INET6;
  if (v4) inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
  if (internet && !v4) inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
  int protocol = !internet ? -1 : type == SOCK_DGRAM ? 0 : type == SOCK_STREAM ? 1 : -1;
  int port = !internet ? 0 : ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port);
  if (napi_create_array_with_length(env, 3, &list) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &text_value) != napi_ok) {
    return NULL;
  }
  napi_set_element(env, list, 0, make_int(env, protocol));
  napi_set_element(env, list, 1, text_value);
  napi_set_element(env, list, 2, make_int(env, port));
  return list;
}

/** adoptUdp(fd, receiveBufferBytes, receiveTimeoutMs): gives a bound socket from elsewhere what openUdp() gives its own */
static napi_value adopt_udp(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd, receive_buffer, timeout_ms;
  Address address;
  socklen_t length = sizeof address;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &receive_buffer) || !read_int(env, arguments[2], &timeout_ms)) {
    return NULL;
  }
  // A manager may have made it non-blocking; the turn loop of a single socket waits in recvmmsg.
  int flags = fcntl(fd, F_GETFL);
  if (getsockname(fd, &address.any, &length) != 0 || flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || !set_udp(fd, &address, receive_buffer, timeout_ms)) {
    return throw_errno(env, "adopt", errno);
  }
  return NULL;
}

bool define_sockets(napi_env env, napi_value exports) {
  return define(env, exports, "openUdp", open_udp) && define(env, exports, "openTcp", open_tcp) &&
         define(env, exports, "duplicate", duplicate) && define(env, exports, "closeSocket", close_socket) &&
         define(env, exports, "describeSocket", describe_socket) && define(env, exports, "adoptUdp", adopt_udp) &&
         define(env, exports, "socketPort", socket_port) && define(env, exports, "socketDrops", socket_drops);
}
