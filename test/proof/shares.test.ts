// SPDX-License-Identifier: Apache-2.0

// What clients get over real UDP: weighted shares, from each worker too; a sticky member that is removed moves only its own clients; and
// change sets of a hundred slots under load, of which no query sees a part.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import { chiSquareExceeds } from "../../packages/snapshot/src/testing/chi-square.ts";
import { RRType, ecsOption } from "@meridian/dns";
import { endpointSlot, Verdict } from "@meridian/snapshot";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { System, decode, documents, pause, query } from "./system.ts";

const isLong = process.env["MERIDIAN_LONG"] === "1";
const AT_ONCE = 100;
const zone =
  "Zone proof.test {origin: proof.test, nameServers: [{name: ns.proof.test, addresses: [127.0.0.1]}]}";

async function clientsOf(
  context: TestContext,
  system: System,
  count: number,
): Promise<DnsClient[]> {
  const clients = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      index % 2 === 0 ? udpClient("127.0.0.1", system.port(4)) : udpClient("::1", system.port(6)),
    ),
  );
  context.after(() => clients.forEach((client) => client.close()));
  return clients;
}

/** The client subnet with this number: a /24 of unicast space. */
function prefixBytes(number: number): Uint8Array {
  return Uint8Array.of(1 + (number >>> 16), number >>> 8, number, 0);
}

/** Last bytes of the addresses that each prefix 0..count − 1 is given. */
async function askAll(
  clients: readonly DnsClient[],
  name: string,
  count: number,
  step = 1,
): Promise<number[][]> {
  const answers: number[][] = [];
  const askOne = async (number: number): Promise<void> => {
    const options = [ecsOption(prefixBytes(number * step), 24)];
    const client = clients[number % clients.length];
    assert.ok(client !== undefined);
    const bytes = await client.ask(query(name, RRType.A, { edns: { options } }));
    answers[number] = decode(bytes).answer.map(({ rdata }) => rdata[3] ?? 0);
  };
  for (let from = 0; from < count; from += AT_ONCE) {
    const batch = Array.from(
      { length: Math.min(AT_ONCE, count - from) },
      (_, index) => from + index,
    );
    await Promise.all(batch.map(askOne));
  }
  return answers;
}

test("weighted shares hold over UDP, in all and of each worker (chi-square, α = 10⁻⁶)", async (context) => {
  const weights = [1, 2, 5, 12];
  const system = await System.start({
    logs: "cut",
    documents: documents(
      zone,
      ...weights.map((_, index) => `Pool p${index} {members: {m: {address: 192.0.2.${index}}}}`),
      `TrafficPolicy w {root: w, nodes: {w: {weighted: {branches: [${weights.map((weight, index) => `{pool: p${index}, weight: ${weight}}`).join(", ")}]}}}}`,
      "Record w.proof.test {name: w.proof.test, types: [A], policy: w}",
    ),
  });
  context.after(() => system.close());
  const count = isLong ? 100_000 : 12_000;
  const clients = await clientsOf(context, system, 24);
  const answers = await askAll(clients, "w.proof.test.", count);
  const chances = new Map(weights.map((weight, index) => [`p${index}`, weight / 20]));
  const total = new Map<string, number>();
  for (const [last] of answers) total.set(`p${last}`, (total.get(`p${last}`) ?? 0) + 1);
  assert.ok(!chiSquareExceeds(total, chances, count), JSON.stringify([...total]));
  const byWorker = new Map<number, Map<string, number>>();
  for (const { worker, line } of system.logLines()) {
    const [endpoint = ""]: string[] = JSON.parse(line).endpoints;
    const pool = endpoint.split("/")[2] ?? "";
    const counts = byWorker.get(worker) ?? new Map<string, number>();
    byWorker.set(worker, counts.set(pool, (counts.get(pool) ?? 0) + 1));
  }
  assert.equal(byWorker.size, 3, "every UDP worker answered");
  for (const [worker, counts] of byWorker) {
    const own = [...counts.values()].reduce((sum, one) => sum + one, 0);
    context.diagnostic(`worker ${worker}: ${own} answers`);
    assert.ok(!chiSquareExceeds(counts, chances, own), `${worker}: ${JSON.stringify([...counts])}`);
  }
});

function stickyDocuments(pools: readonly (readonly number[])[]): string {
  return documents(
    zone,
    ...pools.map(
      (members, index) =>
        `Pool s${index} {answers: 1, members: {${members.map((last) => `m${last}: {address: 192.0.2.${last}, weight: ${1 + (last % 3)}}`).join(", ")}}}`,
    ),
    `TrafficPolicy s {root: s, nodes: {s: {sticky: {branches: [${pools.flatMap((members, index) => (members.length === 0 ? [] : [`{pool: s${index}, weight: ${index + 1}}`])).join(", ")}]}}}}`,
    "Record s.proof.test {name: s.proof.test, types: [A], policy: s}",
  );
}

test("removing one of n sticky members, or a branch, moves only its own prefixes", async (context) => {
  const pools = [
    [10, 11, 12, 13, 14, 15],
    [20, 21, 22],
    [30, 31],
  ];
  const system = await System.start({ documents: stickyDocuments(pools) });
  context.after(() => system.close());
  const count = isLong ? 20_000 : 4000;
  const clients = await clientsOf(context, system, 12);
  const before = await askAll(clients, "s.proof.test.", count, 7);
  const compare = async (isGone: (last: number) => boolean, stays: (last: number) => boolean) => {
    await system.everywhere();
    const after = await askAll(clients, "s.proof.test.", count, 7);
    let moved = 0;
    for (const [number, [was]] of before.entries()) {
      const [now] = after[number] ?? [];
      assert.ok(was !== undefined && now !== undefined);
      assert.ok(!isGone(now), `${now} is gone`);
      if (isGone(was)) {
        moved += 1;
        assert.ok(stays(now), `prefix ${number} of ${was} went to ${now}`);
      } else assert.equal(now, was, `prefix ${number} moved, which ${was} had`);
    }
    assert.ok(moved > 0, "somebody had to move");
    return moved;
  };
  await system.reload(
    stickyDocuments([
      [10, 11, 12, 14, 15],
      [20, 21, 22],
      [30, 31],
    ]),
  );
  const ofMember = await compare(
    (last) => last === 13,
    (last) => last < 20,
  );
  // Back, in another order: everybody is where they were.
  await system.reload(stickyDocuments(pools.map((members) => members.toReversed())));
  await system.everywhere();
  assert.deepEqual(await askAll(clients, "s.proof.test.", count, 7), before);
  await system.reload(stickyDocuments([pools[0] ?? [], [], pools[2] ?? []]));
  const ofBranch = await compare(
    (last) => last >= 20 && last < 30,
    () => true,
  );
  context.diagnostic(
    `of ${count} prefixes ${ofMember} moved with a member, ${ofBranch} with a branch`,
  );
});

/** Members 0..15 of each pool are one half, 16..31 the other: only one of them is healthy. */
const HALF = 16;
const FILLER = 36;

function toggledDocuments(): string {
  const members = (first: number, count: number): string =>
    Array.from(
      { length: count },
      (_, index) => `m${index}: {address: 10.0.${first}.${index}}`,
    ).join(", ");
  return documents(
    zone,
    "HealthCheck alive {tcp: {port: 1}}",
    `Pool one {healthCheck: alive, members: {${members(1, 2 * HALF)}}}`,
    `Pool two {healthCheck: alive, members: {${members(2, 2 * HALF)}}}`,
    `Pool filler {healthCheck: alive, members: {${members(3, FILLER)}}}`,
    "TrafficPolicy m {root: m, nodes: {m: {multivalue: {answers: 32, branches: [{pool: one}, {pool: two}]}}}}",
    "Record m.proof.test {name: m.proof.test, types: [A], policy: m}",
    "Record f.proof.test {name: f.proof.test, types: [A], pool: filler}",
  );
}

/** Which halves the addresses of an answer are of. Decoded by place, since this runs some ten thousand times: owner names are compressed. */
function halvesOf(answer: Uint8Array, packet: Uint8Array): ReadonlySet<number> {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  assert.equal(view.getUint16(6), 2 * HALF, "all of a half of both pools");
  // The packet ends with an OPT record of 11 bytes.
  const records = packet.length - 11;
  const halves = new Set<number>();
  for (let record = 0; record < 2 * HALF; record++)
    halves.add(Math.floor(view.getUint8(records + record * 16 + 15) / HALF));
  return halves;
}

test("1,000 change sets of 100 slots under load: no query sees a part of one", async (context) => {
  const system = await System.start({ documents: toggledDocuments(), logs: "cut" });
  context.after(() => system.close());
  const { world } = system;
  const sets = [0, 1].map((half) =>
    Array.from({ length: world.poolEpochSlots }, (_, slot) => {
      const member = Number(/m(\d+)$/.exec(world.endpointName(slot))?.[1]);
      const isHealthy = Math.floor(member / HALF) % 2 === half;
      return {
        slot,
        value: endpointSlot(
          isHealthy ? Verdict.healthy : Verdict.unhealthy,
          0,
          1000,
          1000,
          2 + half,
        ),
      };
    }),
  );
  assert.equal(sets[0]?.length, 4 * HALF + FILLER, "a hundred slots");
  await system.toggle(sets[0] ?? []);
  const clients = await clientsOf(context, system, 16);
  let isOver = false;
  const seen = [0, 0];
  const load = async (client: DnsClient): Promise<void> => {
    const packet = query("m.proof.test.", RRType.A, { edns: {} });
    while (!isOver) {
      const halves = halvesOf(await client.ask(packet), packet);
      assert.equal(halves.size, 1, "an answer of two states");
      const [half = 0] = halves;
      seen[half] = (seen[half] ?? 0) + 1;
    }
  };
  const loads = clients.map(load);
  const before = system.embedded.overlay.sequence;
  const halfAt = new Map([[before, 0]]);
  const lines: { worker: number; line: string }[] = [];
  for (let turn = 1; turn <= 1000; turn++) {
    await system.toggle(sets[turn % 2] ?? []);
    halfAt.set(system.embedded.overlay.sequence, turn % 2);
    // Answers are taken and new queries sent; workers go on meanwhile.
    await immediate();
    if (turn % 5 === 0) await pause(1);
    if (turn % 50 === 0) lines.push(...system.logLines());
  }
  assert.equal(system.embedded.overlay.sequence, before + 1000);
  isOver = true;
  await Promise.all(loads);
  lines.push(...system.logLines());
  const last = new Map<number, number>();
  const sequences = new Set<number>();
  for (const { worker, line } of lines) {
    const logged: { sequence: number; query: string; answer: string } = JSON.parse(line);
    const { sequence } = logged;
    const halves = halvesOf(Buffer.from(logged.answer, "hex"), Buffer.from(logged.query, "hex"));
    assert.deepEqual([...halves], [halfAt.get(sequence)], `an answer that is not of ${sequence}`);
    assert.ok(sequence >= (last.get(worker) ?? 0), `worker ${worker} went back to ${sequence}`);
    last.set(worker, sequence);
    sequences.add(sequence);
  }
  context.diagnostic(
    `${seen.join(" + ")} answers of the two states; ${sequences.size} of 1000 change sets were answered from`,
  );
  assert.ok(seen.every((count) => count > 500) && sequences.size > 100);
});
