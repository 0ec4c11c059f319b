// SPDX-License-Identifier: Apache-2.0
//
// A flood of queries for random names with made-up sources, each of so many /24 in turn, at a fixed rate; and the client that should be
// answered all the while. The flood counts what comes back for each prefix. Wants a network interface of its own, and root.
//
//   flood --server A --zone NAME --rate QPS --seconds S --interface NAME --mac AA:BB:CC:DD:EE:FF [--prefixes N] [--seed N] [--settle S]
//         [--malformed]                                            packets that are cut off, full of noise, or otherwise no query
//   flood --server A --zone NAME --rate QPS --seconds S            the client: one address, with the cookie that it was sent
//
// Sources are 10.0.0.0/24 and those that follow. Names do not exist below the zone; queries have DO set. The output is a JSON object;
// bytes are those of DNS messages, from --settle seconds on.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BATCH = 64,
  PACKET_BYTES = 512,
  HEADERS = sizeof(struct iphdr) + sizeof(struct udphdr),
  FIRST_SOURCE = 10 << 24,
  DNS_PORT = 53,
  BUFFER_BYTES = 64 << 20,
  IDS = 65536,
  OPTION_COOKIE = 10,
  CLIENT_COOKIE = 8,
  COOKIE = 24,
  TIMEOUT_NS = 1000000000,
};

static struct {
  char *server, *zone, *interface, *mac;
  double rate, seconds, settle;
  uint32_t prefixes;
  uint64_t seed;
  bool malformed;
} options = {.rate = 1000, .seconds = 5, .prefixes = 100000, .seed = 1};

static unsigned char zone[256];
static int zone_bytes;

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// xorshift64*
static uint32_t draw(void) {
  uint64_t x = options.seed;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  options.seed = x;
  return (uint32_t)(x * 0x2545F4914F6CDD1DULL >> 32);
}

static void put16(unsigned char *at, unsigned value) {
  at[0] = (unsigned char)(value >> 8);
  at[1] = (unsigned char)value;
}

static void read_zone(const char *text) {
  while (*text && *text != '.') {
    size_t label = strcspn(text, ".");
    if (label > 63 || (size_t)zone_bytes + label + 2 > sizeof zone) fail("zone");
    zone[zone_bytes++] = (unsigned char)label;
    memcpy(zone + zone_bytes, text, label);
    zone_bytes += (int)label;
    text += label;
    if (*text == '.') text++;
  }
  zone[zone_bytes++] = 0;
}

/** Writes a query for a name that nobody asked before; returns its length. */
static int write_query(unsigned char *out, unsigned id, const unsigned char *cookie, int cookie_bytes) {
  static const unsigned char head[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1};
  memcpy(out, head, sizeof head);
  put16(out, id);
  int at = sizeof head;
  char label[14];
  snprintf(label, sizeof label, "x%08x%04x", draw(), draw() & 0xffff);
  out[at++] = 13;
  memcpy(out + at, label, 13);
  at += 13;
  memcpy(out + at, zone, (size_t)zone_bytes);
  at += zone_bytes;
  static const unsigned char tail[] = {0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0};
  memcpy(out + at, tail, sizeof tail);
  at += sizeof tail;
  if (cookie_bytes == 0) return at;
  put16(out + at - 2, (unsigned)cookie_bytes + 4);
  put16(out + at, OPTION_COOKIE);
  put16(out + at + 2, (unsigned)cookie_bytes);
  memcpy(out + at + 4, cookie, (size_t)cookie_bytes);
  return at + 4 + cookie_bytes;
}

/** Spoils a query; returns its length then. */
static int spoil(unsigned char *query, int length) {
  unsigned way = draw() & 3;
  int at = 12 + (int)(draw() % (unsigned)(length - 12));
  if (way == 0) return at;
  if (way == 1) query[12] = 0x40 | (unsigned char)(draw() & 0xbf);
  if (way == 2) put16(query + 4, 2 + (draw() & 0xff));
  if (way == 3)
    for (int i = 12; i < length; i++) query[i] = (unsigned char)(0x40 | draw());
  return length;
}

/** Sleeps until the next ones are due; returns how many. */
static uint64_t due(uint64_t start, uint64_t sent) {
  double passed = (double)(now_ns() - start) / 1e9;
  uint64_t all = (uint64_t)(passed * options.rate);
  return all > sent ? all - sent : 0;
}

// ---- The flood ----

typedef struct {
  uint64_t in, out;
} Bytes;

static unsigned checksum(const void *data, int bytes) {
  const uint16_t *words = data;
  uint32_t sum = 0;
  for (int i = 0; i < bytes / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static int write_packet(unsigned char *out, uint32_t source, in_addr_t server) {
  int bytes = write_query(out + HEADERS, draw() & 0xffff, NULL, 0);
  if (options.malformed) bytes = spoil(out + HEADERS, bytes);
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .saddr = htonl(source), .daddr = server,
                     .tot_len = htons((uint16_t)(HEADERS + bytes))};
  ip.check = (uint16_t)checksum(&ip, sizeof ip);
  struct udphdr udp = {.source = htons((uint16_t)(1024 + draw() % 64000)), .dest = htons(DNS_PORT),
                       .len = htons((uint16_t)(sizeof udp + (size_t)bytes))};
  memcpy(out, &ip, sizeof ip);
  memcpy(out + sizeof ip, &udp, sizeof udp);
  return bytes;
}

/** Takes what has come; returns how many answers. */
static uint64_t take_answers(int fd, Bytes *bytes) {
  static unsigned char room[BATCH][64];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  uint64_t answers = 0;
  for (int count = BATCH; count == BATCH;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){room[i], sizeof room[i]};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    for (int i = 0; i < count; i++) {
      struct iphdr ip;
      memcpy(&ip, room[i], sizeof ip);
      uint32_t prefix = (ntohl(ip.daddr) - FIRST_SOURCE) >> 8;
      if (ip.protocol != IPPROTO_UDP || prefix >= options.prefixes) continue;
      bytes[prefix].out += messages[i].msg_len - HEADERS;
      answers++;
    }
  }
  return answers;
}

static int packet_socket(int protocol) {
  int fd = socket(AF_PACKET, SOCK_DGRAM, htons((uint16_t)protocol));
  int size = BUFFER_BYTES;
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  return fd;
}

static void flood(in_addr_t server) {
  struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_halen = 6,
                             .sll_ifindex = (int)if_nametoindex(options.interface)};
  unsigned mac[6];
  if (sscanf(options.mac, "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) fail("mac");
  for (int i = 0; i < 6; i++) link.sll_addr[i] = (unsigned char)mac[i];
  int out = packet_socket(0), in = packet_socket(ETH_P_IP);
  if (bind(in, (struct sockaddr *)&link, sizeof link) != 0) fail("bind");
  Bytes *bytes = calloc(options.prefixes, sizeof *bytes);
  static unsigned char packets[BATCH][PACKET_BYTES];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  uint64_t sent = 0, unsent = 0, answers = 0;
  uint64_t start = now_ns(), end = start + (uint64_t)(options.seconds * 1e9);
  uint64_t settled = start + (uint64_t)(options.settle * 1e9);
  while (now_ns() < end) {
    uint64_t wanted = due(start, sent + unsent);
    if (wanted == 0) usleep(100);
    int count = wanted < BATCH ? (int)wanted : BATCH;
    uint32_t chosen[BATCH];
    int length[BATCH];
    for (int i = 0; i < count; i++) {
      chosen[i] = draw() % options.prefixes;
      length[i] = write_packet(packets[i], FIRST_SOURCE + (chosen[i] << 8) + 1 + draw() % 254, server);
      vectors[i] = (struct iovec){packets[i], (size_t)(HEADERS + length[i])};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &link, .msg_namelen = sizeof link, .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int gone = count > 0 ? sendmmsg(out, messages, (unsigned)count, MSG_DONTWAIT) : 0;
    for (int i = 0; i < gone; i++) bytes[chosen[i]].in += (uint64_t)length[i];
    if (settled != 0 && now_ns() > settled) {
      memset(bytes, 0, options.prefixes * sizeof *bytes);
      settled = 0;
    }
    sent += gone > 0 ? (uint64_t)gone : 0;
    unsent += (uint64_t)(count - (gone > 0 ? gone : 0));
    answers += take_answers(in, bytes);
  }
  for (int i = 0; i < 20; i++) {
    usleep(50000);
    answers += take_answers(in, bytes);
  }
  struct tpacket_stats lost = {0};
  socklen_t size = sizeof lost;
  getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &lost, &size);
  uint64_t in_bytes = 0, out_bytes = 0, asked = 0;
  double most = 0;
  for (uint32_t p = 0; p < options.prefixes; p++) {
    in_bytes += bytes[p].in;
    out_bytes += bytes[p].out;
    if (bytes[p].in == 0) continue;
    asked++;
    double times = (double)bytes[p].out / (double)bytes[p].in;
    if (times > most) most = times;
  }
  printf("{\"sent\":%lu,\"unsent\":%lu,\"answers\":%lu,\"uncounted\":%u,\"prefixes\":%lu,\"bytesIn\":%lu,\"bytesOut\":%lu,"
         "\"timesMost\":%.3f}\n",
         sent, unsent, answers, lost.tp_drops, asked, in_bytes, out_bytes, most);
}

// ---- The client ----

/** The cookie that came with an answer, which has nothing after its last option. */
static void keep_cookie(const unsigned char *answer, int length, unsigned char *cookie, int *cookie_bytes) {
  for (int at = length - COOKIE - 4; at > 12; at--) {
    if (answer[at] != 0 || answer[at + 1] != OPTION_COOKIE || answer[at + 2] != 0 || answer[at + 3] != COOKIE) continue;
    if (memcmp(answer + at + 4, cookie, CLIENT_COOKIE) != 0) continue;
    memcpy(cookie, answer + at + 4, COOKIE);
    *cookie_bytes = COOKIE;
    return;
  }
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void client(in_addr_t server) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT), .sin_addr.s_addr = server};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
  unsigned char cookie[COOKIE] = "cookie-1", packet[4096];
  int cookie_bytes = CLIENT_COOKIE;
  static uint64_t asked_ns[IDS];
  static uint32_t took_us[1 << 20];
  uint64_t sent = 0, received = 0, late = 0, truncated = 0;
  uint64_t start = now_ns(), end = start + (uint64_t)(options.seconds * 1e9);
  for (;;) {
    uint64_t now = now_ns();
    if (now > end + TIMEOUT_NS) break;
    for (uint64_t wanted = now < end ? due(start, sent) : 0; wanted > 0; wanted--) {
      unsigned id = (unsigned)(sent++ % IDS);
      asked_ns[id] = now_ns();
      int length = write_query(packet, id, cookie, cookie_bytes);
      if (send(fd, packet, (size_t)length, MSG_DONTWAIT) < 0) asked_ns[id] = 0;
    }
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    (void)poll(&readable, 1, 1);
    for (;;) {
      int length = (int)recv(fd, packet, sizeof packet, MSG_DONTWAIT);
      if (length < 12) break;
      unsigned id = (unsigned)packet[0] << 8 | packet[1];
      if (asked_ns[id] == 0) continue;
      uint64_t took = now_ns() - asked_ns[id];
      asked_ns[id] = 0;
      keep_cookie(packet, length, cookie, &cookie_bytes);
      if (took > TIMEOUT_NS) late++;
      else if (packet[2] & 2) truncated++;
      else if (received < sizeof took_us / sizeof *took_us) took_us[received++] = (uint32_t)(took / 1000);
    }
  }
  qsort(took_us, received, sizeof *took_us, compare);
  uint32_t p50 = received ? took_us[received / 2] : 0, p99 = received ? took_us[received * 99 / 100] : 0;
  printf("{\"sent\":%lu,\"received\":%lu,\"late\":%lu,\"truncated\":%lu,\"p50\":%u,\"p99\":%u}\n", sent, received, late, truncated,
         p50, p99);
}

int main(int count, char **given) {
  static const struct option known[] = {{"server", 1, NULL, 's'}, {"zone", 1, NULL, 'z'}, {"interface", 1, NULL, 'i'},
                                        {"mac", 1, NULL, 'm'}, {"rate", 1, NULL, 'r'}, {"seconds", 1, NULL, 't'},
                                        {"settle", 1, NULL, 'w'}, {"prefixes", 1, NULL, 'p'}, {"seed", 1, NULL, 'e'}, {"malformed", 0, NULL, 'b'}, {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(count, given, "", known, NULL)) != -1;) {
    switch (option) {
      case 's': options.server = optarg; break;
      case 'z': options.zone = optarg; break;
      case 'i': options.interface = optarg; break;
      case 'm': options.mac = optarg; break;
      case 'r': options.rate = atof(optarg); break;
      case 'w': options.settle = atof(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'p': options.prefixes = (uint32_t)atoi(optarg); break;
      case 'b': options.malformed = true; break;
      case 'e': options.seed = strtoull(optarg, NULL, 10); break;
      default: return 2;
    }
  }
  if (options.server == NULL || options.zone == NULL || (options.interface != NULL && options.mac == NULL)) return 2;
  read_zone(options.zone);
  if (options.interface != NULL) flood(inet_addr(options.server));
  else client(inet_addr(options.server));
  return 0;
}
