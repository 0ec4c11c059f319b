// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeQuery, queryName, randomQueries } from "./query-file.ts";

test("encodeQuery() writes a DNS message with its length before it", () => {
  const query = encodeQuery("a.example", undefined);
  assert.equal(
    query.toString("hex"),
    "0026" +
      "000000000001000000000001" +
      "0161076578616d706c6500" +
      "00010001" +
      "00002904d0000000000000",
  );
});

test("encodeQuery() carries a client prefix, cut to its length in octets", () => {
  const query = encodeQuery("a", { address: 0xc0000200, length: 24, region: 0 });
  assert.ok(query.toString("hex").endsWith("000b" + "0008" + "0007" + "0001" + "1800" + "c00002"));
  assert.equal(query.readUInt16BE(0), query.length - 2);
});

test("queryName() asks below a wildcard and else the owner itself", () => {
  assert.equal(queryName("*.a.example", 35), "qz.a.example");
  assert.equal(queryName("a.example", 35), "a.example");
});

test("randomQueries() repeats with its seed", () => {
  const owners = ["a.example", "b.example", "*.c.example"];
  const first = [...randomQueries(owners, [], 20, 5)].map(String);
  assert.deepEqual([...randomQueries(owners, [], 20, 5)].map(String), first);
  assert.notDeepEqual([...randomQueries(owners, [], 20, 6)].map(String), first);
});
