// SPDX-License-Identifier: Apache-2.0
//
// The floor of the socket API: a UDP server that does nothing but turn each datagram round, in batches.
// Whatever a DNS server costs above this is its own work; nothing with plain sockets can cost less.
//
//   echo ADDRESS PORT      prints "ready" and runs until it is killed

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, PACKET_MAX = 4096, HEADER_BYTES = 12, SOCKET_BUFFER = 4 << 20 };

static unsigned char packets[BATCH][PACKET_MAX];
static struct sockaddr_in peers[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: echo ADDRESS PORT\n");
    return 2;
  }
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  int bytes = SOCKET_BUFFER;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 ||
      bind(fd, (struct sockaddr *)&local, sizeof local) != 0) {
    perror("Cannot bind");
    return 1;
  }
  for (int i = 0; i < BATCH; i++) {
    vectors[i].iov_base = packets[i];
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &peers[i];
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i].iov_len = PACKET_MAX;
      messages[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (count <= 0) continue;
    for (int i = 0; i < count; i++) {
      vectors[i].iov_len = messages[i].msg_len;
      if (messages[i].msg_len >= HEADER_BYTES) packets[i][2] |= 0x80;
    }
    for (int sent = 0; sent < count;) {
      int n = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
      sent += n > 0 ? n : 1;
    }
  }
}
