// SPDX-License-Identifier: Apache-2.0
//
// TCP connections of health probes, many at a time, read in batches on the thread's own event loop:
//
//   connect ─► epoll set ─► libuv sees that the set is readable ─► one epoll_wait, one recv a socket ─► one call of JavaScript
//
//   event i:  events[i * 5 ..)   the caller's slot, what happened (bits), where its bytes begin in `bytes`, their number, an errno
//
// Sockets are edge-triggered and registered once. libuv has to watch the set, for which there is no Node-API but the loop itself
// (napi_get_uv_event_loop): its few functions are declared here, as their headers do not come with node-api-headers. They are
// part of an ABI that is stable through libuv 1, and the handle's size and kind are asked for at run time.

#include "meridian.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  EVENTS_MAX = 16,
  EVENT_FIELDS = 5,
  /** Bytes taken from a socket at a time; what is left comes with the next batch. */
  READ_MAX = 16384,
  /** Batches in one turn of the event loop. */
  BATCHES_MAX = 16,
  ADDRESS_TEXT = 64,
};

/** What happened to a connection. */
enum { WRITABLE = 1, BYTES = 2, ENDED = 4, FAILED = 8 };

typedef struct uv_poll_s uv_poll_t;
typedef void (*PollCallback)(uv_poll_t *handle, int status, int events);
typedef void (*CloseCallback)(uv_poll_t *handle);
enum { UV_POLL_KIND = 8, UV_READABLE_EVENT = 1 };
extern size_t uv_handle_size(int kind);
extern const char *uv_handle_type_name(int kind);
extern void *uv_handle_get_data(const uv_poll_t *handle);
extern void uv_handle_set_data(uv_poll_t *handle, void *data);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, PollCallback callback);
extern void uv_close(uv_poll_t *handle, CloseCallback callback);
extern void uv_unref(uv_poll_t *handle);

typedef struct {
  napi_env env;
  int epoll;
  bool is_closing;
  uv_poll_t *poll;
  int32_t *events;
  uint8_t *bytes;
  /** The object, which lives as long as the set is watched; its two buffers and the function that is called. */
  napi_ref references[4];
  napi_async_cleanup_hook_handle cleanup;
} Dialer;

enum { OBJECT, EVENTS_BUFFER, BYTES_BUFFER, CALLBACK, REFERENCES };

/** Takes what a socket has, READ_MAX bytes at most; returns what happened. */
static int32_t read_socket(Dialer *dialer, const struct epoll_event *event, int fd, uint8_t *target, int32_t *fields) {
  int32_t happened = 0;
  ssize_t length = recv(fd, target, READ_MAX, MSG_DONTWAIT);
  if (length > 0) {
    happened = BYTES;
    fields[3] = (int32_t)length;
    if (length == READ_MAX) {
      // An edge has passed with more to read: this makes another one.
      struct epoll_event again = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = event->data};
      (void)epoll_ctl(dialer->epoll, EPOLL_CTL_MOD, fd, &again);
      return happened;
    }
    // A short read has emptied the socket; only its end may be left.
    if ((event->events & (EPOLLRDHUP | EPOLLHUP)) == 0) return happened;
    char more;
    length = recv(fd, &more, 1, MSG_DONTWAIT | MSG_PEEK);
    if (length > 0) {
      struct epoll_event again = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = event->data};
      (void)epoll_ctl(dialer->epoll, EPOLL_CTL_MOD, fd, &again);
      return happened;
    }
  }
  if (length == 0) return happened | ENDED;
  if (errno == EAGAIN || errno == EINTR) return happened;
  fields[4] = errno;
  return happened | FAILED;
}

/** Describes one event; returns the number of bytes that came. */
static int32_t take_event(Dialer *dialer, const struct epoll_event *event, int32_t start, int32_t *fields) {
  int fd = (int)(event->data.u64 >> 32);
  fields[0] = (int32_t)(event->data.u64 & 0xffffffffU);
  fields[1] = (event->events & EPOLLOUT) != 0 ? WRITABLE : 0;
  fields[2] = start;
  fields[3] = 0;
  fields[4] = 0;
  if ((event->events & EPOLLERR) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
      fields[1] = FAILED;
      fields[4] = error;
      return 0;
    }
  }
  if ((event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) {
    fields[1] |= read_socket(dialer, event, fd, dialer->bytes + start, fields);
  }
  return fields[3];
}

/** Calls JavaScript with the number of events; what it throws is an uncaught exception there. */
static void tell(Dialer *dialer, int count) {
  napi_env env = dialer->env;
  napi_handle_scope scope;
  napi_value object, callback, argument, result, exception;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, dialer->references[OBJECT], &object) == napi_ok &&
      napi_get_reference_value(env, dialer->references[CALLBACK], &callback) == napi_ok &&
      napi_create_int32(env, count, &argument) == napi_ok &&
      napi_make_callback(env, NULL, object, callback, 1, &argument, &result) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
    napi_fatal_exception(env, exception);
  }
  napi_close_handle_scope(env, scope);
}

static void on_readable(uv_poll_t *handle, int status, int happened) {
  (void)status;
  (void)happened;
  Dialer *dialer = uv_handle_get_data(handle);
  for (int batch = 0; batch < BATCHES_MAX && !dialer->is_closing; batch++) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(dialer->epoll, events, EVENTS_MAX, 0);
    if (count <= 0) return;
    int32_t used = 0;
    for (int i = 0; i < count; i++) used += take_event(dialer, &events[i], used, dialer->events + i * EVENT_FIELDS);
    tell(dialer, count);
    if (count < EVENTS_MAX) return;
  }
}

/** connect(slot, address, port): the descriptor, or −errno */
static napi_value dial(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t given = 3;
  void *data = NULL;
  int slot, port;
  char text[ADDRESS_TEXT];
  Address address;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, &data) != napi_ok || given != 3) {
    return throw_type(env, "Cannot connect: expected a slot, an address and a port");
  }
  Dialer *dialer = data;
  if (!read_int(env, arguments[0], &slot) || !read_string(env, arguments[1], text, sizeof text) ||
      !read_int(env, arguments[2], &port) || !parse_address(env, text, port, &address)) {
    return NULL;
  }
  if (dialer->is_closing) return make_int(env, -EBADF);
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return make_int(env, -errno);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              .data.u64 = (uint64_t)(uint32_t)fd << 32 | (uint32_t)slot};
  if ((connect(fd, &address.any, address_length(&address)) != 0 && errno != EINPROGRESS) ||
      epoll_ctl(dialer->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    int error = errno;
    close(fd);
    return make_int(env, -error);
  }
  return make_int(env, fd);
}

/** send(fd, bytes): how many of them were taken, or −errno */
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  void *bytes;
  size_t length;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd)) return NULL;
  if (napi_get_typedarray_info(env, arguments[1], NULL, &length, &bytes, NULL, NULL) != napi_ok) {
    return throw_type(env, "Cannot send: expected bytes");
  }
  ssize_t sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return make_int(env, errno == EAGAIN || errno == EINTR ? 0 : -errno);
  return make_int(env, sent);
}

/** hangUp(fd, reset): closes; with a reset nothing of the connection is left at either end */
static napi_value hang_up(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd, reset;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &reset)) {
    return NULL;
  }
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (reset != 0) (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
  return NULL;
}

static void on_closed(uv_poll_t *handle) {
  Dialer *dialer = uv_handle_get_data(handle);
  close(dialer->epoll);
  free(dialer->poll);
  dialer->poll = NULL;
  napi_handle_scope scope;
  if (napi_open_handle_scope(dialer->env, &scope) == napi_ok) {
    for (int i = 0; i < REFERENCES; i++) napi_delete_reference(dialer->env, dialer->references[i]);
    napi_close_handle_scope(dialer->env, scope);
  }
  // The object may be collected from now on, and the dialer with it.
  napi_remove_async_cleanup_hook(dialer->cleanup);
}

static void stop_watching(Dialer *dialer) {
  if (dialer->is_closing) return;
  dialer->is_closing = true;
  uv_close(dialer->poll, on_closed);
}

/** stop(): no event comes from now on; descriptors stay the caller's to close */
static napi_value stop(napi_env env, napi_callback_info info) {
  void *data = NULL;
  if (napi_get_cb_info(env, info, NULL, NULL, NULL, &data) == napi_ok) stop_watching(data);
  return NULL;
}

/** The thread ends. */
static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  stop_watching(data);
}

static void free_dialer(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

static bool share(Dialer *dialer, napi_value object, int reference, const char *name, size_t size, void **memory) {
  napi_value buffer;
  return napi_create_arraybuffer(dialer->env, size, memory, &buffer) == napi_ok &&
         napi_create_reference(dialer->env, buffer, 1, &dialer->references[reference]) == napi_ok &&
         napi_set_named_property(dialer->env, object, name, buffer) == napi_ok;
}

static bool add_function(napi_env env, napi_value object, const char *name, napi_callback callback, void *data) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function) == napi_ok &&
         napi_set_named_property(env, object, name, function) == napi_ok;
}

static bool fill(Dialer *dialer, napi_value object, napi_value callback) {
  napi_env env = dialer->env;
  return share(dialer, object, EVENTS_BUFFER, "events", EVENTS_MAX * EVENT_FIELDS * sizeof(int32_t),
               (void **)&dialer->events) &&
         share(dialer, object, BYTES_BUFFER, "bytes", (size_t)EVENTS_MAX * READ_MAX, (void **)&dialer->bytes) &&
         add_function(env, object, "connect", dial, dialer) && add_function(env, object, "send", send_bytes, dialer) &&
         add_function(env, object, "hangUp", hang_up, dialer) && add_function(env, object, "stop", stop, dialer) &&
         napi_create_reference(env, callback, 1, &dialer->references[CALLBACK]) == napi_ok &&
         napi_create_reference(env, object, 1, &dialer->references[OBJECT]) == napi_ok;
}

/** Watches the set from this thread's event loop, which it does not keep running; 0 or an errno. */
static int watch(Dialer *dialer) {
  struct uv_loop_s *loop = NULL;
  if (strcmp(uv_handle_type_name(UV_POLL_KIND), "poll") != 0) return ENOTSUP;
  dialer->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (dialer->epoll < 0) return errno;
  dialer->poll = calloc(1, uv_handle_size(UV_POLL_KIND));
  if (dialer->poll == NULL || napi_get_uv_event_loop(dialer->env, &loop) != napi_ok) return ENOMEM;
  int error = uv_poll_init(loop, dialer->poll, dialer->epoll);
  if (error != 0) return -error;
  uv_handle_set_data(dialer->poll, dialer);
  uv_unref(dialer->poll);
  return 0;
}

/** openDialer(onEvents): {events, bytes, connect, send, hangUp, stop} */
static napi_value open_dialer(napi_env env, napi_callback_info info) {
  napi_value callback, object;
  if (!read_arguments(env, info, 1, &callback)) return NULL;
  Dialer *dialer = calloc(1, sizeof *dialer);
  if (dialer == NULL) return throw_errno(env, "calloc", ENOMEM);
  dialer->env = env;
  dialer->epoll = -1;
  int error = watch(dialer);
  if (error != 0) {
    if (dialer->epoll >= 0) close(dialer->epoll);
    free(dialer->poll);
    free(dialer);
    return throw_errno(env, "openDialer", error);
  }
  if (napi_add_async_cleanup_hook(env, on_cleanup, dialer, &dialer->cleanup) != napi_ok ||
      napi_create_object(env, &object) != napi_ok ||
      napi_add_finalizer(env, object, dialer, free_dialer, NULL, NULL) != napi_ok || !fill(dialer, object, callback) ||
      uv_poll_start(dialer->poll, UV_READABLE_EVENT, on_readable) != 0) {
    // Without memory this thread does not go on; what was made so far ends with it.
    return throw_errno(env, "openDialer", ENOMEM);
  }
  return object;
}

bool define_dial(napi_env env, napi_value exports) { return define(env, exports, "openDialer", open_dialer); }
