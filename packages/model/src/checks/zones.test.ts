// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadModel } from "../index.ts";

const labels = ["a", "b", "c", "d", "e", "f", "g", "h", "*", "x.a", "y.b", "z.c"] as const;
const types = fc.constantFrom(["A"], ["A", "AAAA"], ["CNAME"], ["HTTPS"]);

interface Owner {
  readonly label: string;
  readonly types: readonly string[];
}

/** The problems of a zone with Records that are called `nameOf` of their number and owner, by line and what they say. */
function problemsOf(
  owners: readonly Owner[],
  records: readonly object[],
  servers: readonly string[],
  nameOf: (index: number, owner: string) => string,
): string[] {
  const apiVersion = "meridian.dev/v1alpha1";
  const nameServers = servers.map((label) => ({ name: `${label}.example.org` }));
  const documents = [
    {
      ...{ apiVersion, kind: "Zone", metadata: { name: "example.org" } },
      spec: { origin: "example.org", nameServers, records },
    },
    {
      ...{ apiVersion, kind: "Pool", metadata: { name: "web" } },
      spec: { members: { one: { address: "192.0.2.1" }, two: { address: "192.0.2.2" } } },
    },
    ...owners.map(({ label, types: answered }, index) => {
      const name = `${label}.example.org`;
      const metadata = { name: nameOf(index, name) };
      return { apiVersion, kind: "Record", metadata, spec: { name, types: answered, pool: "web" } };
    }),
  ];
  const text = documents.map((each) => JSON.stringify(each)).join("\n");
  const { problems } = loadModel([{ path: "a.jsonl", bytes: Buffer.from(text) }], { now: 0 });
  return problems
    .filter(({ severity }) => severity === "error")
    .map(({ line, code, found }) => `${line} ${code} ${found}`);
}

test("what is wrong among names is found whatever the Records are called", () => {
  const owner = fc.record({ label: fc.constantFrom(...labels), types });
  const owners = fc.uniqueArray(owner, { minLength: 7, selector: ({ label }) => label });
  const statics = fc.array(
    fc
      .tuple(
        fc.constantFrom("a", "A.example.org.", "c", "x.a", "q", "@"),
        fc.constantFrom(
          { type: "A", values: ["192.0.2.9"] },
          { type: "NS", values: ["d.c.example.org."] },
          { type: "CNAME", values: ["example.net."] },
        ),
      )
      .map(([name, data]) => ({ name, ...data })),
    { maxLength: 3 },
  );
  const servers = fc.uniqueArray(fc.constantFrom("a", "b", "ns"), { minLength: 1 });
  const seen = new Set<string>();
  fc.assert(
    fc.property(owners, statics, servers, (own, fixed, names) => {
      const problems = problemsOf(own, fixed, names, (_index, name) => name);
      for (const problem of problems) seen.add(problem.split(" ")[1] ?? "");
      assert.deepEqual(
        problems,
        problemsOf(own, fixed, names, (index) => `called-${index}`),
      );
    }),
    { numRuns: 300 },
  );
  assert.deepEqual(
    ["cname-conflict", "glue-missing", "name-duplicate", "name-outside-zone"].filter(
      (code) => !seen.has(code),
    ),
    [],
  );
});
