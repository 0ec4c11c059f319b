// SPDX-License-Identifier: Apache-2.0

// Signed answers of random zones, each set and proof of them checked by a validator of its own, and beside the answers without DO.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test, type TestContext } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import {
  cookieOption,
  equalNames,
  findOption,
  formatName,
  formatRdata,
  isSubdomain,
  labelCount,
  parseCookie,
  Rcode,
  readRrsig,
  RRType,
  typeToText,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";
import { boundModel } from "./bound-model.ts";
import { line, origin, question, zoneOf } from "./random-zones.ts";
import { endOfChain, faultsOf } from "./signed-check.ts";
import { signingFixture, type SignedFixture } from "./signing-fixture.ts";
import { explain, explainText, type Explanation } from "@meridian/snapshot/surface";
import {
  AheadSigner,
  EdgeSigning,
  FixedCounter,
  ServerCookies,
  SILENT_LOGGER,
} from "@meridian/edge";
import { TargetKind } from "@meridian/snapshot";
import {
  testMember,
  testPool,
  TestServer,
  UNHEALTHY,
  wire,
  type AskOptions,
  type TestModel,
  type TestZone,
} from "./test-server.ts";

const RUNS = Number(process.env["TWIN_RUNS"] ?? 60);
const SEED = process.env["TWIN_SEED"];
const QUESTIONS = 24;
const NOW = 1_700_000_000;
const DAY = 86_400;
const origins = ["example.", "a.example.", "b.a.example.", "other."];
const fixtures = new Map(origins.map((apex) => [apex, signingFixture(apex, NOW)]));

const signedOption: AskOptions = { isTcp: true, edns: { udpSize: 1232, do: true } };

/** The seed of a random run, said whether it fails or not. */
function seedOf(context: TestContext): number {
  const seed = SEED === undefined ? randomInt(2 ** 31) : Number(SEED);
  context.diagnostic(`TWIN_SEED=${seed} TWIN_RUNS=${RUNS}`);
  return seed;
}

function fixtureOf(apex: string): SignedFixture {
  const fixture = fixtures.get(apex);
  assert.ok(fixture !== undefined);
  return fixture;
}

/** Records that are there without DO, too. */
function plain(records: readonly ResourceRecord[]): string[] {
  return records
    .filter(({ type }) => type !== RRType.RRSIG && type !== RRType.NSEC && type !== RRType.NSEC3)
    .map(({ owner, ttl, type, rdata }) =>
      `${formatName(owner)} ${ttl} ${typeToText(type)} ${formatRdata(type, rdata)}`.toLowerCase(),
    )
    .toSorted();
}

/** Whether a signed answer ends before a zone above or below one of which a wildcard was used: their proofs cannot be in one response. */
function endsEarly(
  signed: Message,
  qname: string,
  qtype: number,
  served: readonly string[],
): boolean {
  const { answer, authority } = signed;
  const last = endOfChain(answer, wire(qname), qtype);
  const isOpen =
    !answer.some(({ owner, type }) => type === qtype && equalNames(owner, last)) &&
    !authority.some(({ type }) => type === RRType.SOA || type === RRType.NS);
  if (!isOpen) return false;
  const next = served.map((apex) => wire(apex)).filter((apex) => isSubdomain(last, apex));
  return answer.some(({ owner, type, rdata }) => {
    const rrsig = type === RRType.RRSIG ? readRrsig(rdata) : undefined;
    if (rrsig === undefined || rrsig.labels >= labelCount(owner)) return false;
    const { signer } = rrsig;
    return next.some(
      (apex) =>
        !equalNames(apex, signer) && (isSubdomain(apex, signer) || isSubdomain(signer, apex)),
    );
  });
}

/** An answer without what DO adds: the DS of a referral among it. */
function comparable(message: Message): object {
  const isReferral = message.authority.some(({ type }) => type === RRType.NS);
  return {
    rcode: message.rcode,
    aa: message.flags.aa,
    answer: plain(message.answer),
    authority: plain(message.authority.filter(({ type }) => !isReferral || type !== RRType.DS)),
    additional: plain(message.additional),
  };
}

for (const denial of ["nsec", "nsec3"] as const)
  test(`every signed answer of random zones validates, and says what the one without DO says: ${denial}`, (t) => {
    fc.assert(
      fc.property(
        fc.uniqueArray(origin, { minLength: 1, maxLength: 3 }),
        fc.array(line, { maxLength: 16 }),
        fc.array(question, { minLength: QUESTIONS, maxLength: QUESTIONS }),
        (served, lines, questions) => {
          const server = new TestServer({ zones: served.map((apex) => zoneOf(apex, lines)) });
          server.sign(served.map((apex) => ({ ...fixtureOf(apex).material, denial })));
          const zones = served.map((apex) => ({
            apex: wire(apex),
            dnskeys: fixtureOf(apex).dnskeys,
          }));
          for (const [qname, qtype] of questions) {
            const unsigned = server.ask(qname, qtype, { isTcp: true });
            const signed = server.ask(qname, qtype, signedOption);
            const what = `${qname} ${typeToText(qtype)}`;
            assert.deepEqual(faultsOf(signed, wire(qname), qtype, zones, NOW), [], what);
            if (denial === "nsec" && endsEarly(signed, qname, qtype, served)) {
              const said = new Set(plain(unsigned.answer));
              assert.deepEqual(
                plain(signed.answer).filter((each) => !said.has(each)),
                [],
                what,
              );
            } else assert.deepEqual(comparable(signed), comparable(unsigned), what);
          }
        },
      ),
      { numRuns: RUNS, seed: seedOf(t) },
    );
  });

test("zones above and below each other prove nothing by two records of one name in one answer", () => {
  const served = ["example.", "a.example."];
  const zones = served.map((apex) => ({ apex: wire(apex), dnskeys: fixtureOf(apex).dnskeys }));
  const server = new TestServer({
    zones: [
      zoneOf("example.", [
        ["a", "NS ns.a.example."],
        ["*", "CNAME a.example."],
      ]),
      zoneOf("a.example.", [["*", "CNAME b.example."]]),
    ],
  });
  server.sign(served.map((apex) => fixtureOf(apex).material));
  // Names that come before the cut have other records; the rest end with the alias.
  for (const [qname, qtype, hasEnd] of [
    ["0.example.", RRType.MX, true],
    ["b.example.", RRType.MX, false],
    ["b.a.example.", RRType.MX, false],
  ] as const) {
    const answer = server.ask(qname, qtype, signedOption);
    assert.deepEqual(faultsOf(answer, wire(qname), qtype, zones, NOW), [], qname);
    assert.equal(answer.rcode, Rcode.NOERROR);
    assert.equal(
      answer.authority.some(({ type }) => type === RRType.SOA),
      hasEnd,
      qname,
    );
  }
});

test("compact denial of random zones validates", (t) => {
  const compact = new Map(
    origins.map((apex) => [apex, signingFixture(apex, NOW, { denial: "compact" })]),
  );
  fc.assert(
    fc.property(
      origin,
      fc.array(line, { maxLength: 16 }),
      fc.array(question, { minLength: QUESTIONS, maxLength: QUESTIONS }),
      (apex, lines, questions) => {
        const fixture = compact.get(apex);
        assert.ok(fixture !== undefined);
        // What name servers at a wildcard are is not defined (RFC 4592 §4.2).
        const defined = lines.filter(
          ([owner, rdata]) => !(owner.startsWith("*") && rdata.startsWith("NS ")),
        );
        const server = new TestServer({ zones: [zoneOf(apex, defined)] });
        server.sign([fixture.material]);
        const zones = [{ apex: wire(apex), dnskeys: fixture.dnskeys, isCompact: true }];
        for (const [qname, qtype] of questions) {
          const unsigned = server.ask(qname, qtype, { isTcp: true });
          const signed = server.ask(qname, qtype, signedOption);
          const what = `${qname} ${typeToText(qtype)}`;
          const rcode = unsigned.rcode === Rcode.NXDOMAIN ? Rcode.NOERROR : unsigned.rcode;
          assert.deepEqual(comparable(signed), { ...comparable(unsigned), rcode }, what);
          assert.deepEqual(faultsOf(signed, wire(qname), qtype, zones, NOW), [], what);
        }
      },
    ),
    { numRuns: RUNS, seed: seedOf(t) },
  );
});

for (const [what, algorithm, isSplit] of [
  ["one key for all", 13, false],
  ["a key of the zone's own", 13, true],
  ["Ed25519", 15, true],
  ["RSA", 8, false],
] as const)
  test(`decided answers validate with ${what}`, () => {
    const server = new TestServer(boundModel);
    const fixture = signingFixture("example.org.", NOW, { algorithm, isSplit });
    server.sign([fixture.material]);
    const zones = [{ apex: wire("example.org."), dnskeys: fixture.dnskeys }];
    const types = [
      ...[RRType.A, RRType.AAAA, RRType.HTTPS, RRType.SRV, RRType.MX, RRType.CNAME, RRType.ANY],
      ...[RRType.DNSKEY, RRType.SOA, RRType.NS],
    ];
    const labels = ["", ...(boundModel.zones[0]?.bound ?? []).map(({ owner }) => owner)];
    const names = labels.flatMap((owner) =>
      owner.startsWith("*") ? [owner.replace("*", "some")] : owner === "" ? "example.org." : owner,
    );
    for (const name of [...names, "nothing.example.org."])
      for (const type of types) {
        const signed = server.ask(name, type, signedOption);
        const label = `${name} ${typeToText(type)}`;
        assert.deepEqual(faultsOf(signed, wire(name), type, zones, NOW), [], label);
        if (type === RRType.ANY || type === RRType.DNSKEY) continue;
        assert.deepEqual(comparable(signed), comparable(server.ask(name, type, { isTcp: true })));
      }
  });

/** Two names that are answered with eight of twelve endpoints each. */
function manyAnswers(answerVariants: number): TestModel {
  const members = Array.from({ length: 12 }, (_, index) => testMember(`m${index}`, index + 1));
  const zone: TestZone = {
    origin: "example.org.",
    text: "example.org. 60 IN SOA ns.example.org. root.example.org. 1 2 3 4 60",
    bound: ["many.example.org.", "*.example.org."].map((owner) => ({
      owner,
      types: [RRType.A],
      binding: {
        ...{ targetKind: TargetKind.pool, targetKey: key64("pool/default/many") },
        ...{ ttlMin: 5, ttlMax: 60 },
      },
    })),
    options: { answerVariants },
  };
  return { zones: [zone], pools: [testPool("default/many", members, 8)] };
}

test("answers of several endpoints are one of a zone's variants, for clients with and without DO", () => {
  const server = new TestServer(manyAnswers(4));
  server.sign([signingFixture("example.org.", NOW).material]);
  const sets = new Map<string, Set<string>>();
  for (let client = 0; client < 60; client++) {
    const name = ["many", "x", "y"][client % 3] ?? "";
    const source = Uint8Array.of(192, 0, client, 9);
    const ask = (options: AskOptions): string[] =>
      plain(server.ask(`${name}.example.org.`, RRType.A, { ...options, source }).answer);
    const found = ask(signedOption);
    assert.equal(found.length, 8);
    assert.deepEqual(found, ask({ isTcp: true }));
    // What a wildcard stands for is signed once for all names.
    const owner = name === "many" ? "many" : "*";
    const key = found.join().replaceAll(`${name}.`, "");
    sets.set(owner, (sets.get(owner) ?? new Set()).add(key));
  }
  assert.deepEqual(
    [...sets.values()].map(({ size }) => size),
    [4, 4],
  );
  const proofs = 2;
  assert.ok(server.counters.of(FixedCounter.signaturesMade) <= 8 + proofs);
});

test("sets that few are answered with are signed ahead, too", () => {
  const server = new TestServer(manyAnswers(64));
  const ahead = new AheadSigner(() => server.nowMs);
  server.sign([signingFixture("example.org.", NOW).material], ahead);
  while (ahead.step());
  for (let client = 0; client < 200; client++)
    server.ask("many.example.org.", RRType.A, {
      ...signedOption,
      source: Uint8Array.of(192, 0, client, 9),
    });
  // All 64 sets but a few: a pass with 16 clients alone leaves at least 48.
  const made = server.counters.of(FixedCounter.signaturesMade);
  assert.ok(made < 16, `${made} sets`);
});

test("a signature is made once, in whatever order the records are", () => {
  const server = new TestServer(boundModel);
  server.sign([signingFixture("example.org.", NOW).material]);
  const made = (): number => server.counters.of(FixedCounter.signaturesMade);
  server.ask("lone.example.org.", RRType.A, signedOption);
  assert.equal(made(), 1);
  server.ask("lone.example.org.", RRType.A, signedOption);
  assert.equal(made(), 1);
  server.nowMs += 14 * 86_400_000;
  server.ask("lone.example.org.", RRType.A, signedOption);
  assert.equal(made(), 2);
});

test("a clock that was ahead and is set right leaves no signature that holds for nobody yet", () => {
  const server = new TestServer(boundModel);
  server.sign([signingFixture("example.org.", NOW).material]);
  server.nowMs = (NOW + 30 * DAY) * 1000;
  const inception = (): number => signatureOf(server, "lone.example.org.").inception;
  assert.equal(inception(), NOW + 30 * DAY - 3600);
  server.nowMs = NOW * 1000;
  assert.equal(inception(), NOW - 3600);
  const made = server.counters.of(FixedCounter.signaturesMade);
  assert.equal(inception(), NOW - 3600);
  assert.equal(server.counters.of(FixedCounter.signaturesMade), made);
});

test("an edge whose clock is behind signs by the time of control, and says so", () => {
  const server = new TestServer(boundModel);
  const { material } = signingFixture("example.org.", NOW);
  server.sign([material]);
  server.nowMs = (NOW - 60 * DAY) * 1000;
  const { inception, expiration } = signatureOf(server, "lone.example.org.");
  assert.deepEqual([inception, expiration > NOW + 12 * DAY], [NOW - 3600, true]);
  signatureOf(server, "lone.example.org.");
  assert.equal(server.counters.of(FixedCounter.signaturesMade), 1);

  const log: string[] = [];
  const note = (message: string): void => void log.push(message);
  const logger = { info: note, warn: note, error: note };
  new EdgeSigning(logger, () => NOW * 1000).take([material]);
  assert.deepEqual(log, []);
  new EdgeSigning(logger, () => (NOW - 60 * DAY) * 1000).take([material]);
  assert.deepEqual(log, ["The clock is behind: zones are signed by the time of control"]);
});

function signatureOf(server: TestServer, name: string): NonNullable<ReturnType<typeof readRrsig>> {
  const { answer } = server.ask(name, RRType.A, signedOption);
  const record = answer.find(({ type }) => type === RRType.RRSIG);
  const fields = readRrsig(record?.rdata ?? new Uint8Array(0));
  assert.ok(fields !== undefined);
  return fields;
}

test("beyond its budget a thread signs nothing: TC over UDP, SERVFAIL over TCP, and what is there is answered", () => {
  const server = new TestServer(boundModel);
  server.sign([signingFixture("example.org.", NOW, { denial: "compact" }).material]);
  const edns = { udpSize: 1232, do: true };
  assert.equal(server.ask("lone.example.org.", RRType.A, { edns }).answer.length, 2);
  // A clock that stands gives no more.
  const asked = Array.from({ length: 4000 }, (_, index) =>
    server.ask(`x${index}.example.org.`, RRType.A, { edns }),
  );
  const refused = asked.filter(({ flags }) => flags.tc);
  assert.ok(refused.length > 0);
  assert.ok(refused.every(({ answer, rcode }) => answer.length === 0 && rcode === Rcode.NOERROR));
  assert.equal(server.ask("lone.example.org.", RRType.A, { edns }).answer.length, 2);
  assert.ok(server.counters.of(FixedCounter.signaturesRefused) > 0);
});

test("a client with a good cookie has signatures made when others no longer have", () => {
  const server = new TestServer(boundModel, {
    cookies: new ServerCookies([Uint8Array.from({ length: 16 }, (_, index) => index)]),
  });
  server.sign([signingFixture("example.org.", NOW, { denial: "compact" }).material]);
  const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const asking = (cookie?: Uint8Array): AskOptions => ({
    edns: { udpSize: 1232, do: true, options: [cookieOption(client, cookie)] },
  });
  const option = findOption(
    server.ask("lone.example.org.", RRType.A, asking()).edns?.options ?? [],
    10,
  );
  assert.ok(option !== undefined);
  const cookie = parseCookie(option.data)?.server;
  let asked = 0;
  const isCut = (options: AskOptions): boolean =>
    server.ask(`x${asked++}.example.org.`, RRType.A, options).flags.tc;
  while (!isCut(asking()));
  assert.equal(isCut(asking(cookie)), false);
  // Another's cookie proves nothing.
  assert.equal(isCut({ ...asking(cookie), source: Uint8Array.of(192, 0, 2, 9) }), true);
  while (!isCut(asking(cookie))) assert.ok(asked < 20_000);
});

test("names that strangers make up fill no memory but what is theirs, and push nothing out", () => {
  const server = new TestServer(boundModel);
  const { signatures } = server.sign([
    signingFixture("example.org.", NOW, { denial: "compact" }).material,
  ]);
  const own = new Uint32Array(signatures.own);
  const kept = (): number => {
    let words = 0;
    for (let at = 16; at < own.length; at += 8) words += own[at] === 0 ? 0 : 1;
    return words;
  };
  server.ask("lone.example.org.", RRType.A, signedOption);
  server.ask("gone.example.org.", RRType.A, signedOption);
  const before = kept();
  for (let index = 0; index < 500; index++)
    server.ask(`x${index}.example.org.`, RRType.A, signedOption);
  assert.equal(kept(), before);
  assert.ok(before > 0 && server.counters.of(FixedCounter.signaturesMade) > 500);
});

test("explain says which key signs an answer, whether its signature is there, and until when; it makes none", () => {
  const server = new TestServer(boundModel);
  const { material } = signingFixture("example.org.", NOW);
  const signing = new EdgeSigning(SILENT_LOGGER);
  signing.take([material]);
  const message = signing.message(1, server.world);
  assert.ok(message !== undefined);
  server.handler.sign(message);
  const slots = Uint32Array.from({ length: server.overlay.slotCount }, (_, slot) =>
    server.overlay.read(slot),
  );
  const view = { world: server.world, slots };
  const resolver = { family: 4, bytes: Uint8Array.of(198, 51, 100, 7), prefixLength: 24 } as const;
  const ask = (name: string): Explanation | undefined =>
    explain(
      {
        ...view,
        ...{ revision: 1, sequence: 1 },
        signingOf: (question) => signing.explain(view, question),
      },
      { name, type: "A", resolver, nowSeconds: NOW },
    );
  const keys = [{ tag: material.keys[0]?.keyTag, algorithm: 13 }];
  const how = { keys, denial: "nsec", validitySeconds: 14 * 86_400, refreshSeconds: 7 * 86_400 };
  for (let time = 0; time < 2; time++)
    assert.deepEqual(ask("lone.example.org.")?.signing, { ...how, isReady: false });
  server.ask("lone.example.org.", RRType.A, signedOption);
  const found = ask("lone.example.org.");
  assert.ok(found?.signing !== undefined);
  const { inception = "", expiration = "", refresh, ...rest } = found.signing;
  assert.deepEqual(rest, { ...how, isReady: true });
  assert.equal(Date.parse(inception), (NOW - 3600) * 1000);
  assert.equal(refresh, new Date((NOW + 7 * 86_400) * 1000).toISOString().replace(".000Z", "Z"));
  assert.ok(Date.parse(expiration) > (NOW + 13 * 86_400) * 1000);
  assert.match(
    explainText(found),
    /signed by key \d+ \(algorithm 13\), denial nsec: the signature is ready, holds from /,
  );
});

test("RFC 9824 §3.5: NXNAME cannot be asked for", () => {
  const server = new TestServer(boundModel);
  for (const name of ["lone.example.org.", "nothing.example.org."])
    assert.equal(server.ask(name, 128, signedOption).rcode, Rcode.FORMERR);
});

test("RFC 4035 §3.1: who asks for NSEC has it, and who asks for RRSIG alone is refused", () => {
  for (const denial of ["nsec", "compact"] as const) {
    const server = new TestServer(boundModel);
    server.sign([signingFixture("example.org.", NOW, { denial }).material]);
    const { answer, authority } = server.ask("lone.example.org.", RRType.NSEC, signedOption);
    assert.deepEqual(
      [answer.map(({ type }) => type), authority],
      [[RRType.NSEC, RRType.RRSIG], []],
    );
    const { rcode } = server.ask("lone.example.org.", RRType.RRSIG, signedOption);
    assert.equal(rcode, Rcode.REFUSED);
  }
});

test("what does not fit with its signature is cut off", () => {
  const server = new TestServer(boundModel);
  server.sign([signingFixture("example.org.", NOW, { algorithm: 8 }).material]);
  const edns = { udpSize: 512, do: true };
  const message = server.ask("nothing.example.org.", RRType.A, { edns });
  assert.equal(message.flags.tc, true);
  assert.equal(
    server.ask("nothing.example.org.", RRType.A, { edns: { udpSize: 512 } }).flags.tc,
    false,
  );
});

test("a query without DO, and one for an unsigned zone, is answered as without signing", () => {
  const plainServer = new TestServer(boundModel);
  const server = new TestServer(boundModel);
  server.sign([signingFixture("other.", NOW).material]);
  for (const edns of [{ udpSize: 1232 }, { udpSize: 1232, do: true }])
    assert.deepEqual(
      server.ask("lone.example.org.", RRType.A, { edns }),
      plainServer.ask("lone.example.org.", RRType.A, { edns }),
    );
});

test("what is signed ahead is there for the first query, also after a verdict, and is made anew in time", () => {
  const server = new TestServer(boundModel);
  const ahead = new AheadSigner(() => server.nowMs);
  server.sign([signingFixture("example.org.", NOW).material], ahead);
  const work = (): number => {
    const before = ahead.counters.of(FixedCounter.signaturesMade);
    while (ahead.step());
    return ahead.counters.of(FixedCounter.signaturesMade) - before;
  };
  assert.ok(work() > 0);
  const misses = (): number => server.counters.of(FixedCounter.signatureMisses);
  const names = (boundModel.zones[0]?.bound ?? []).map(({ owner }) => owner.replace("*", "some"));
  for (const name of [...names, "gone.example.org."])
    for (const type of [RRType.A, RRType.AAAA, RRType.MX]) server.ask(name, type, signedOption);
  assert.equal(misses(), 0);
  server.setEndpoint(server.world.slotOfKey(key64("endpoint/default/eu/eu-1")), UNHEALTHY);
  work();
  for (const name of names) server.ask(name, RRType.A, signedOption);
  assert.equal(misses(), 0);
  server.nowMs += 7.1 * 86_400_000;
  assert.ok(work() > 0);
  server.nowMs += 6.5 * 86_400_000;
  for (const name of names) server.ask(name, RRType.A, signedOption);
  assert.equal(misses(), 0);
});
