// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pcg32 } from "@meridian/core";
import { Client, maskWord } from "@meridian/snapshot";
import { formatPrefix, parsePrefix } from "@meridian/snapshot/writer";
import { classifierOf, orderOf, TWIN_ADDRESSES } from "../classify-sample.ts";
import { compileSubnet, type SubnetBranch } from "./compile.ts";

function branchesAt(branches: readonly SubnetBranch[], client: string): number[] {
  return orderOf(classifierOf(compileSubnet(branches)), client);
}

describe("compileSubnet()", () => {
  it("vector 10: a stored prefix matches longer client prefixes, not shorter ones", () => {
    const wide = [{ prefixes: ["2001:db8::/32"] }, { default: true }];
    assert.deepEqual(branchesAt(wide, "2001:db8:0:1234::/64"), [0, 1]);
    assert.deepEqual(branchesAt(wide, "2001:db8:1234::/48"), [0, 1]);
    const narrow = [{ prefixes: ["2001:db8:1234::/48"] }, { default: true }];
    assert.deepEqual(branchesAt(narrow, "2001:db8::/32"), [1]);
    assert.deepEqual(branchesAt(narrow, "2001:db8:1234::/48"), [0, 1]);
  });

  it("vector 10: of a /16 and a /24 that contain the client the /24 wins", () => {
    const branches = [{ prefixes: ["198.18.0.0/16"] }, { prefixes: ["198.18.7.0/24"] }];
    assert.deepEqual(branchesAt(branches, "198.18.7.9"), [1]);
    assert.deepEqual(branchesAt(branches, "198.18.8.9"), [0]);
  });

  it("vector 13, as this product decides: no match and no default is an empty class", () => {
    assert.deepEqual(branchesAt([{ prefixes: ["192.0.2.0/24"] }], "203.0.113.1"), []);
  });

  it("vector 11: the scope is the prefix that decided", () => {
    const classifier = classifierOf(
      compileSubnet([{ prefixes: ["192.0.2.0/24", "2001:db8::/32"] }, { default: true }]),
    );
    orderOf(classifier, "192.0.2.7");
    assert.equal(classifier.scope, 24);
    orderOf(classifier, "2001:db8:7::/56");
    assert.equal(classifier.scope, 32);
  });

  it(`agrees with the twin on ${TWIN_ADDRESSES} random addresses and prefixes`, () => {
    const random = new Pcg32(99);
    const branches = randomBranches(random);
    const classifier = classifierOf(compileSubnet(branches));
    const twin = slowSubnet(branches);
    const client = new Client();
    for (let round = 0; round < TWIN_ADDRESSES; round++) {
      randomClient(client, random);
      assert.deepEqual(orderOf(classifier, client), twin(client), textOf(client));
    }
  });

  it("moves only clients inside the prefix that is added", () => {
    const random = new Pcg32(3);
    const before = randomBranches(random);
    const after = before.map((branch, index) =>
      index === 0 ? { ...branch, prefixes: [...(branch.prefixes ?? []), "10.32.0.0/11"] } : branch,
    );
    const [old, fresh] = [before, after].map((branches) => classifierOf(compileSubnet(branches)));
    assert.ok(old !== undefined && fresh !== undefined);
    const client = new Client();
    for (let round = 0; round < 20_000; round++) {
      randomClient(client, random);
      if (client.family === 4 && maskWord(client.word0, 11) === 0x0a20_0000) continue;
      assert.deepEqual(orderOf(fresh, client), orderOf(old, client), textOf(client));
    }
  });
});

/** Six branches of 40 prefixes each, which nest often, and a default. */
function randomBranches(random: Pcg32): SubnetBranch[] {
  const used = new Set<string>();
  const branches: SubnetBranch[] = [{ default: true }];
  for (let branch = 0; branch < 6; branch++) {
    const prefixes: string[] = [];
    while (prefixes.length < 40) {
      const client = new Client();
      randomClient(client, random);
      const text = textOf(client);
      if (!used.has(text)) prefixes.push(text);
      used.add(text);
    }
    branches.push({ prefixes });
  }
  return branches;
}

/** In 10.0.0.0/8 or 2001:db8::/32, of any length. */
function randomClient(client: Client, random: Pcg32): void {
  const isFour = random.next32() % 2 === 0;
  client.family = isFour ? 4 : 6;
  client.prefixLength = isFour ? 8 + (random.next32() % 25) : 32 + (random.next32() % 97);
  const sparse = (): number => (random.next32() & random.next32() & random.next32()) >>> 0;
  client.word0 = isFour
    ? maskWord(0x0a00_0000 + (random.next32() % 0x0100_0000), client.prefixLength)
    : 0x2001_0db8;
  client.word1 = isFour ? 0 : maskWord(sparse(), client.prefixLength - 32);
  client.word2 = isFour ? 0 : maskWord(sparse(), client.prefixLength - 64);
  client.word3 = isFour ? 0 : maskWord(sparse(), client.prefixLength - 96);
}

/** Scans all stored prefixes for the longest that contains the client's. */
function slowSubnet(branches: readonly SubnetBranch[]): (client: Client) => number[] {
  const stored = branches.flatMap(({ prefixes = [] }, branch) =>
    prefixes.flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix === undefined ? [] : [{ ...prefix, branch }];
    }),
  );
  const rest = branches.findIndex((branch) => branch.default === true);
  return (client) => {
    let best = -1;
    let bestLength = -1;
    for (const { family, words, length, branch } of stored) {
      if (family !== client.family || length > client.prefixLength || length <= bestLength)
        continue;
      const isInside =
        maskWord(client.word0, length) === words[0] &&
        maskWord(client.word1, length - 32) === words[1] &&
        maskWord(client.word2, length - 64) === words[2] &&
        maskWord(client.word3, length - 96) === words[3];
      if (!isInside) continue;
      best = branch;
      bestLength = length;
    }
    return best < 0 ? [rest] : [best, rest];
  };
}

function textOf({ family, word0, word1, word2, word3, prefixLength }: Client): string {
  const words = [word0, word1, word2, word3] as const;
  return formatPrefix({ family: family === 4 ? 4 : 6, words, length: prefixLength });
}
