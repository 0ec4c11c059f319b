// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { readAnswer } from "./ask.ts";
import { parseServed } from "./health-target.ts";
import { parseLoaderLine } from "./loader.ts";

test("readAnswer() reads addresses behind compressed names and stops at a cut", () => {
  const head = "000084000001000200000000" + "0161076578616d706c6500" + "00010001";
  const record = (address: string): string => `c00c00010001000000050004${address}`;
  const whole = Buffer.from(`${head}${record("7f100001")}${record("7f100002")}`, "hex");
  assert.deepEqual(readAnswer(whole), {
    rcode: 0,
    isResponse: true,
    addresses: ["127.16.0.1", "127.16.0.2"],
  });
  assert.deepEqual(readAnswer(whole.subarray(0, -2)).addresses, ["127.16.0.1"]);
});

test("parseServed() reads a report of the health target and nothing else", () => {
  assert.deepEqual(parseServed("served 127.16.0.9 down 123"), {
    address: "127.16.0.9",
    state: "down",
    ns: 123,
  });
  assert.equal(parseServed("ready"), undefined);
  assert.equal(parseServed("served 127.16.0.9 sideways 1"), undefined);
});

test("parseLoaderLine() reads events and passes over other text", () => {
  assert.equal(parseLoaderLine("hello"), undefined);
  const line = '{"event":"change","ns":5,"name":"a.","addresses":["127.16.0.1"]}';
  assert.deepEqual(parseLoaderLine(line), {
    event: "change",
    ns: 5,
    name: "a.",
    addresses: ["127.16.0.1"],
  });
});
