// SPDX-License-Identifier: Apache-2.0

// The same questions to Meridian and to Knot about the same random zones: equal rcode, AA and sections, but for the accepted differences, which
// docs/reference/knot-differences.md lists with the RFC that decides each. MERIDIAN_TEST_PAIRS=100000 asks as many. Then again with DO, of zones that
// either server signs with keys of its own: what is signed, and what is proved by which records, is the same.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Pcg32 } from "@meridian/core";
import {
  CHAIN_STEPS_MAX,
  decodeMessage,
  encodeMessage,
  formatName,
  makeQuery,
  RRType,
  typeFromText,
  type Message,
} from "@meridian/dns";
import { needs } from "../needs.ts";
import { startKnot } from "../peers/daemon.ts";
import { differenceOf } from "./answer-differences.ts";
import { tcpClient, udpClient } from "./dns-client.ts";
import { randomQuestion, randomZone, type RandomQuestion } from "./random-zone.ts";
import { isOfProof, withoutKeys } from "./signed-differences.ts";
import { signingFixture } from "./signing-fixture.ts";
import { TestServer, wire } from "./test-server.ts";

const SEED = Number(process.env["MERIDIAN_TEST_SEED"] ?? 1);
const PAIRS = Number(process.env["MERIDIAN_TEST_PAIRS"] ?? 4000);
/** Of each kind of denial. */
const SIGNED_PAIRS = Math.ceil(PAIRS / 4);
const ZONES = 200;
/** Signed zones: it takes Knot a tenth of a second for each. */
const SIGNED_ZONES = SIGNED_PAIRS > 5000 ? 100 : 20;
/** Questions that are with Knot at once: fewer than a socket's buffer holds. */
const AT_ONCE = 50;
/** One in so many over TCP. */
const TCP_EVERY = 8;
const SHOWN_MAX = 8;
const BATCH_MS = 1000;

test("Meridian answers as Knot does", { skip: needs("knotd", "knot") }, (t) => compare(t, PAIRS));

for (const denial of ["nsec", "nsec3"] as const)
  test(`Meridian signs and denies as Knot does: ${denial}`, { skip: needs("knotd", "knot") }, (t) =>
    compare(t, SIGNED_PAIRS, denial),
  );

async function compare(t: TestContext, pairsMax: number, denial?: "nsec" | "nsec3"): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-knot-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const random = new Pcg32(SEED);
  const count = denial === undefined ? ZONES : SIGNED_ZONES;
  const zones = Array.from({ length: count }, (_, index) => randomZone(random, index, count));
  const port = await startKnot(t, folder, zones, denial === undefined ? {} : { denial });
  const meridian = new TestServer({ zones });
  if (denial !== undefined) {
    const now = Math.floor(meridian.nowMs / 1000);
    meridian.sign(zones.map(({ origin }) => signingFixture(origin, now, { denial }).material));
  }
  const origins = new Set(zones.map(({ origin }) => origin));
  const clients = [await udpClient("127.0.0.1", port), await tcpClient("127.0.0.1", port)] as const;
  t.after(() => clients.forEach((client) => client.close()));

  const isSigned = denial !== undefined;
  const accepted = new Map<string, number>();
  const wrong: string[] = [];
  for (let asked = 0; asked < pairsMax && wrong.length < SHOWN_MAX; asked += AT_ONCE) {
    // Time for signatures is by the clock.
    meridian.nowMs += BATCH_MS;
    const batch = Array.from({ length: AT_ONCE }, (_, index) => {
      const zone = zones[random.next32() % count];
      assert.ok(zone !== undefined);
      const question = randomQuestion(random, zone, isSigned ? ["DNSKEY"] : []);
      // Signed answers are larger than a packet, and cut off at other places.
      return { question, isTcp: isSigned || index % TCP_EVERY === 0, zone };
    });
    const pairs = batch.map(async ({ question, isTcp, zone }) => {
      const packet = encodeMessage(packetOf(question, isSigned));
      const ask = async (name: string): Promise<Message> => {
        const query = packetOf({ ...question, name }, isSigned);
        return decoded(await clients[isTcp ? 1 : 0].ask(encodeMessage(query)));
      };
      const theirs = await askKnot(ask, question, origins, isSigned);
      const ours = decoded(
        meridian.askBytes(packet, { isTcp, ...(isTcp ? {} : { outputMax: 1232 }) }),
      );
      return { question, zone, ours, theirs };
    });
    for (const { question, zone, ours, theirs } of await Promise.all(pairs)) {
      if (theirs === undefined) continue;
      const difference = isSigned
        ? differenceOf(withoutKeys(ours), withoutKeys(theirs))
        : differenceOf(ours, theirs);
      if (difference === undefined) continue;
      if (difference.accepted === undefined)
        wrong.push(`${question.name} ${question.type}\n${difference.text}\n${zone.text}`);
      else accepted.set(difference.accepted, (accepted.get(difference.accepted) ?? 0) + 1);
    }
  }
  for (const [name, count] of accepted) t.diagnostic(`${name}: ${count} of ${pairsMax}`);
  assert.deepEqual(wrong, []);
}

function packetOf({ name, type }: RandomQuestion, isDo: boolean): Message {
  return makeQuery(wire(name), typeFromText(type) ?? RRType.A, { edns: { do: isDo } });
}

/**
 * Knot's answer, completed as a resolver would: where it ends in an alias that Meridian follows and Knot leaves to its clients (leadsOn), what
 * Knot says of the alias's target comes after it, and what it proves of the alias stays. Undefined where it proves something of the target, too,
 * as the parent of the zone that Meridian goes on in.
 */
async function askKnot(
  ask: (name: string) => Promise<Message>,
  question: RandomQuestion,
  origins: ReadonlySet<string>,
  isDo: boolean,
): Promise<Message | undefined> {
  const first = await ask(question.name);
  let [whole, last] = [first, first];
  let { name } = question;
  for (let step = 0; step < CHAIN_STEPS_MAX; step += 1) {
    const target = aliasTarget(last, name);
    if (target === undefined || !leadsOn({ ...question, name }, target, last, origins)) break;
    if (isDo && last.authority.length > 0 && !isProofOfAlias(last)) return undefined;
    if (whole.answer.some(({ owner }) => formatName(owner).toLowerCase() === target)) break;
    last = await ask(target);
    const answer = [...whole.answer, ...last.answer];
    const authority = [...whole.authority.filter(isOfProof), ...last.authority];
    whole = { ...last, flags: first.flags, answer, authority };
    name = target;
  }
  return whole;
}

/** Neither a referral nor a denial: what is in the authority section is about wildcards that aliases come from. */
function isProofOfAlias({ authority }: Message): boolean {
  return authority.every(({ type }) => type !== RRType.NS && type !== RRType.SOA);
}

/** Whether Meridian goes on where Knot has stopped; docs/reference/knot-differences.md has a heading for each reason. */
function leadsOn(
  { name, type }: RandomQuestion,
  target: string,
  { answer }: Message,
  origins: ReadonlySet<string>,
): boolean {
  const [from, to] = [zoneOf(name, origins), zoneOf(target, origins)];
  if (to === undefined) return false;
  // A CNAME that is asked for is the answer, but not the one that a DNAME makes.
  if (type === "CNAME") return answer.some((record) => record.type === RRType.DNAME);
  // The DS of a zone is in the zone above (RFC 4035 §3.1.4.1).
  return from !== to || (type === "DS" && origins.has(target));
}

/** Where the aliases of an answer lead from `name` on; undefined where there are none. */
function aliasTarget({ answer }: Message, name: string): string | undefined {
  let at = name.toLowerCase();
  let isAlias = false;
  for (let step = 0; step <= answer.length; step += 1) {
    const alias = answer.find(
      ({ owner, type }) => type === RRType.CNAME && formatName(owner).toLowerCase() === at,
    );
    if (alias === undefined) break;
    at = formatName(alias.rdata).toLowerCase();
    isAlias = true;
  }
  return isAlias ? at : undefined;
}

/** The deepest zone that a name is in. */
function zoneOf(name: string, origins: ReadonlySet<string>): string | undefined {
  for (let at = name.toLowerCase(); at !== ""; at = at.slice(at.indexOf(".") + 1)) {
    if (origins.has(at)) return at;
  }
  return undefined;
}

function decoded(bytes: Uint8Array | undefined): Message {
  const message = bytes === undefined ? undefined : decodeMessage(bytes);
  assert.ok(message !== undefined && !("error" in message), JSON.stringify(message));
  return message;
}
