// SPDX-License-Identifier: Apache-2.0
//
// A UDP loader that sends at a fixed rate whatever the server does (open loop), so that a server that stalls is charged
// for every query that it kept waiting: latency counts from the moment a query was due, not from when it was sent.
// It turns without sleeping and wants a core for itself; with --sleep it shares one with others, and is later by what the kernel takes to
// wake it.
//
//   loader --port P --names FILE --rate QPS --seconds S [--server ADDRESS] [--prefixes FILE] [--seed N] [--sockets N]
//          [--check N --expected FILE] [--timeout-ms N] [--watch] [--no-edns] [--sleep] [--skip-late-us N]
//
//   names      one owner name a line; a query picks one at random (with --watch: each in turn)
//   prefixes   lines "A.B.C.D/LENGTH REGION"; a query carries one at random as EDNS Client Subnet
//   expected   line i belongs to name i: "RCODE SET|SET|…", SET = addresses with commas, "-" for none; where there are
//              several sets, the region of the query's prefix chooses. An answer passes if the rcode is equal and its
//              A records are a subset of the set, empty only if the set is
//   check      every Nth answer is checked
//   watch      a line of JSON for each name whose set of A records differs from its last one
//   skip-late  what this program is that late to send because it did not run itself is never sent, and counted: no burst from a
//              machine that stopped it for a moment
//
// The last line of the output is the summary, a JSON object. Times in it are microseconds, time stamps are
// CLOCK_MONOTONIC nanoseconds.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BATCH = 32,
  SOCKETS_MAX = 256,
  PACKET_MAX = 2048,
  NAME_MAX_BYTES = 255,
  LINE_MAX_BYTES = 8192,
  ADDRESSES_MAX = 64,
  IDS = 65536,
  SOCKET_BUFFER = 4 << 20,
  TYPE_A = 1,
  // Latency histogram: 2^FINE_BITS steps for each power of two, so a percentile is within 1.6 %.
  FINE_BITS = 6,
  HISTOGRAM = 64 << FINE_BITS,
  WRONG_SHOWN_MAX = 10,
};

typedef struct {
  uint64_t due_ns; // 0: free
  uint32_t name;
  uint32_t prefix;
} Query;

typedef struct {
  uint32_t address; // host order
  unsigned char length;
  unsigned char region;
} Prefix;

typedef struct {
  char *server, *names, *prefixes, *expected;
  int port, sockets, check, watch, edns, sleep;
  uint64_t seed, timeout_ns, skip_late_ns; // skip_late_ns 0: skip nothing
  double rate, seconds;
} Options;

typedef struct {
  uint64_t sent, received, late, lost, refused, overwritten, checked, wrong, unmatched, changes, behind_ns_max, skipped;
  uint64_t rcodes[16];
  uint64_t histogram[HISTOGRAM];
  uint64_t latency_ns_max;
} Counts;

static Options options = {.server = "127.0.0.1", .sockets = 32, .edns = 1, .seed = 1, .timeout_ns = 1000000000,
                          .rate = 1000, .seconds = 5};
static Counts counts;

static unsigned char *wire; // All names in wire form, one after the other.
static uint32_t *wire_at;
static unsigned char *wire_bytes;
static uint32_t name_count;
static char **expected;
static Prefix *prefixes;
static uint32_t prefix_count;
static uint64_t *watched;       // Sum of the last answer of each name.
static uint64_t *watched_since; // When the query that first got it was due.

static int fds[SOCKETS_MAX];
static uint16_t next_id[SOCKETS_MAX];
static Query *queries; // sockets × IDS

static void fail(const char *what, const char *value) {
  fprintf(stderr, "Cannot run loader: %s \"%s\"\n", what, value);
  exit(2);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// xorshift64*
static uint32_t draw(uint32_t bound) {
  uint64_t x = options.seed;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  options.seed = x;
  return (uint32_t)(((x * 0x2545F4914F6CDD1DULL >> 32) * bound) >> 32);
}

// ---- Input files ----

static uint32_t encode_name(const char *text, unsigned char *out) {
  uint32_t at = 0;
  while (*text && *text != '.' && *text != '\n' && *text != '\r') {
    size_t label = strcspn(text, ".\r\n");
    if (label > 63 || at + label + 2 > NAME_MAX_BYTES) fail("name too long", text);
    out[at++] = (unsigned char)label;
    memcpy(out + at, text, label);
    at += (uint32_t)label;
    text += label;
    if (*text == '.') text++;
  }
  out[at++] = 0;
  return at;
}

static FILE *open_input(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail("no such file", path);
  return file;
}

static void read_names(const char *path) {
  FILE *file = open_input(path);
  char line[LINE_MAX_BYTES];
  size_t used = 0, room = 1 << 20, slots = 1 << 16;
  wire = malloc(room);
  wire_at = malloc(slots * sizeof *wire_at);
  wire_bytes = malloc(slots);
  while (fgets(line, sizeof line, file)) {
    if (line[0] == '\n') continue;
    if (used + NAME_MAX_BYTES + 1 > room) wire = realloc(wire, room *= 2);
    if (name_count == slots) {
      slots *= 2;
      wire_at = realloc(wire_at, slots * sizeof *wire_at);
      wire_bytes = realloc(wire_bytes, slots);
    }
    wire_at[name_count] = (uint32_t)used;
    uint32_t bytes = encode_name(line, wire + used);
    wire_bytes[name_count++] = (unsigned char)bytes;
    used += bytes;
  }
  fclose(file);
  if (name_count == 0) fail("no names in", path);
}

static void read_prefixes(const char *path) {
  FILE *file = open_input(path);
  char text[64];
  unsigned length, region;
  size_t slots = 1 << 10;
  prefixes = malloc(slots * sizeof *prefixes);
  while (fscanf(file, "%63[^/]/%u %u\n", text, &length, &region) == 3) {
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1 || length > 32) fail("prefix", text);
    if (prefix_count == slots) prefixes = realloc(prefixes, (slots *= 2) * sizeof *prefixes);
    prefixes[prefix_count++] =
        (Prefix){ntohl(address.s_addr), (unsigned char)length, (unsigned char)region};
  }
  fclose(file);
  if (prefix_count == 0) fail("no prefixes in", path);
}

static void read_expected(const char *path) {
  FILE *file = open_input(path);
  char line[LINE_MAX_BYTES];
  expected = calloc(name_count, sizeof *expected);
  for (uint32_t i = 0; i < name_count && fgets(line, sizeof line, file); i++) {
    line[strcspn(line, "\r\n")] = 0;
    expected[i] = strdup(line);
  }
  fclose(file);
}

// ---- Sending ----

static uint32_t write_query(unsigned char *out, uint16_t id, uint32_t name, uint32_t prefix) {
  static const unsigned char head[10] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  out[0] = (unsigned char)(id >> 8);
  out[1] = (unsigned char)id;
  memcpy(out + 2, head, sizeof head);
  uint32_t at = 12;
  memcpy(out + at, wire + wire_at[name], wire_bytes[name]);
  at += wire_bytes[name];
  memcpy(out + at, "\0\1\0\1", 4);
  at += 4;
  if (!options.edns) return at;
  out[11] = 1;
  // OPT: root, type 41, 1232 bytes, no flags, option length to follow.
  memcpy(out + at, "\0\0\51\4\320\0\0\0\0\0\0", 11);
  at += 11;
  if (prefix_count == 0) return at;
  Prefix p = prefixes[prefix];
  uint32_t bytes = (p.length + 7u) / 8;
  out[at - 1] = (unsigned char)(8 + bytes);
  unsigned char option[] = {0, 8, 0, (unsigned char)(4 + bytes), 0, 1, p.length, 0};
  memcpy(out + at, option, sizeof option);
  at += sizeof option;
  uint32_t masked = p.length == 0 ? 0 : p.address & (0xffffffffu << (32 - p.length));
  for (uint32_t i = 0; i < bytes; i++) out[at++] = (unsigned char)(masked >> (24 - 8 * i));
  return at;
}

static void send_batch(int socket, int count, uint64_t first, double step_ns, uint64_t start) {
  static unsigned char packets[BATCH][PACKET_MAX];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int i = 0; i < count; i++) {
    uint64_t sequence = first + (uint64_t)i;
    uint32_t name = options.watch ? (uint32_t)(sequence % name_count) : draw(name_count);
    uint32_t prefix = prefix_count ? draw(prefix_count) : 0;
    uint16_t id = next_id[socket]++;
    Query *query = &queries[(size_t)socket * IDS + id];
    if (query->due_ns) counts.overwritten++;
    *query = (Query){start + (uint64_t)((double)sequence * step_ns), name, prefix};
    vectors[i] = (struct iovec){packets[i], write_query(packets[i], id, name, prefix)};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  for (int done = 0; done < count;) {
    int n = sendmmsg(fds[socket], messages + done, (unsigned)(count - done), 0);
    if (n > 0) {
      done += n;
    } else if (errno == ECONNREFUSED) {
      // An answer to an earlier datagram, reported here: nothing was sent, so send again.
      counts.refused++;
    } else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
      perror("sendmmsg");
      exit(1);
    }
  }
  counts.sent += (uint64_t)count;
}

// ---- Receiving ----

static int bucket_of(uint64_t ns) {
  if (ns < (1 << FINE_BITS)) return (int)ns;
  int power = 63 - __builtin_clzll(ns);
  return ((power - FINE_BITS + 1) << FINE_BITS) + (int)((ns >> (power - FINE_BITS)) & ((1 << FINE_BITS) - 1));
}

static double bucket_us(int bucket) {
  if (bucket < (1 << FINE_BITS)) return bucket / 1e3;
  int power = (bucket >> FINE_BITS) + FINE_BITS - 1;
  uint64_t fine = (uint64_t)(bucket & ((1 << FINE_BITS) - 1)) | (1 << FINE_BITS);
  return (double)(fine << (power - FINE_BITS)) / 1e3;
}

static uint32_t skip_name(const unsigned char *packet, uint32_t at, uint32_t bytes) {
  while (at < bytes) {
    unsigned char label = packet[at];
    if (label >= 0xc0) return at + 2;
    at += label + 1u;
    if (label == 0) return at;
  }
  return bytes + 1;
}

/** A records of the answer section in host order, or -1 for a packet that cannot be read. */
static int read_addresses(const unsigned char *packet, uint32_t bytes, uint32_t *out) {
  uint32_t at = skip_name(packet, 12, bytes) + 4;
  int answers = packet[6] << 8 | packet[7], found = 0;
  for (int i = 0; i < answers; i++) {
    at = skip_name(packet, at, bytes);
    if (at + 10 > bytes) return -1;
    int type = packet[at] << 8 | packet[at + 1];
    uint32_t length = (uint32_t)(packet[at + 8] << 8 | packet[at + 9]);
    at += 10;
    if (at + length > bytes) return -1;
    if (type == TYPE_A && length == 4 && found < ADDRESSES_MAX)
      out[found++] = (uint32_t)packet[at] << 24 | (uint32_t)packet[at + 1] << 16 |
                     (uint32_t)packet[at + 2] << 8 | packet[at + 3];
    at += length;
  }
  return found;
}

static int in_set(uint32_t address, const char *set, size_t length) {
  char text[16];
  size_t bytes = (size_t)sprintf(text, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                                 address & 255);
  for (size_t at = 0; at < length;) {
    size_t item = strcspn(set + at, ",|");
    if (item == bytes && memcmp(set + at, text, bytes) == 0) return 1;
    at += item + 1;
  }
  return 0;
}

static int is_right(const Query *query, const unsigned char *packet, uint32_t bytes) {
  const char *line = expected[query->name];
  if (line == NULL) return 1;
  if (bytes < 12u + wire_bytes[query->name] + 4) return 0;
  for (uint32_t i = 0; i < wire_bytes[query->name]; i++)
    if ((packet[12 + i] | 0x20) != (wire[wire_at[query->name] + i] | 0x20)) return 0;
  char *set;
  long rcode = strtol(line, &set, 10);
  if ((packet[3] & 15) != rcode) return 0;
  set += *set == ' ';
  if (strchr(set, '|')) {
    for (int region = prefix_count ? prefixes[query->prefix].region : 0; region > 0; region--) {
      char *next = strchr(set, '|');
      if (next == NULL) break;
      set = next + 1;
    }
  }
  size_t length = strcspn(set, "|");
  uint32_t addresses[ADDRESSES_MAX];
  int found = read_addresses(packet, bytes, addresses);
  if (found < 0) return 0;
  if (length == 0 || set[0] == '-') return found == 0;
  for (int i = 0; i < found; i++)
    if (!in_set(addresses[i], set, length)) return 0;
  return found > 0;
}

static void print_name(uint32_t name) {
  const unsigned char *at = wire + wire_at[name];
  for (; *at; at += *at + 1) printf("%.*s.", *at, at + 1);
}

static void print_addresses(const uint32_t *addresses, int count) {
  for (int i = 0; i < count; i++)
    printf("%s\"%u.%u.%u.%u\"", i ? "," : "", addresses[i] >> 24, addresses[i] >> 16 & 255, addresses[i] >> 8 & 255,
           addresses[i] & 255);
}

static void watch_answer(const Query *query, const unsigned char *packet, uint32_t bytes, uint64_t now) {
  uint32_t addresses[ADDRESSES_MAX];
  int count = read_addresses(packet, bytes, addresses);
  // A sum does not depend on the order of the records; the rcode and the count are in it too.
  uint64_t sum = (uint64_t)(packet[3] & 15) << 56 | (uint64_t)(count + 1) << 40;
  for (int i = 0; i < count; i++) sum += (uint64_t)addresses[i] * 0x9E3779B1u >> 8;
  // Sockets are read one after the other: an answer to an older query is no change back.
  if (sum == watched[query->name] || query->due_ns < watched_since[query->name]) return;
  watched_since[query->name] = query->due_ns;
  int is_first = watched[query->name] == 0;
  watched[query->name] = sum;
  if (!is_first) counts.changes++;
  printf("{\"event\":\"%s\",\"ns\":%llu,\"name\":\"", is_first ? "first" : "change", (unsigned long long)now);
  print_name(query->name);
  printf("\",\"addresses\":[");
  print_addresses(addresses, count);
  printf("]}\n");
  fflush(stdout);
}

static void show_wrong(const Query *query, const unsigned char *packet, uint32_t bytes) {
  if (counts.wrong > WRONG_SHOWN_MAX) return;
  uint32_t addresses[ADDRESSES_MAX];
  int count = read_addresses(packet, bytes, addresses);
  printf("{\"event\":\"wrong\",\"name\":\"");
  print_name(query->name);
  printf("\",\"rcode\":%d,\"expected\":\"%s\",\"region\":%d,\"addresses\":[", packet[3] & 15, expected[query->name],
         prefix_count ? prefixes[query->prefix].region : 0);
  print_addresses(addresses, count);
  printf("]}\n");
}

static void take_answer(int socket, const unsigned char *packet, uint32_t bytes, uint64_t now) {
  uint16_t id = (uint16_t)(packet[0] << 8 | packet[1]);
  Query *query = &queries[(size_t)socket * IDS + id];
  if (bytes < 12 || query->due_ns == 0 || !(packet[2] & 0x80)) {
    counts.unmatched++;
    return;
  }
  uint64_t latency = now > query->due_ns ? now - query->due_ns : 0;
  counts.rcodes[packet[3] & 15]++;
  if (latency > options.timeout_ns) {
    counts.late++;
  } else {
    counts.received++;
    counts.histogram[bucket_of(latency)]++;
    if (latency > counts.latency_ns_max) counts.latency_ns_max = latency;
  }
  if (options.check && expected && (counts.received + counts.late) % (uint64_t)options.check == 0) {
    counts.checked++;
    if (!is_right(query, packet, bytes)) {
      counts.wrong++;
      show_wrong(query, packet, bytes);
    }
  }
  if (options.watch) watch_answer(query, packet, bytes, now);
  query->due_ns = 0;
}

/** Takes what is there, and where nothing is, waits for something until a moment. */
static int receive(int poll, uint64_t until_ns) {
  static unsigned char packets[BATCH][PACKET_MAX];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  struct epoll_event events[SOCKETS_MAX];
  uint64_t at = until_ns > 0 ? now_ns() : 0, wait_ns = until_ns > at ? until_ns - at : 0;
  struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000), .tv_nsec = (long)(wait_ns % 1000000000)};
  int ready = epoll_pwait2(poll, events, SOCKETS_MAX, &wait, NULL), total = 0;
  for (int e = 0; e < ready; e++) {
    int socket = (int)events[e].data.u32;
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){packets[i], PACKET_MAX};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(fds[socket], messages, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0 && errno == ECONNREFUSED) counts.refused++;
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) take_answer(socket, packets[i], messages[i].msg_len, now);
    total += count > 0 ? count : 0;
  }
  return total;
}

// ---- Running ----

static int open_sockets(void) {
  int poll = epoll_create1(0);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)options.port)};
  if (inet_pton(AF_INET, options.server, &server.sin_addr) != 1) fail("server address", options.server);
  for (int i = 0; i < options.sockets; i++) {
    fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int bytes = SOCKET_BUFFER;
    setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (connect(fds[i], (struct sockaddr *)&server, sizeof server) != 0) fail("connect", options.server);
    next_id[i] = (uint16_t)draw(IDS);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event);
  }
  queries = calloc((size_t)options.sockets * IDS, sizeof *queries);
  return poll;
}

/** Set by SIGTERM: send no more, wait for what is out, and print the summary. */
static volatile sig_atomic_t is_over;

static void end_early(int signal) {
  (void)signal;
  is_over = 1;
}

static void run(int poll) {
  uint64_t start = now_ns(), total = (uint64_t)(options.rate * options.seconds), next = 0;
  double step_ns = 1e9 / options.rate;
  while (next < total && !is_over) {
    uint64_t elapsed = now_ns() - start;
    uint64_t due = (uint64_t)((double)elapsed / step_ns) + 1;
    if (due > total) due = total;
    if (due > next) {
      uint64_t behind = elapsed - (uint64_t)((double)next * step_ns);
      if (behind > counts.behind_ns_max && elapsed >= behind) counts.behind_ns_max = behind;
      if (options.skip_late_ns && behind > options.skip_late_ns && elapsed >= behind) {
        counts.skipped += due - 1 - next;
        next = due - 1;
      }
      int count = due - next > BATCH ? BATCH : (int)(due - next);
      send_batch((int)draw((uint32_t)options.sockets), count, next, step_ns, start);
      next += (uint64_t)count;
    }
    receive(poll, options.sleep ? start + (uint64_t)((double)next * step_ns) : 0);
  }
  uint64_t end = now_ns() + options.timeout_ns;
  while (now_ns() < end && counts.received + counts.late + counts.overwritten < counts.sent)
    receive(poll, options.sleep ? end : 0);
  for (size_t i = 0; i < (size_t)options.sockets * IDS; i++) counts.lost += queries[i].due_ns != 0;
  counts.lost += counts.overwritten;
}

static double percentile_us(double share) {
  uint64_t wanted = (uint64_t)((double)counts.received * share), seen = 0;
  for (int i = 0; i < HISTOGRAM; i++) {
    seen += counts.histogram[i];
    if (seen > wanted) return bucket_us(i);
  }
  return (double)counts.latency_ns_max / 1e3;
}

static void print_summary(double seconds) {
  printf("{\"event\":\"summary\",\"rate\":%.0f,\"seconds\":%.3f,\"sent\":%llu,\"received\":%llu,\"late\":%llu,"
         "\"lost\":%llu,\"skipped\":%llu,\"refused\":%llu,\"unmatched\":%llu,\"checked\":%llu,\"wrong\":%llu,\"changes\":%llu,",
         options.rate, seconds, (unsigned long long)counts.sent, (unsigned long long)counts.received,
         (unsigned long long)counts.late, (unsigned long long)counts.lost, (unsigned long long)counts.skipped,
         (unsigned long long)counts.refused,
         (unsigned long long)counts.unmatched, (unsigned long long)counts.checked, (unsigned long long)counts.wrong,
         (unsigned long long)counts.changes);
  printf("\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"behindMax\":%.1f,\"rcodes\":{",
         percentile_us(0.5), percentile_us(0.9), percentile_us(0.99), percentile_us(0.999),
         (double)counts.latency_ns_max / 1e3, (double)counts.behind_ns_max / 1e3);
  int is_first = 1;
  for (int i = 0; i < 16; i++) {
    if (counts.rcodes[i] == 0) continue;
    printf("%s\"%d\":%llu", is_first ? "" : ",", i, (unsigned long long)counts.rcodes[i]);
    is_first = 0;
  }
  printf("}}\n");
}

static void read_options(int argc, char **argv) {
  static const struct option known[] = {
      {"server", 1, NULL, 's'},  {"port", 1, NULL, 'p'},     {"names", 1, NULL, 'n'},    {"rate", 1, NULL, 'r'},
      {"seconds", 1, NULL, 'l'}, {"prefixes", 1, NULL, 'x'}, {"seed", 1, NULL, 'd'},     {"sockets", 1, NULL, 'k'},
      {"check", 1, NULL, 'c'},   {"expected", 1, NULL, 'e'}, {"timeout-ms", 1, NULL, 't'}, {"watch", 0, NULL, 'w'},
      {"no-edns", 0, NULL, 'o'}, {"sleep", 0, NULL, 'z'},
      {"skip-late-us", 1, NULL, 'b'},
      {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (option) {
    case 's': options.server = optarg; break;
    case 'p': options.port = atoi(optarg); break;
    case 'n': options.names = optarg; break;
    case 'r': options.rate = atof(optarg); break;
    case 'l': options.seconds = atof(optarg); break;
    case 'x': options.prefixes = optarg; break;
    case 'd': options.seed = strtoull(optarg, NULL, 10) * 0x9E3779B97F4A7C15ULL | 1; break;
    case 'k': options.sockets = atoi(optarg); break;
    case 'c': options.check = atoi(optarg); break;
    case 'e': options.expected = optarg; break;
    case 't': options.timeout_ns = strtoull(optarg, NULL, 10) * 1000000; break;
    case 'w': options.watch = 1; break;
    case 'o': options.edns = 0; break;
    case 'z': options.sleep = 1; break;
    case 'b': options.skip_late_ns = strtoull(optarg, NULL, 10) * 1000; break;
    default: exit(2);
    }
  }
  if (options.names == NULL) fail("missing option", "--names");
  if (options.port <= 0 || options.port > 65535) fail("port", "--port");
  if (options.rate <= 0 || options.seconds <= 0) fail("rate and seconds must be above 0:", "--rate");
  if (options.sockets < 1 || options.sockets > SOCKETS_MAX) fail("sockets must be 1..256:", "--sockets");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  // It turns without sleeping: it must not outlive a benchmark that is killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  read_names(options.names);
  if (options.prefixes) read_prefixes(options.prefixes);
  if (options.expected) read_expected(options.expected);
  watched = calloc(name_count, sizeof *watched);
  watched_since = calloc(name_count, sizeof *watched_since);
  int poll = open_sockets();
  // Beside the programs that drive the benchmark, what keeps time goes first; where the user may not say so it stays as it is.
  if (!options.sleep) (void)setpriority(PRIO_PROCESS, 0, -10);
  signal(SIGTERM, end_early);
  uint64_t start = now_ns();
  run(poll);
  print_summary((double)(now_ns() - start) / 1e9);
  return 0;
}
