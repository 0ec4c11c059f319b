// SPDX-License-Identifier: Apache-2.0

import type { TestZone } from "./test-server.ts";

/** A zone with one of everything that the RFC tests ask for. */
export const exampleZone: TestZone = {
  origin: "example.org.",
  text: `
$ORIGIN example.org.
$TTL 3600
@              IN SOA ns1 hostmaster 7 3600 900 604800 300
@              IN NS  ns1
@              IN NS  ns2
@              IN MX  10 mail
@              IN TXT "apex"
ns1            IN A   192.0.2.1
ns2            IN A   192.0.2.2
mail           IN A   192.0.2.3
MiXed.CaSe     IN A   192.0.2.4
www            IN A   192.0.2.10
www            IN A   192.0.2.11
www            IN AAAA 2001:db8::10
alias          IN CNAME www
chain          IN CNAME alias
dangling       IN CNAME nowhere
outside        IN CNAME www.example.com.
loop-a         IN CNAME loop-b
loop-b         IN CNAME loop-a
a.deep.tree    IN TXT "leaf"
*.wild         IN A   192.0.2.20
*.wild         IN TXT "star"
real.wild      IN TXT "real"
sub.wild       IN NS  ns.sub.wild
ns.sub.wild    IN A   192.0.2.21
*.walias       IN CNAME www
old            IN DNAME new
www.new        IN A   192.0.2.30
cut            IN NS  ns.cut
cut            IN NS  ns.elsewhere.example.com.
cut            IN DS  12345 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
ns.cut         IN A   192.0.2.40
ns.cut         IN AAAA 2001:db8::40
svc            IN HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.10
unknown        IN TYPE65280 \\# 3 010203
big            IN TXT ${Array.from({ length: 8 }, (_, index) => `"${String(index).repeat(200)}"`).join(" ")}
many           IN A   192.0.2.100
${Array.from({ length: 60 }, (_, index) => `many IN A 198.51.100.${index + 1}`).join("\n")}
`,
};
