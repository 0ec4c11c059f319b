// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { serversOf } from "./examination.ts";

test("serversOf() is where an edge says that it answers, for all of its host's addresses where it came from", () => {
  const edge = { name: "eu", standing: "serving", address: "192.0.2.7:41234" };
  const asked = (dns: readonly string[], address = edge.address): string[] =>
    serversOf({ ...edge, address, dns }, 53);
  assert.deepEqual(asked([]), ["192.0.2.7:53"]);
  assert.deepEqual(asked(["0.0.0.0:5300", "[::]:5300"]), ["192.0.2.7:5300"]);
  assert.deepEqual(asked(["0.0.0.0:53"], "[::ffff:192.0.2.7]:4"), ["192.0.2.7:53"]);
  assert.deepEqual(asked(["198.51.100.1:53", "127.0.0.1:53"]), ["198.51.100.1:53"]);
  assert.deepEqual(asked(["127.0.0.1:5300"], "127.0.0.1:4"), ["127.0.0.1:5300"]);
});
