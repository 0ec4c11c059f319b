// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { classifierOf, mapOf, orderOf } from "../classify-sample.ts";
import { type AsnBranch, compileAsn } from "./compile.ts";

const map = mapOf({
  "192.0.2.0/24": { asn: 64_500 },
  "198.51.100.0/24": { asn: 64_501 },
  "2001:db8::/32": { asn: 4_200_000_000 },
});

function branchesAt(branches: readonly AsnBranch[], address: string): number[] {
  return orderOf(classifierOf(compileAsn(branches, map)), address);
}

describe("compileAsn()", () => {
  it("picks the branch that lists the client's network, then the default", () => {
    const branches = [{ asns: [64_500] }, { default: true }, { asns: [4_200_000_000] }];
    assert.deepEqual(branchesAt(branches, "192.0.2.1"), [0, 1]);
    assert.deepEqual(branchesAt(branches, "198.51.100.1"), [1]);
    assert.deepEqual(branchesAt(branches, "2001:db8::1"), [2, 1]);
    assert.deepEqual(branchesAt(branches, "203.0.113.1"), [1]);
  });

  it("has no branch for other networks without a default", () => {
    assert.deepEqual(branchesAt([{ asns: [64_500] }], "198.51.100.1"), []);
    assert.deepEqual(branchesAt([{ asns: [64_500] }], "203.0.113.1"), []);
  });

  it("agrees with looking through the lists", () => {
    const asns = fc.uniqueArray(fc.constantFrom<number[]>(64_500, 64_501, 4_200_000_000, 1), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(asns, fc.nat(4), (listed, split) => {
        const branches = [{ asns: listed.slice(0, split) }, { asns: listed.slice(split) }];
        const clients = {
          "192.0.2.9": 64_500,
          "198.51.100.9": 64_501,
          "2001:db8::9": 4_200_000_000,
        };
        for (const [address, asn] of Object.entries(clients)) {
          const branch = branches.findIndex((candidate) => candidate.asns.includes(asn));
          assert.deepEqual(branchesAt(branches, address), branch < 0 ? [] : [branch]);
        }
      }),
    );
  });
});
