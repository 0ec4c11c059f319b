// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { rcodeToText, RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });
const rcode = (name: string): string => rcodeToText(server.ask(name, RRType.A).rcode);

test("§2: an NXDOMAIN means that the name and all names under it do not exist: never for an ancestor of what exists", () => {
  assert.equal(rcode("a.deep.tree.example.org."), "NOERROR");
  assert.equal(rcode("deep.tree.example.org."), "NOERROR");
  assert.equal(rcode("tree.example.org."), "NOERROR");
  assert.equal(rcode("other.tree.example.org."), "NXDOMAIN");
  assert.equal(rcode("x.other.tree.example.org."), "NXDOMAIN");
});

test("§2: the parent of a wildcard exists", () => {
  assert.equal(rcode("wild.example.org."), "NOERROR");
});
