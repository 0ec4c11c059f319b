// SPDX-License-Identifier: Apache-2.0

// Every query is logged, and every log line is enough to have the same bytes again, while endpoints flap, shifts come and go, latches move
// and files are reloaded.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Replayer, journalPast, replayLine } from "../../apps/meridian/src/replay.ts";
import { Pcg32 } from "@meridian/core";
import { tcpClient, udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { allKinds } from "./all-kinds.ts";
import { randomQuestion } from "./questions.ts";
import { randomSlot } from "./random-slot.ts";
import { System, pause } from "./system.ts";

const queries = process.env["MERIDIAN_LONG"] === "1" ? 10_000 : 1000;
const BATCH = 10;

/** Changes something: mostly endpoints, now and then shifts, the files or a latch. */
async function disturb(
  system: System,
  random: Pcg32,
  batch: number,
  folder: string,
): Promise<void> {
  const below = (limit: number): number => random.next32() % limit;
  const changes = Array.from({ length: 1 + below(3) }, () => {
    const slot = below(system.world.poolEpochSlots);
    return { slot, value: randomSlot(random, system.embedded.overlay.read(slot)) };
  });
  await system.toggle(changes);
  if (batch % 7 === 0) {
    const [shift] = system.embedded.shifts();
    if (shift !== undefined && below(2) === 0) await system.embedded.removeShifts(shift.id);
    else
      await system.embedded.addShift({
        target: ["site/west", "pool/default/a", "endpoint/default/b/m1"][below(3)] ?? "",
        percent: 10 + below(90),
        reason: "proof",
        actor: "test",
        expiresAtMs: Date.now() + 60_000,
      });
  }
  if (batch % 11 === 0) await system.embedded.failback("default/manual/f");
  if (batch % 20 === 0) await system.reload(allKinds(folder, below(6)));
}

async function clients(system: System): Promise<DnsClient[]> {
  const udp4 = Array.from({ length: 24 }, () => udpClient("127.0.0.1", system.port(4)));
  const udp6 = Array.from({ length: 24 }, () => udpClient("::1", system.port(6)));
  return Promise.all([
    ...udp4,
    ...udp6,
    tcpClient("127.0.0.1", system.port(4)),
    tcpClient("::1", system.port(6)),
  ]);
}

interface Logged {
  readonly worker: number;
  readonly line: string;
}

/** Asks `count` random questions while everything changes; the lines of the log. */
async function ask(
  system: System,
  all: readonly DnsClient[],
  folder: string,
  count: number,
): Promise<Logged[]> {
  const random = new Pcg32(11);
  const lines: Logged[] = [];
  for (let batch = 0; batch * BATCH < count; batch++) {
    await disturb(system, random, batch, folder);
    const asked = Array.from({ length: BATCH }, () => {
      const client = all[random.next32() % all.length];
      assert.ok(client !== undefined);
      return client.ask(randomQuestion(random));
    });
    await Promise.all(asked);
    lines.push(...system.logLines());
  }
  await pause(20);
  lines.push(...system.logLines());
  assert.equal(lines.length, count, "every query is logged");
  return lines;
}

async function replays(context: TestContext, logs: "cut" | "whole", count: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-replay-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const system = await System.start({ folder, documents: allKinds(folder), logs });
  context.after(() => system.close(true));
  const sources = { past: journalPast(system.persistence.store, system.persistence.journal) };
  const all = await clients(system);
  context.after(() => all.forEach((client) => client.close()));
  const lines = await ask(system, all, folder, count);
  assert.deepEqual(
    new Set(lines.map(({ worker }) => worker)),
    new Set([0, 1, 2, 3]),
    "every UDP worker and the TCP worker was asked",
  );
  const replayer = new Replayer(sources);
  const states = new Set<string>();
  const unlike: string[] = [];
  let cut = 0;
  for (const { line } of lines.toSorted((a, b) => place(a.line) - place(b.line))) {
    const replay = replayer.replay(line);
    if (typeof replay === "string") assert.fail(`${replay}: ${line}`);
    states.add(String(place(line)));
    if (replay.isCut) cut += 1;
    else if (!replay.isEqual)
      unlike.push(`${line}\n  again: ${Buffer.from(replay.answer).toString("hex")}`);
  }
  assert.deepEqual(unlike.slice(0, 3), [], `${unlike.length} of ${count} are not equal`);
  context.diagnostic(
    `${lines.length} queries over ${states.size} overlays and ${system.embedded.revision} revisions; ${cut} looked at more of the client than the log keeps`,
  );
  assert.ok(states.size > count / BATCH / 2, `${states.size} overlays were asked`);
  assert.ok(logs === "whole" ? cut === 0 : cut < count / 20, `${cut} lines are cut`);
  // One line alone, as `explain --replay` has it.
  const whole = lines.find(({ line }) => !line.includes('"isCut":true'));
  const alone = replayLine(whole?.line ?? "", sources);
  assert.ok(typeof alone !== "string" && alone.isEqual);
}

test(`${queries} queries are each replayed from their log line to equal bytes`, (context) =>
  replays(context, "whole", queries));

test("queries are replayed from lines that keep /24 and /56, but for those decided by more", (context) =>
  replays(context, "cut", queries / 2));

/** Lines of one overlay beside each other. */
function place(line: string): number {
  const { revision, sequence }: { revision: number; sequence: number } = JSON.parse(line);
  return revision * 2 ** 31 + sequence;
}

test("replayLine() says why a line cannot be replayed", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-replay-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const system = await System.start({
    folder,
    documents: allKinds(folder),
    logs: "cut",
    workers: 1,
  });
  context.after(() => system.close(true));
  const sources = { past: journalPast(system.persistence.store, system.persistence.journal) };
  const client = await udpClient("127.0.0.1", system.port(4));
  context.after(() => client.close());
  await client.ask(randomQuestion(new Pcg32(1)));
  await pause(20);
  const [logged] = system.logLines();
  assert.ok(logged !== undefined);
  const reasonOf = (line: string): string => {
    const replay = replayLine(line, sources);
    return typeof replay === "string" ? replay : "";
  };
  const change = (fields: object): string =>
    reasonOf(JSON.stringify({ ...JSON.parse(logged.line), ...fields }));
  assert.match(reasonOf("{"), /^Line is no JSON/);
  assert.match(change({ client: "here" }), /^Line lacks one of/);
  assert.match(change({ revision: 99 }), /^Revision 99 is not kept/);
  assert.match(change({ sequence: 99_999_999 }), /^The journal does not hold change set/);
});
