// SPDX-License-Identifier: Apache-2.0

// How soon a dynamic update (RFC 2136) of a zone among very many names is acknowledged, which is when the store has it, and answered:
// `node bench/load/updates.ts [--names N] [--rounds N]`. One process serves N names (a million unless given) and takes signed updates of one
// of their zones, one after the other. Nothing is probed.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  Opcode,
  RRClass,
  RRType,
  TsigSession,
  decodeMessage,
  encodeMessage,
  makeQuery,
  noFlags,
  parseName,
  parseRdataText,
  rcodeToText,
  rootName,
  type TsigKey,
} from "@meridian/dns";
import { largePlan, millionSize } from "./data/plan.ts";
import { regionNets } from "./data/regions.ts";
import { ask } from "./measure/ask.ts";
import { freePort, stopProgram, waitFor } from "./measure/program.ts";
import { percentile } from "./measure/statistics.ts";
import type { Serving } from "./servers/adapter.ts";
import { meridian } from "./servers/meridian.ts";

const SEED = 1;
const READY_MS_MAX = 200_000;
const ANSWER_MS_MAX = 60_000;
/** Pause after an update that was not done. */
const AGAIN_MS = 1000;
const secret = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk=";

const { values } = parseArgs({
  options: {
    names: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "20" },
  },
});
const names = Number(values.names);
const key: TsigKey = {
  name: wire("ddns.example"),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};

const folder = mkdtempSync(join(tmpdir(), "meridian-updates-"));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  await meridian.version();
  const share = names / millionSize.names;
  const plan = largePlan(
    {
      ...{ ...millionSize, names },
      policies: Math.max(11, Math.round(millionSize.policies * share)),
      endpoints: Math.max(100, Math.round(millionSize.endpoints * share)),
    },
    SEED,
  );
  const serving: Serving = {
    ...{ workload: "mixed", plan, folder, nets: regionNets(SEED), cores: "0,1" },
    check: { port: 9, intervalSeconds: 3600, threshold: 3, isDisabled: true },
    ...{ port: await freePort(), controlPort: await freePort() },
  };
  meridian.configure(serving);
  const origin = plan.origins[0] ?? "";
  takeUpdates(origin);
  const server = meridian.start(serving);
  try {
    await waitFor("the server", READY_MS_MAX, () =>
      Promise.resolve(meridian.compiledAt?.(serving)),
    );
    const [acknowledged, answered]: [number[], number[]] = [[], []];
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      const name = `update-${round % 2}.${origin}`;
      const address = `192.0.2.${round % 256}`;
      const startMs = performance.now();
      const rcode = await update(serving.port, origin, name, address);
      if (rcode !== "NOERROR") {
        console.log(`${rcode} after ${(performance.now() - startMs).toFixed(0)} ms`);
        await sleep(AGAIN_MS);
        continue;
      }
      const ms = performance.now() - startMs;
      await waitFor("the answer", ANSWER_MS_MAX, async () =>
        (await ask(serving.port, name, 1000))?.addresses[0] === address ? true : undefined,
      );
      const answeredMs = performance.now() - startMs;
      const said = `acknowledged after ${ms.toFixed(0)} ms, answered after ${answeredMs.toFixed(0)} ms`;
      if (round === 0) console.log(`the first update: ${said}`);
      else {
        acknowledged.push(ms);
        answered.push(answeredMs);
      }
    }
    for (const [what, times] of [
      ["acknowledged", acknowledged],
      ["answered", answered],
    ] as const)
      console.log(
        `${names} names, ${times.length} updates ${what}: p50 ${percentile(times, 0.5)?.toFixed(0)} ms, ` +
          `greatest ${Math.max(...times).toFixed(0)} ms`,
      );
  } finally {
    await stopProgram(server);
  }
}

/** Has the zone take updates that are signed. */
function takeUpdates(origin: string): void {
  const path = join(folder, "documents", "base.jsonl");
  const updates = `"tsigKeys":{"ddns.example":{"secret":{"file":"ddns"}}},"updates":{"mode":"store","allow":[{"key":"ddns.example"}]}`;
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    text.replace(`"spec":{"origin":"${origin}",`, `"spec":{"origin":"${origin}",${updates},`),
  );
  const secrets = join(folder, "state", "secrets", "default");
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  writeFileSync(join(secrets, "ddns"), secret, { mode: 0o600 });
}

/** Gives a name one address, as `nsupdate` does: `delete` and `add`. */
async function update(
  port: number,
  origin: string,
  name: string,
  address: string,
): Promise<string> {
  const parsed = parseRdataText(RRType.A, address, rootName);
  if (!("rdata" in parsed)) throw new Error(`Cannot update "${name}": "${address}" is no address`);
  const owner = wire(name);
  const record = { owner, type: RRType.A };
  const message = {
    ...makeQuery(wire(origin), RRType.SOA, { id: process.pid & 0xffff }),
    ...{ opcode: Opcode.UPDATE, flags: noFlags },
    authority: [
      { ...record, class: RRClass.ANY, ttl: 0, rdata: new Uint8Array(0) },
      { ...record, class: RRClass.IN, ttl: 5, rdata: parsed.rdata },
    ],
  };
  const packet = new TsigSession(key).sign(encodeMessage(message), Math.floor(Date.now() / 1000));
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), ANSWER_MS_MAX);
  socket.once("message", resolve);
  socket.send(packet, port, "127.0.0.1");
  const answer = await promise;
  clearTimeout(timer);
  socket.close();
  const decoded = answer === undefined ? undefined : decodeMessage(answer);
  if (decoded === undefined || "error" in decoded) return "no answer";
  return rcodeToText(decoded.rcode);
}

function wire(text: string): Uint8Array {
  const name = parseName(`${text}.`);
  if (!(name instanceof Uint8Array))
    throw new Error(`Cannot measure updates: "${text}" is no name`);
  return name;
}
