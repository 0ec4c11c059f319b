// SPDX-License-Identifier: Apache-2.0
//
// A batch: the packets of one turn, in memory that C and JavaScript share for the life of a worker.
//
//   slot i:  input  [i * input_stride ..)    the query, where the kernel put it
//            output [i * output_stride ..)   the answer, where the kernel takes it
//            sources[i * 28 ..)              the client's sockaddr_in or sockaddr_in6, as the kernel wrote it
//            meta   input length, output length, offset of the client's address in `sources`, its family (4, 6)
//
// One call, turn(sendCount, mode), sends the answers of the previous turn with one sendmmsg and takes the next
// queries with one recvmmsg that waits for the first of them (MSG_WAITFORONE, at most the socket's receive time-out).
// With several sockets an epoll set says which to read; with exactly one the poll is left out, since it would cost a
// system call a turn. Nothing here allocates after createBatch, loops without bound, or looks into a packet.
//
// A reply leaves from the address that was asked: a wildcard socket has IP_PKTINFO (IPV6_RECVPKTINFO) on, and the
// control message that came with the query goes back with its answer, without the interface so that routing decides.

#include "meridian.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  BATCH_SIZE_MAX = 1024,
  SOCKETS_MAX = 1024,
  /** What a packet's control messages need: one in_pktinfo or in6_pktinfo. */
  CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)),
  SOURCE_STRIDE = sizeof(struct sockaddr_in6),
  /** A full send queue is waited for this often a turn, so a dead link cannot hold a worker. */
  SEND_WAITS_MAX = 4,
  SEND_WAIT_MS = 5,
  EPOLL_WAIT_MS = 50,
  EPOLL_EVENTS = 64,
};

/** turn()'s second argument. */
enum { MODE_WAIT = 0, MODE_POLL = 1, MODE_SEND = 2 };

/** Offsets in `stats`. */
enum { STAT_SEND_DROPPED, STAT_TRUNCATED, STAT_RECEIVE_ERRORS, STAT_COUNT };

typedef union {
  char bytes[CONTROL_SIZE];
  struct cmsghdr align;
} Control;

typedef struct {
  int *fds;
  int epoll;
  uint32_t fd_count;
  uint32_t next_fd;
  int size;
  int output_stride;
  uint8_t *output;
  uint8_t *sources;
  int32_t *input_length;
  int32_t *output_length;
  int32_t *source_start;
  int32_t *family;
  double *stats;
  Control *control;
  size_t *control_length;
  uint16_t *socket_of;
  struct mmsghdr *in;
  struct iovec *in_vector;
  struct mmsghdr *out;
  struct iovec *out_vector;
  /** Packets that the kernel had lost when it was asked last. */
  uint64_t lost;
  napi_ref buffers[5];
} Batch;

/** What an answer that comes later than its turn needs of its query. */
typedef struct {
  struct sockaddr_in6 source;
  Control control;
  size_t control_length;
  uint16_t socket;
  bool is_v4;
} Held;

/** Makes the control message of a query fit to be sent with its answer; 0 where none may be. */
static size_t reply_control(Control *control, size_t length) {
  if (length < sizeof(struct cmsghdr)) return 0;
  struct cmsghdr *header = &control->align;
  if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
    ((struct in_pktinfo *)CMSG_DATA(header))->ipi_ifindex = 0;
    return length;
  }
  if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
    struct in6_pktinfo *packet = (struct in6_pktinfo *)CMSG_DATA(header);
    if (IN6_IS_ADDR_MULTICAST(&packet->ipi6_addr)) return 0;
    if (!IN6_IS_ADDR_LINKLOCAL(&packet->ipi6_addr)) packet->ipi6_ifindex = 0;
    return length;
  }
  return 0;
}

/** Sends `count` prepared messages. Each call of sendmmsg moves on by at least one message or waits, boundedly. */
static void flush_socket(Batch *batch, int fd, int count) {
  int done = 0;
  int waits = 0;
  while (done < count) {
    int sent = sendmmsg(fd, batch->out + done, (unsigned)(count - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += sent;
    } else if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
      if (waits++ == SEND_WAITS_MAX) break;
      struct pollfd writable = {.fd = fd, .events = POLLOUT};
      (void)poll(&writable, 1, SEND_WAIT_MS);
    } else {
      // This one message cannot be sent (a client at port 0, a firewall, no route); the next may.
      done++;
      batch->stats[STAT_SEND_DROPPED]++;
    }
  }
  batch->stats[STAT_SEND_DROPPED] += count - done;
}

/** Sends what the handler wrote for slots 0 to `count` - 1, a run of slots of the same socket at a time. */
static void send_answers(Batch *batch, int count) {
  int prepared = 0;
  int socket = -1;
  for (int i = 0; i < count; i++) {
    int length = batch->output_length[i];
    if (length <= 0 || length > batch->output_stride) continue;
    if (batch->socket_of[i] != socket) {
      if (prepared > 0) flush_socket(batch, batch->fds[socket], prepared);
      prepared = 0;
      socket = batch->socket_of[i];
    }
    struct iovec *vector = &batch->out_vector[prepared];
    vector->iov_base = batch->output + (size_t)i * (size_t)batch->output_stride;
    vector->iov_len = (size_t)length;
    size_t control_length = reply_control(&batch->control[i], batch->control_length[i]);
    struct msghdr *header = &batch->out[prepared].msg_hdr;
    header->msg_name = batch->sources + (size_t)i * SOURCE_STRIDE;
    header->msg_namelen = batch->family[i] == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    header->msg_control = control_length == 0 ? NULL : &batch->control[i];
    header->msg_controllen = control_length;
    prepared++;
  }
  if (prepared > 0) flush_socket(batch, batch->fds[socket], prepared);
}

/** Takes packets from one socket into the slots from `first` on; the number taken, or -1 with errno. */
static int receive(Batch *batch, uint32_t socket, int first, int flags) {
  int count = recvmmsg(batch->fds[socket], batch->in + first, (unsigned)(batch->size - first), flags, NULL);
  for (int i = first; i < first + count; i++) {
    struct msghdr *header = &batch->in[i].msg_hdr;
    bool truncated = (header->msg_flags & MSG_TRUNC) != 0;
    if (truncated) batch->stats[STAT_TRUNCATED]++;
    bool v4 = ((struct sockaddr *)header->msg_name)->sa_family == AF_INET;
    batch->input_length[i] = truncated ? 0 : (int32_t)batch->in[i].msg_len;
    batch->family[i] = v4 ? 4 : 6;
    batch->source_start[i] = i * SOURCE_STRIDE + (int)(v4 ? offsetof(struct sockaddr_in, sin_addr)
                                                          : offsetof(struct sockaddr_in6, sin6_addr));
    batch->control_length[i] = (header->msg_flags & MSG_CTRUNC) != 0 ? 0 : header->msg_controllen;
    batch->socket_of[i] = (uint16_t)socket;
    // The kernel writes these; only the slots that it used have to be set again.
    header->msg_namelen = SOURCE_STRIDE;
    header->msg_controllen = CONTROL_SIZE;
  }
  return count;
}

/** What a failed receive means: nothing to read is no error, a socket that is none is a programmer's. */
static int receive_failed(Batch *batch, int error) {
  if (error == EAGAIN || error == EINTR) return 0;
  if (error == EBADF || error == ENOTSOCK || error == EFAULT || error == EINVAL) return -error;
  batch->stats[STAT_RECEIVE_ERRORS]++;
  return 0;
}

/** Fills the batch from every socket that has packets, beginning after the one that was first in the turn before. */
static int receive_ready(Batch *batch, int mode) {
  struct epoll_event events[EPOLL_EVENTS];
  int ready = epoll_wait(batch->epoll, events, EPOLL_EVENTS, mode == MODE_WAIT ? EPOLL_WAIT_MS : 0);
  if (ready < 0) return receive_failed(batch, errno);
  int total = 0;
  for (int i = 0; i < ready && total < batch->size; i++) {
    uint32_t socket = events[(batch->next_fd + (uint32_t)i) % (uint32_t)ready].data.u32;
    int count = receive(batch, socket, total, MSG_DONTWAIT);
    if (count >= 0) {
      total += count;
    } else {
      int failed = receive_failed(batch, errno);
      if (failed < 0) return failed;
    }
  }
  batch->next_fd++;
  return total;
}

/** turn(sendCount, mode): the number of packets now in the batch */
static napi_value turn(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t given = 2;
  void *data = NULL;
  int send_count, mode;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, &data) != napi_ok || given != 2 || data == NULL) {
    return throw_type(env, "Cannot take a turn: expected a count and a mode");
  }
  Batch *batch = data;
  if (!read_int(env, arguments[0], &send_count) || !read_int(env, arguments[1], &mode)) return NULL;
  send_answers(batch, send_count < batch->size ? send_count : batch->size);
  if (mode == MODE_SEND) return make_int(env, 0);
  int count;
  if (batch->fd_count == 1) {
    count = receive(batch, 0, 0, mode == MODE_WAIT ? MSG_WAITFORONE : MSG_DONTWAIT);
    if (count < 0) count = receive_failed(batch, errno);
  } else {
    count = receive_ready(batch, mode);
  }
  if (count < 0) return throw_errno(env, "recvmmsg", -count);
  napi_value result = NULL;
  napi_create_int32(env, count, &result);
  return result;
}

/** hold(slot): bytes by which reply() sends the answer to a packet of this turn after it */
static napi_value hold(napi_env env, napi_callback_info info) {
  napi_value slot, result = NULL;
  size_t given = 1;
  void *data = NULL, *memory = NULL;
  int i;
  if (napi_get_cb_info(env, info, &given, &slot, NULL, &data) != napi_ok || given != 1 || data == NULL) {
    return throw_type(env, "Cannot hold a packet: expected its slot");
  }
  Batch *batch = data;
  if (!read_int(env, slot, &i)) return NULL;
  if (i < 0 || i >= batch->size) return throw_type(env, "Cannot hold a packet: there is no such slot");
  if (napi_create_arraybuffer(env, sizeof(Held), &memory, &result) != napi_ok) return NULL;
  Held held = {.control = batch->control[i],
               .control_length = batch->control_length[i],
               .socket = batch->socket_of[i],
               .is_v4 = batch->family[i] == 4};
  memcpy(&held.source, batch->sources + (size_t)i * SOURCE_STRIDE, SOURCE_STRIDE);
  memcpy(memory, &held, sizeof held);
  return result;
}

/** reply(held, bytes): sends one answer; one that cannot be sent is counted as dropped */
static napi_value reply(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t given = 2, held_size = 0, length = 0;
  void *data = NULL, *memory = NULL, *bytes = NULL;
  napi_typedarray_type type;
  Held held;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, &data) != napi_ok || given != 2 || data == NULL ||
      napi_get_arraybuffer_info(env, arguments[0], &memory, &held_size) != napi_ok || held_size != sizeof held ||
      napi_get_typedarray_info(env, arguments[1], &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    return throw_type(env, "Cannot reply: expected what hold() gave, and bytes");
  }
  Batch *batch = data;
  memcpy(&held, memory, sizeof held);
  if (held.socket >= batch->fd_count) return throw_type(env, "Cannot reply: the packet is of another batch");
  size_t control_length = reply_control(&held.control, held.control_length);
  struct iovec vector = {.iov_base = bytes, .iov_len = length};
  struct msghdr header = {.msg_name = &held.source,
                          .msg_namelen = held.is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
                          .msg_iov = &vector,
                          .msg_iovlen = 1,
                          .msg_control = control_length == 0 ? NULL : &held.control,
                          .msg_controllen = control_length};
  if (sendmsg(batch->fds[held.socket], &header, MSG_DONTWAIT) < 0) batch->stats[STAT_SEND_DROPPED]++;
  return NULL;
}

/** pressure(): thousandths of the fullest receive buffer; -1 less those where packets were lost since it was asked last */
static napi_value pressure(napi_env env, napi_callback_info info) {
  size_t given = 0;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &given, NULL, NULL, &data) != napi_ok || data == NULL) {
    return throw_type(env, "Cannot look at the sockets: expected a batch");
  }
  Batch *batch = data;
  uint64_t lost = 0, fullest = 0;
  for (uint32_t i = 0; i < batch->fd_count; i++) {
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    if (getsockopt(batch->fds[i], SOL_SOCKET, SO_MEMINFO, memory, &size) != 0 || memory[SK_MEMINFO_RCVBUF] == 0) continue;
    lost += memory[SK_MEMINFO_DROPS];
    uint64_t fill = memory[SK_MEMINFO_RMEM_ALLOC] * 1000ull / memory[SK_MEMINFO_RCVBUF];
    if (fill > fullest) fullest = fill;
  }
  bool is_losing = lost != batch->lost;
  batch->lost = lost;
  return make_int(env, is_losing ? -1 - (int)fullest : (int)fullest);
}

static bool detach_filter(int fd) {
  int unused = 0; // The kernel wants one all the same.
  return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) == 0 || errno == ENOENT;
}

static bool attach_filter(int fd, const struct sock_fprog *program) {
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof *program) == 0) return true;
  // The kernel counts both while one takes the other's place (net.core.optmem_max): there may be room for one.
  return errno == ENOMEM && detach_filter(fd) && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof *program) == 0;
}

static bool detach_filters(Batch *batch) {
  bool are_off = true;
  for (uint32_t i = 0; i < batch->fd_count; i++) are_off = detach_filter(batch->fds[i]) && are_off;
  return are_off;
}

/** Puts a filter on the sockets, or takes it off where it is empty; false where the kernel wants none: then no socket has one. */
static bool set_filter(Batch *batch, struct sock_filter *code, size_t count) {
  if (count == 0) return detach_filters(batch);
  struct sock_fprog program = {.len = (unsigned short)count, .filter = code};
  for (uint32_t i = 0; i < batch->fd_count; i++) {
    if (attach_filter(batch->fds[i], &program)) continue;
    detach_filters(batch);
    return false;
  }
  return true;
}

/** filter(program): has the kernel drop packets for which it says 0, before they are queued; an empty one ends that. 1 where it does so */
static napi_value filter(napi_env env, napi_callback_info info) {
  napi_value program;
  size_t given = 1, length = 0;
  void *data = NULL, *bytes = NULL;
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &given, &program, NULL, &data) != napi_ok || given != 1 || data == NULL ||
      napi_get_typedarray_info(env, program, &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_uint8_array || length % sizeof(struct sock_filter) != 0 ||
      length > BPF_MAXINSNS * sizeof(struct sock_filter)) {
    return throw_type(env, "Cannot filter packets: expected a program");
  }
  return make_int(env, set_filter(data, bytes, length / sizeof(struct sock_filter)) ? 1 : 0);
}

static void free_batch(napi_env env, void *data, void *hint) {
  (void)hint;
  Batch *batch = data;
  for (size_t i = 0; i < sizeof batch->buffers / sizeof *batch->buffers; i++) {
    if (batch->buffers[i] != NULL) napi_delete_reference(env, batch->buffers[i]);
  }
  if (batch->epoll >= 0) close(batch->epoll);
  free(batch->fds);
  free(batch->control);
  free(batch->control_length);
  free(batch->socket_of);
  free(batch->in);
  free(batch->in_vector);
  free(batch->out);
  free(batch->out_vector);
  free(batch);
}

/** A buffer that lives as long as the batch, set as property `name` of `target`. */
static uint8_t *share_buffer(napi_env env, napi_value target, const char *name, size_t size, napi_ref *reference) {
  void *memory = NULL;
  napi_value buffer;
  if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok ||
      napi_create_reference(env, buffer, 1, reference) != napi_ok ||
      napi_set_named_property(env, target, name, buffer) != napi_ok) {
    return NULL;
  }
  memset(memory, 0, size);
  return memory;
}

static bool allocate(Batch *batch) {
  size_t size = (size_t)batch->size;
  batch->control = calloc(size, sizeof *batch->control);
  batch->control_length = calloc(size, sizeof *batch->control_length);
  batch->socket_of = calloc(size, sizeof *batch->socket_of);
  batch->in = calloc(size, sizeof *batch->in);
  batch->in_vector = calloc(size, sizeof *batch->in_vector);
  batch->out = calloc(size, sizeof *batch->out);
  batch->out_vector = calloc(size, sizeof *batch->out_vector);
  return batch->control && batch->control_length && batch->socket_of && batch->in && batch->in_vector &&
         batch->out && batch->out_vector;
}

static bool share_buffers(napi_env env, napi_value object, Batch *batch, int input_stride) {
  size_t size = (size_t)batch->size;
  uint8_t *input = share_buffer(env, object, "input", size * (size_t)input_stride, &batch->buffers[0]);
  batch->output = share_buffer(env, object, "output", size * (size_t)batch->output_stride, &batch->buffers[1]);
  batch->sources = share_buffer(env, object, "sources", size * SOURCE_STRIDE, &batch->buffers[2]);
  uint8_t *meta = share_buffer(env, object, "meta", size * 4 * sizeof(int32_t), &batch->buffers[3]);
  uint8_t *stats = share_buffer(env, object, "stats", STAT_COUNT * sizeof(double), &batch->buffers[4]);
  if (!input || !batch->output || !batch->sources || !meta || !stats) return false;
  batch->input_length = (int32_t *)meta;
  batch->output_length = batch->input_length + size;
  batch->source_start = batch->output_length + size;
  batch->family = batch->source_start + size;
  batch->stats = (double *)stats;
  for (size_t i = 0; i < size; i++) {
    batch->in_vector[i] = (struct iovec){.iov_base = input + i * (size_t)input_stride, .iov_len = (size_t)input_stride};
    batch->in[i].msg_hdr = (struct msghdr){.msg_name = batch->sources + i * SOURCE_STRIDE,
                                           .msg_namelen = SOURCE_STRIDE,
                                           .msg_iov = &batch->in_vector[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &batch->control[i],
                                           .msg_controllen = CONTROL_SIZE};
    batch->out[i].msg_hdr = (struct msghdr){.msg_iov = &batch->out_vector[i], .msg_iovlen = 1};
  }
  return true;
}

/** Copies the descriptors and, where there are several, watches them; 0 or an errno. */
static int bind_sockets(napi_env env, Batch *batch, napi_value list) {
  batch->fds = calloc(batch->fd_count, sizeof *batch->fds);
  if (batch->fds == NULL) return ENOMEM;
  for (uint32_t i = 0; i < batch->fd_count; i++) {
    napi_value element;
    if (napi_get_element(env, list, i, &element) != napi_ok ||
        napi_get_value_int32(env, element, &batch->fds[i]) != napi_ok) {
      return EINVAL;
    }
  }
  if (batch->fd_count == 1) return 0;
  batch->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (batch->epoll < 0) return errno;
  for (uint32_t i = 0; i < batch->fd_count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(batch->epoll, EPOLL_CTL_ADD, batch->fds[i], &event) != 0) return errno;
  }
  return 0;
}

static bool share_function(napi_env env, napi_value object, const char *name, napi_callback callback, Batch *batch) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, batch, &function) == napi_ok &&
         napi_set_named_property(env, object, name, function) == napi_ok;
}

/** createBatch(fds, size, inputStride, outputStride): {input, output, sources, meta, stats, turn, hold, reply, pressure, filter} */
static napi_value create_batch(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  uint32_t fd_count;
  int size, input_stride, output_stride;
  if (!read_arguments(env, info, 4, arguments) || !read_int(env, arguments[1], &size) ||
      !read_int(env, arguments[2], &input_stride) || !read_int(env, arguments[3], &output_stride)) {
    return NULL;
  }
  if (napi_get_array_length(env, arguments[0], &fd_count) != napi_ok || fd_count < 1 || fd_count > SOCKETS_MAX ||
      size < 1 || size > BATCH_SIZE_MAX || input_stride < 1 || input_stride > 65536 || output_stride < 1 ||
      output_stride > 65536) {
    return throw_type(env, "Cannot create a batch: sockets, size or strides are out of range");
  }
  Batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return throw_errno(env, "calloc", ENOMEM);
  *batch = (Batch){.epoll = -1, .fd_count = fd_count, .size = size, .output_stride = output_stride};
  napi_value object, function;
  int error = allocate(batch) ? bind_sockets(env, batch, arguments[0]) : ENOMEM;
  if (error == 0 && (napi_create_object(env, &object) != napi_ok ||
                     !share_buffers(env, object, batch, input_stride) ||
                     !share_function(env, object, "hold", hold, batch) ||
                     !share_function(env, object, "reply", reply, batch) ||
                     !share_function(env, object, "pressure", pressure, batch) ||
                     !share_function(env, object, "filter", filter, batch) ||
                     napi_create_function(env, "turn", NAPI_AUTO_LENGTH, turn, batch, &function) != napi_ok ||
                     napi_set_named_property(env, object, "turn", function) != napi_ok ||
                     napi_add_finalizer(env, object, batch, free_batch, NULL, NULL) != napi_ok)) {
    error = ENOMEM;
  }
  if (error != 0) {
    free_batch(env, batch, NULL);
    return throw_errno(env, "createBatch", error);
  }
  // What had the sockets before may have ended while it filtered.
  set_filter(batch, NULL, 0);
  return object;
}

bool define_batch(napi_env env, napi_value exports) { return define(env, exports, "createBatch", create_batch); }
