// SPDX-License-Identifier: Apache-2.0

// What explain says would happen, and what happens: the chances it states for a client fit the counts of real decisions over UDP, for
// every name of all-kinds.ts, under overlays in which some endpoints are out. Clients differ in their prefix, which is what varies the draw; those
// whom explain gives equal chances are counted together.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { chiSquareExceeds } from "../../packages/snapshot/src/testing/chi-square.ts";
import { explain, type Explanation } from "@meridian/control";
import { Pcg32, key64 } from "@meridian/core";
import { RRType, ecsOption, formatIpv4, formatName } from "@meridian/dns";
import { Client, TargetKind, distribution } from "@meridian/snapshot";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { allKinds, names } from "./all-kinds.ts";
import { randomSlot } from "./random-slot.ts";
import { System, decode, query } from "./system.ts";

const decisions = process.env["MERIDIAN_LONG"] === "1" ? 100_000 : 20_000;
const STATES = 2;
const AT_ONCE = 200;

interface Group {
  readonly explanation: Explanation;
  readonly chances: ReadonlyMap<string, number>;
  readonly counts: Map<string, number>;
  total: number;
}

/** A random /24 of unicast space, or a random /56 of global unicast space. */
function randomPrefix(random: Pcg32): { bytes: Uint8Array; family: 4 | 6; prefixLength: number } {
  const below = (limit: number): number => random.next32() % limit;
  if (below(4) > 0) {
    const bytes = Uint8Array.of(1 + below(222), below(256), below(256), 0);
    return { bytes, family: 4, prefixLength: 24 };
  }
  const bytes = new Uint8Array(16);
  bytes.set([
    0x20 + below(16),
    below(256),
    below(256),
    below(256),
    below(256),
    below(256),
    below(256),
  ]);
  return { bytes, family: 6, prefixLength: 56 };
}

/** What a response comes to, in explain's words: the first endpoint, the name of an alias, or nothing. */
function outcomeOf(bytes: Uint8Array, endpoints: ReadonlyMap<string, string>): string {
  const [first] = decode(bytes).answer;
  if (first === undefined) return "nothing";
  const isName = first.type === RRType.CNAME;
  const text = isName ? formatName(first.rdata) : formatIpv4(first.rdata);
  const endpoint = endpoints.get(text);
  assert.ok(isName || endpoint !== undefined, `${text} is an endpoint`);
  return endpoint ?? `name ${text}`;
}

/** Stated chances, outcomes without an answer taken together. */
function statedChances(explanation: Explanation): Map<string, number> {
  const chances = new Map<string, number>();
  for (const { outcome, chance } of explanation.chances ?? []) {
    const key =
      outcome.startsWith("endpoint/") || outcome.startsWith("name ") ? outcome : "nothing";
    chances.set(key, (chances.get(key) ?? 0) + chance);
  }
  return chances;
}

function explainNow(
  system: System,
  name: string,
  client: ReturnType<typeof randomPrefix>,
): Explanation {
  const { embedded, world } = system;
  const explanation = explain(
    {
      world,
      ...embedded.overlay.moment(),
      revision: embedded.revision,
    },
    {
      name,
      type: "A",
      client,
      resolver: { family: 4, bytes: Uint8Array.of(127, 0, 0, 1), prefixLength: 32 },
      nowSeconds: Math.floor(Date.now() / 1000),
    },
  );
  assert.ok(explanation !== undefined);
  return explanation;
}

function newGroup(explanation: Explanation): Group {
  return { explanation, chances: statedChances(explanation), counts: new Map(), total: 0 };
}

/** Equal for clients whose chances are equal; explain itself is asked once a kind. */
function kindOf(
  { world, embedded }: System,
  name: string,
  { bytes, family, prefixLength }: ReturnType<typeof randomPrefix>,
): string {
  const own = name.split(".")[0] ?? "";
  const policy = world.policies.policyIndexOf(key64(`policy/default/${own}`));
  const pool = world.pools.poolIndexOf(key64(`pool/default/${own === "lone" ? "a" : "far"}`));
  const client = new Client();
  client.set(family, bytes, 0, prefixLength);
  const { slots } = embedded.overlay.moment();
  const chances =
    policy >= 0
      ? distribution(world, slots, TargetKind.policy, policy, client, 4)
      : distribution(world, slots, TargetKind.pool, pool, client, 4);
  return JSON.stringify([...chances].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function compare(
  context: TestContext,
  system: System,
  clients: readonly DnsClient[],
  name: string,
  count: number,
  random: Pcg32,
): Promise<void> {
  const endpoints = addresses(system);
  const groups = new Map<string, Group>();
  let asked: Promise<void>[] = [];
  for (let index = 0; index < count; index++) {
    const prefix = randomPrefix(random);
    const key = kindOf(system, name, prefix);
    const group = groups.get(key) ?? newGroup(explainNow(system, name, prefix));
    groups.set(key, group);
    const options = [ecsOption(prefix.bytes, prefix.prefixLength)];
    const packet = query(name, RRType.A, { edns: { options } });
    const client = clients[index % clients.length];
    assert.ok(client !== undefined);
    asked.push(
      client.ask(packet).then((bytes) => {
        const outcome = outcomeOf(bytes, endpoints);
        group.counts.set(outcome, (group.counts.get(outcome) ?? 0) + 1);
        group.total += 1;
      }),
    );
    if (asked.length < AT_ONCE && index + 1 < count) continue;
    await Promise.all(asked);
    asked = [];
  }
  for (const { chances, counts, total, explanation } of groups.values()) {
    const texts = [...chances].map(
      ([outcome, chance]) =>
        `${outcome}: ${(chance * total).toFixed(1)} expected, ${counts.get(outcome) ?? 0} seen`,
    );
    const others = [...counts.keys()].filter((outcome) => !chances.has(outcome));
    const where = `${name} for ${explanation.client?.prefix ?? ""} and alike`;
    assert.ok(
      !chiSquareExceeds(counts, chances, total),
      `${where}:\n  ${texts.join("\n  ")}\n  never expected: ${others.join(", ") || "none"}`,
    );
  }
  context.diagnostic(`${name} ${groups.size} kinds of clients`);
}

/** Endpoint names by IPv4 address or host name. */
function addresses({ world }: System): ReadonlyMap<string, string> {
  const { pools } = world;
  const found = new Map<string, string>();
  const bytes = new Uint8Array(4);
  for (let endpoint = 0; endpoint < pools.endpointCount; endpoint++) {
    const host = pools.hostNameOf(endpoint);
    if (host >= 0) found.set(formatName(pools.bytes, host), world.endpointName(endpoint));
    if (!pools.hasIpv4(endpoint)) continue;
    pools.copyIpv4(endpoint, bytes, 0);
    found.set(formatIpv4(bytes), world.endpointName(endpoint));
  }
  return found;
}

test(`chances that explain states fit ${decisions} decisions (chi-square, α = 10⁻⁶)`, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-chances-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const system = await System.start({ folder, documents: allKinds(folder, 4) });
  context.after(() => system.close(true));
  const clients = await Promise.all(
    Array.from({ length: 8 }, () => udpClient("127.0.0.1", system.port(4))),
  );
  context.after(() => clients.forEach((client) => client.close()));
  const random = new Pcg32(23);
  const count = Math.ceil(decisions / STATES / names.length);
  for (let state = 0; state < STATES; state++) {
    await system.toggle(
      Array.from({ length: system.world.poolEpochSlots }, (_, slot) => ({
        slot,
        value: randomSlot(random, system.embedded.overlay.read(slot)),
      })),
    );
    if (state === 1)
      await system.embedded.addShift({
        target: "site/west",
        percent: 40,
        reason: "proof",
        actor: "test",
        expiresAtMs: Date.now() + 600_000,
      });
    for (const name of names) {
      await context.test(`${name} in state ${state}`, (own) =>
        compare(own, system, clients, name, count, random),
      );
    }
  }
});
