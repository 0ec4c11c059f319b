// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { examples, formatProblem, loadModel } from "@meridian/model";
import { fuzz } from "./fuzzer.ts";

const now = Date.parse("2026-01-31T12:00:00Z");
/** A problem is a few lines at most, whatever it is about. */
const PROBLEM_CHARACTERS_MAX = 4000;

const yaml = Object.values(examples).join("---\n");
const json = `{"apiVersion":"meridian.dev/v1alpha1","kind":"Pool","metadata":{"name":"p"},"spec":{"members":{"a":{"address":"192.0.2.1","weight":5}}}}`;
const nested = `apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: deep }
spec:
  root: a
  nodes:
    a: { weighted: { branches: [{ node: b, weight: 1 }, { pool: p, weight: 0 }] } }
    b: { failover: { tiers: [{ branches: [{ name: www.example.org }] }] } }
`;

function read(path: string, input: Uint8Array): void {
  const { problems, documentCount } = loadModel([{ path, bytes: input }], { now });
  assert.ok(documentCount <= input.length);
  for (const problem of problems) {
    assert.ok(problem.line >= 0, JSON.stringify(problem));
    const text = formatProblem(problem);
    assert.ok(text.length > 0 && text.length < PROBLEM_CHARACTERS_MAX, text);
  }
}

const words = [
  ...["---\n", "kind: ", "spec:\n", "metadata: ", "&a ", "*a", "<<: ", "!!binary ", "- ", "? "],
  ...["{", "}", "[", "]", ":", '"', "'", "|\n", ">-\n", "  ", "\t", "\ufeff", "null", "1e999"],
  ...["__proto__", "constructor", "toString", "-1", "0x7f", "weighted", "pool", "192.0.2.0/24"],
];

fuzz({
  name: "yaml-documents",
  isText: true,
  seeds: [Buffer.from(yaml), Buffer.from(nested)],
  words,
  run: (input) => {
    read("fuzzed.yaml", input);
  },
});

fuzz({
  name: "json-documents",
  isText: true,
  seeds: [Buffer.from(`${json}\n${json}\n`), Buffer.from(`[${json},${json}]`)],
  words,
  run: (input) => {
    read("fuzzed.jsonl", input);
    read("fuzzed.json", input);
  },
});
