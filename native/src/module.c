// SPDX-License-Identifier: Apache-2.0
//
// The entry of the add-on and the few conversions between JavaScript values and C that its files share.

#include "meridian.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/** The names that callers tell apart; any other errno is named by its number. */
static const struct {
  int error;
  const char *name;
} ERROR_NAMES[] = {
    {EACCES, "EACCES"},         {EADDRINUSE, "EADDRINUSE"},   {EADDRNOTAVAIL, "EADDRNOTAVAIL"},
    {EAFNOSUPPORT, "EAFNOSUPPORT"}, {EAGAIN, "EAGAIN"},       {EBADF, "EBADF"},
    {ECONNREFUSED, "ECONNREFUSED"}, {EEXIST, "EEXIST"},       {EHOSTUNREACH, "EHOSTUNREACH"},
    {EINVAL, "EINVAL"},         {EMFILE, "EMFILE"},           {EMSGSIZE, "EMSGSIZE"},
    {ENAMETOOLONG, "ENAMETOOLONG"}, {ENETUNREACH, "ENETUNREACH"}, {ENFILE, "ENFILE"},
    {ENOBUFS, "ENOBUFS"},       {ENOENT, "ENOENT"},           {ENOMEM, "ENOMEM"},
    {ENOTSOCK, "ENOTSOCK"},     {EPERM, "EPERM"},             {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
};

napi_value throw_errno(napi_env env, const char *call, int error) {
  char message[256];
  char number[16];
  const char *name = NULL;
  for (size_t i = 0; i < sizeof ERROR_NAMES / sizeof *ERROR_NAMES; i++) {
    if (ERROR_NAMES[i].error == error) name = ERROR_NAMES[i].name;
  }
  if (name == NULL) {
    snprintf(number, sizeof number, "E%d", error);
    name = number;
  }
  snprintf(message, sizeof message, "%s: %s", call, strerror(error));
  napi_throw_error(env, name, message);
  return NULL;
}

napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, NULL) == napi_ok && given == count) return true;
  throw_type(env, "Cannot call the add-on: the number of arguments is wrong");
  return false;
}

bool read_int(napi_env env, napi_value value, int *result) {
  if (napi_get_value_int32(env, value, result) == napi_ok) return true;
  throw_type(env, "Cannot call the add-on: expected a number");
  return false;
}

bool read_string(napi_env env, napi_value value, char *result, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) == napi_ok && length < size &&
      napi_get_value_string_utf8(env, value, result, size, &length) == napi_ok) {
    return true;
  }
  throw_type(env, "Cannot call the add-on: expected a shorter string");
  return false;
}

napi_value make_int(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

bool parse_address(napi_env env, const char *text, int port, Address *result) {
  memset(result, 0, sizeof *result);
  // Most addresses need nothing that is as slow as getaddrinfo, which is for IPv6 with a zone.
  if (inet_pton(AF_INET, text, &result->v4.sin_addr) == 1 && port >= 0 && port <= 65535) {
    result->v4.sin_family = AF_INET;
    result->v4.sin_port = htons((uint16_t)port);
    return true;
  }
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
  struct addrinfo *found = NULL;
  if (port < 0 || port > 65535 || getaddrinfo(text, service, &hints, &found) != 0) {
    throw_errno(env, "address", EINVAL);
    return false;
  }
  memcpy(result, found->ai_addr, found->ai_addrlen < sizeof *result ? found->ai_addrlen : sizeof *result);
  freeaddrinfo(found);
  return true;
}

socklen_t address_length(const Address *address) {
  return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

bool define(napi_env env, napi_value target, const char *name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) == napi_ok &&
         napi_set_named_property(env, target, name, function) == napi_ok;
}

NAPI_MODULE_INIT() {
  if (!define_sockets(env, exports) || !define_batch(env, exports) || !define_handover(env, exports) ||
      !define_icmp(env, exports) || !define_dial(env, exports) || !define_memory(env, exports) ||
      !define_schedule(env, exports) || !define_notify(env, exports)) {
    return throw_type(env, "Cannot set up the add-on");
  }
  return exports;
}
