// SPDX-License-Identifier: Apache-2.0
//
// What the files of the add-on share. The add-on moves batches of packets and sockets and knows no DNS; everything
// that decides lives in TypeScript. Only Node-API is used, so one build serves every Node version.

#ifndef MERIDIAN_H
#define MERIDIAN_H

#define _GNU_SOURCE
#include <netinet/in.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/** One client or listen address of either family; both shapes begin with the family. */
typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

/** Throws an Error whose `code` is the errno's name ("EADDRINUSE") and whose message is "CALL: text". */
napi_value throw_errno(napi_env env, const char *call, int error);

/** Throws a TypeError for arguments that the TypeScript side must never send. */
napi_value throw_type(napi_env env, const char *message);

/** Reads exactly `count` arguments; false after throwing. */
bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

/** Reads a whole number; false after throwing. */
bool read_int(napi_env env, napi_value value, int *result);

/** Reads a string of at most `size` - 1 bytes; false after throwing. */
bool read_string(napi_env env, napi_value value, char *result, size_t size);

/** A number as a JavaScript value. */
napi_value make_int(napi_env env, int64_t value);

/** Parses a numeric address (IPv6 with an optional %zone) and a port; false after throwing. */
bool parse_address(napi_env env, const char *text, int port, Address *result);

/** The length of the socket address for its family. */
socklen_t address_length(const Address *address);

/** Sets a function as property `name` of `target`. */
bool define(napi_env env, napi_value target, const char *name, napi_callback callback);

bool define_sockets(napi_env env, napi_value exports);
bool define_batch(napi_env env, napi_value exports);
bool define_handover(napi_env env, napi_value exports);
bool define_icmp(napi_env env, napi_value exports);
bool define_dial(napi_env env, napi_value exports);
bool define_memory(napi_env env, napi_value exports);
bool define_schedule(napi_env env, napi_value exports);
bool define_notify(napi_env env, napi_value exports);

#endif
