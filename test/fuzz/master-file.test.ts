// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { formatName, parseMasterFile, rootName } from "@meridian/dns";
import { exampleZone } from "../conformance/example-zone.ts";
import { fuzz } from "./fuzzer.ts";

/** A few records in every notation that there is. */
const notations = `$ORIGIN example.org.
$TTL 1h
@ IN SOA ns1 admin ( 1 ; serial
  7200 3600 1w 300 )
  NS ns1
ns1 300 IN A 192.0.2.1
    AAAA 2001:db8::1
"a b" TXT "one \\"two\\" \\065" three
odd\\.name\\255 CLASS1 TYPE65280 \\# 4 01020304
_443._tcp TLSA 3 1 1 ${"ab".repeat(32)}
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1 port=8443 key65000="x"
loc SRV 0 5 443 ns1
cert CAA 0 issue "ca.example.net"
nap NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .
$INCLUDE other.zone sub
`;

fuzz({
  name: "master-file",
  isText: true,
  seeds: [Buffer.from(exampleZone.text), Buffer.from(notations)],
  words: ["$ORIGIN ", "$TTL ", "$INCLUDE ", "(", ")", '"', "\\", ";", "\n", "@ ", "TXT ", "\\# 2 "],
  run: (input) => {
    let records = 0;
    let includes = 0;
    const errors = parseMasterFile(input, {
      origin: rootName,
      fileName: "fuzzed.zone",
      include: () => {
        includes += 1;
        return includes > 2 ? "" : input;
      },
      onRecord: (owner, type, ttl, rdata) => {
        records += 1;
        assert.ok(owner.length <= 255 && rdata.length <= 0xffff);
        assert.ok(type >= 0 && type <= 0xffff && ttl >= 0 && ttl <= 0x7fff_ffff, `${type} ${ttl}`);
        if (records % 16 === 0) assert.ok(formatName(owner, 0).length > 0);
      },
    });
    assert.ok(errors.length <= 100);
    for (const { message, line, column } of errors)
      assert.ok(message.length < 2000 && line >= 1 && column >= 1, message);
  },
});
