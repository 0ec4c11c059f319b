// SPDX-License-Identifier: Apache-2.0
//
// One HTTP server that stands for every endpoint of a benchmark. Endpoints are addresses of 127.0.0.0/8, all of which
// reach a socket bound to the wildcard address; the local address of a connection says which endpoint is asked.
// Each request is answered 200, or 503 while its endpoint is down.
//
//   health-target PORT [DOWN-FILE]      DOWN-FILE: one address a line that is down from the start
//
// Prints "ready", then obeys lines on standard input:
//   down ADDRESS | up ADDRESS    changes an endpoint; the first answer given in the new state is reported as
//                                "served ADDRESS STATE NANOSECONDS" (CLOCK_MONOTONIC, just before the answer is sent). The
//                                report comes some milliseconds later: who reads it must not take the core from the
//                                servers and clients that this answer sets to work
//   count                        prints "count N", the number of requests answered so far
//   flap MILLISECONDS            from now on endpoints go down and come back in turns of so long, those with an odd address while
//                                the others are up, whatever was said of them; 0 ends it
// End of input ends the program.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, CONNECTIONS_MAX = 65536, REQUEST_MAX = 2048, LINE_MAX_BYTES = 128 };
enum { STATE_DOWN = 1, STATE_REPORT = 2 };
enum { REPORT_DELAY_MS = 20, REPORTS_MAX = 64 };

typedef struct {
  uint32_t index;
  unsigned char state;
  uint64_t time;
} Report;

static Report reports[REPORTS_MAX];
static int report_count;

// State of each address of 127.0.0.0/8, by its low 24 bits.
static unsigned char *states;
static uint32_t endpoint_of[CONNECTIONS_MAX];
// How many bytes of the blank line that ends a request were seen, for requests that come in pieces.
static unsigned char ending_seen[CONNECTIONS_MAX];
static unsigned char wants_close[CONNECTIONS_MAX];
static unsigned long answered;
static unsigned long flap_ms;

static const char answer_up[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n";
static const char answer_down[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\ndown\n";

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int parse_endpoint(const char *text, uint32_t *index) {
  struct in_addr address;
  if (inet_pton(AF_INET, text, &address) != 1) return 0;
  uint32_t host = ntohl(address.s_addr);
  *index = host & 0xffffff;
  return host >> 24 == 127;
}

static void format_endpoint(uint32_t index, char *text) {
  sprintf(text, "127.%u.%u.%u", index >> 16 & 255, index >> 8 & 255, index & 255);
}

static void read_down_file(const char *path) {
  FILE *file = fopen(path, "r");
  char line[LINE_MAX_BYTES];
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  while (fgets(line, sizeof line, file)) {
    uint32_t index;
    line[strcspn(line, "\r\n")] = 0;
    if (parse_endpoint(line, &index)) states[index] = STATE_DOWN;
  }
  fclose(file);
}

static int obey(char *line) {
  char address[LINE_MAX_BYTES];
  uint32_t index;
  if (sscanf(line, "flap %lu", &flap_ms) == 1) return 1;
  if (strncmp(line, "count", 5) == 0) {
    printf("count %lu\n", answered);
    fflush(stdout);
    return 1;
  }
  if (sscanf(line, "down %127s", address) == 1 && parse_endpoint(address, &index)) {
    states[index] = STATE_DOWN | STATE_REPORT;
  } else if (sscanf(line, "up %127s", address) == 1 && parse_endpoint(address, &index)) {
    states[index] = STATE_REPORT;
  }
  return 1;
}

static int read_orders(void) {
  static char buffer[65536];
  static size_t used;
  ssize_t n = read(STDIN_FILENO, buffer + used, sizeof buffer - 1 - used);
  if (n == 0) return 0;
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  used += (size_t)n;
  buffer[used] = 0;
  char *start = buffer;
  for (char *end; (end = strchr(start, '\n')) != NULL; start = end + 1) {
    *end = 0;
    obey(start);
  }
  used -= (size_t)(start - buffer);
  memmove(buffer, start, used);
  if (used == sizeof buffer - 1) used = 0;
  return 1;
}

static void print_reports(void) {
  for (int i = 0; i < report_count; i++) {
    char address[16];
    format_endpoint(reports[i].index, address);
    printf("served %s %s %llu\n", address, reports[i].state & STATE_DOWN ? "down" : "up",
           (unsigned long long)reports[i].time);
  }
  fflush(stdout);
  report_count = 0;
}

static void answer(int fd) {
  uint32_t index = endpoint_of[fd];
  uint64_t time = now_ns();
  unsigned char state = states[index];
  if (flap_ms > 0) state = (time / 1000000u / flap_ms + index) & STATE_DOWN;
  const char *text = state & STATE_DOWN ? answer_down : answer_up;
  size_t bytes = (state & STATE_DOWN ? sizeof answer_down : sizeof answer_up) - 1;
  if (write(fd, text, bytes) != (ssize_t)bytes) wants_close[fd] = 1;
  answered++;
  if (state & STATE_REPORT) {
    states[index] = state & STATE_DOWN;
    if (report_count == REPORTS_MAX) print_reports();
    reports[report_count++] = (Report){index, state, time};
  }
}

static void read_requests(int fd) {
  char buffer[REQUEST_MAX];
  ssize_t n = read(fd, buffer, sizeof buffer - 1);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    close(fd);
    return;
  }
  buffer[n] = 0;
  if (strstr(buffer, "HTTP/1.0") || strcasestr(buffer, "connection: close")) wants_close[fd] = 1;
  for (ssize_t i = 0; i < n; i++) {
    unsigned char seen = ending_seen[fd];
    char wanted = seen % 2 == 0 ? '\r' : '\n';
    ending_seen[fd] = buffer[i] == wanted ? seen + 1 : buffer[i] == '\r';
    if (ending_seen[fd] == 4) {
      ending_seen[fd] = 0;
      answer(fd);
    }
  }
  if (wants_close[fd]) {
    shutdown(fd, SHUT_WR);
    close(fd);
  }
}

static void accept_all(int listener, int poll) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    struct sockaddr_in local;
    socklen_t bytes = sizeof local;
    getsockname(fd, (struct sockaddr *)&local, &bytes);
    uint32_t host = ntohl(local.sin_addr.s_addr);
    if (fd >= CONNECTIONS_MAX || host >> 24 != 127) {
      close(fd);
      continue;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    endpoint_of[fd] = host & 0xffffff;
    ending_seen[fd] = 0;
    wants_close[fd] = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: health-target PORT [DOWN-FILE]\n");
    return 2;
  }
  states = calloc(1 << 24, 1);
  if (argc > 2) read_down_file(argv[2]);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // Only the loopback interface: the wildcard address must not be reachable from elsewhere.
  setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  if (bind(listener, (struct sockaddr *)&local, sizeof local) != 0 || listen(listener, 4096) != 0) {
    perror("Cannot listen");
    return 1;
  }
  int poll = epoll_create1(0);
  struct epoll_event watched = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &watched);
  watched.data.fd = STDIN_FILENO;
  int orders = epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &watched);
  if (orders != 0) fprintf(stderr, "standard input cannot be watched\n");
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll, events, EVENTS, report_count > 0 ? REPORT_DELAY_MS : -1);
    if (report_count > 0 && now_ns() - reports[0].time > REPORT_DELAY_MS * 1000000ULL) print_reports();
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        accept_all(listener, poll);
      } else if (fd == STDIN_FILENO) {
        if (!read_orders()) return 0;
      } else {
        read_requests(fd);
      }
    }
  }
}
