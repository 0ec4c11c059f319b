// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Opcode, RRClass, RRType, Rcode } from "./constants.ts";
import { canonicalRdata } from "./dnssec/canonical.ts";
import { makeQuery, type Message, type ResourceRecord } from "./message.ts";
import { decodeMessage } from "./message-decode.ts";
import { encodeMessage } from "./message-encode.ts";
import { equalNames, nameKey } from "./name.ts";
import { parseName } from "./name-text.ts";
import { parseRdataText } from "./rdata.ts";
import { evaluateUpdate, isUpdateRefusal, readUpdate, updateNames } from "./update.ts";
import type { UpdateRefusal, UpdateRrset } from "./update.ts";
import { updateBySteps } from "./update-twin.ts";
import type { ZoneRecord } from "./zone-record.ts";

const origin = wire("example.");
const ANY = 255;

const zone: readonly ZoneRecord[] = [
  record("example.", RRType.SOA, "ns.example. h.example. 1 2 3 4 5"),
  record("example.", RRType.NS, "ns.example."),
  record("www.example.", RRType.A, "192.0.2.1"),
  record("www.example.", RRType.A, "192.0.2.2"),
  record("alias.example.", RRType.CNAME, "www.example."),
];

test("evaluateUpdate() refuses what does not hold, each in its way (RFC 2136 §3.2)", () => {
  const rcode = (name: string, type: number, rrClass: number, text?: string): number =>
    rcodeOf([{ ...record(name, type, text), class: rrClass, ttl: 0 }], []);
  assert.equal(rcode("www.example.", ANY, RRClass.ANY), Rcode.NOERROR);
  assert.equal(rcode("no.example.", ANY, RRClass.ANY), Rcode.NXDOMAIN);
  assert.equal(rcode("no.example.", ANY, RRClass.NONE), Rcode.NOERROR);
  assert.equal(rcode("www.example.", ANY, RRClass.NONE), Rcode.YXDOMAIN);
  assert.equal(rcode("www.example.", RRType.A, RRClass.ANY), Rcode.NOERROR);
  assert.equal(rcode("www.example.", RRType.AAAA, RRClass.ANY), Rcode.NXRRSET);
  assert.equal(rcode("www.example.", RRType.AAAA, RRClass.NONE), Rcode.NOERROR);
  assert.equal(rcode("www.example.", RRType.A, RRClass.NONE), Rcode.YXRRSET);
  assert.equal(rcode("alias.example.", RRType.CNAME, RRClass.IN, "WWW.example."), Rcode.NOERROR);
  assert.equal(rcode("www.example.", RRType.A, RRClass.IN, "192.0.2.1"), Rcode.NXRRSET, "one of 2");
  assert.equal(rcode("www.example.", RRType.A, RRClass.CH), Rcode.FORMERR);
  assert.equal(rcode("www.example.", RRType.AXFR, RRClass.ANY), Rcode.FORMERR);
  assert.equal(rcode("www.other.", ANY, RRClass.ANY), Rcode.NOTZONE);
});

test("what is forbidden or routed refuses all of an update, after its prerequisites", () => {
  const add = record("new.example.", RRType.TXT, "x");
  const remove = { ...record("www.example.", ANY), class: RRClass.ANY, ttl: 0 };
  const unmet = { ...record("no.example.", ANY), class: RRClass.ANY, ttl: 0 };
  const evaluate = (prerequisites: ResourceRecord[], types: number[], routed: number[]) =>
    evaluateUpdate(
      { origin, prerequisites, updates: [add, remove] },
      {
        at: (name) => ({ rrsets: setsAt(zone, name), routed }),
        mayChange: (_name, type) => types.includes(type),
      },
    );
  const refusal = (result: ReturnType<typeof evaluate>): Partial<UpdateRefusal> =>
    isUpdateRefusal(result) ? { reason: result.reason, rcode: result.rcode } : {};
  const { REFUSED, NXDOMAIN } = Rcode;
  assert.deepEqual(refusal(evaluate([], [RRType.TXT], [])), {
    reason: "forbidden",
    rcode: REFUSED,
  });
  assert.deepEqual(refusal(evaluate([], [RRType.TXT, RRType.A], [])), {});
  const routed = evaluate([], [RRType.TXT, RRType.A], [RRType.A]);
  assert.deepEqual(refusal(routed), { reason: "routed", rcode: REFUSED });
  assert.equal(refusal(evaluate([unmet], [], [])).rcode, NXDOMAIN);
});

test("readUpdate() takes the form of RFC 2136 §2.3 alone", () => {
  const question = { name: origin, type: RRType.SOA, class: RRClass.IN };
  const message: Message = { ...makeQuery(origin, RRType.SOA), opcode: Opcode.UPDATE };
  const rcode = (changed: Partial<Message>): number => {
    const read = readUpdate({ ...message, ...changed });
    return isUpdateRefusal(read) ? read.rcode : Rcode.NOERROR;
  };
  assert.equal(rcode({}), Rcode.NOERROR);
  assert.equal(rcode({ opcode: 0 }), Rcode.FORMERR);
  assert.equal(rcode({ question: [] }), Rcode.FORMERR);
  assert.equal(rcode({ question: [question, question] }), Rcode.FORMERR);
  assert.equal(rcode({ question: [{ ...question, type: RRType.A }] }), Rcode.FORMERR);
  assert.equal(rcode({ question: [{ ...question, class: RRClass.CH }] }), Rcode.NOTAUTH);
});

const names = ["example.", "www.example.", "WWW.example.", "alias.example.", "x.y.example."];
const texts: ReadonlyMap<number, readonly string[]> = new Map([
  [RRType.A, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]],
  [RRType.TXT, ["a", "b"]],
  [RRType.NS, ["ns.example.", "NS.example.", "ns2.example."]],
  [RRType.CNAME, ["www.example.", "other.example."]],
  [RRType.SOA, ["ns.example. h.example. 9 2 3 4 5"]],
  [RRType.DNAME, ["a.test.", "b.test."]],
]);
const types = [...texts.keys()];
const pick = <Value>(...values: readonly Value[]) => fc.constantFrom(...values);
const inZone = fc
  .tuple(pick(...names), pick(...types), fc.nat(2), pick(0, 60, 300))
  .map(([name, type, text, ttl]) => {
    const choices = texts.get(type) ?? [];
    return { ...record(name, type, choices[text % choices.length]), ttl };
  });
const loose = fc
  .record({
    name: pick(...names, ...names, "no.example.", "other."),
    type: pick(...types, ...types, ANY, RRType.AXFR),
    class: pick<number>(RRClass.IN, RRClass.ANY, RRClass.NONE, RRClass.IN, RRClass.CH),
    ttl: pick(0, 0, 0, 60, 2 ** 31),
    text: fc.nat(3),
  })
  .map(({ name, type, class: rrClass, ttl, text }): ResourceRecord => {
    // Mostly as that class has it.
    const choices = texts.get(type) ?? [];
    const choice = rrClass === RRClass.ANY ? undefined : choices[text];
    return { ...record(name, type, choice), class: rrClass, ttl };
  });

test("evaluateUpdate() does what the pseudocode of RFC 2136 does", () => {
  const counts = new Map<number, number>();
  fc.assert(
    fc.property(
      fc.array(inZone, { maxLength: 6 }),
      fc.array(loose, { maxLength: 3 }),
      fc.array(loose, { maxLength: 8 }),
      (found, prerequisites, updates) => {
        const before = updateBySteps(origin, zone, [], found).zone;
        const wanted = updateBySteps(origin, before, prerequisites, updates);
        const result = evaluateUpdate(
          { origin, prerequisites, updates },
          { at: (name) => ({ rrsets: setsAt(before, name), routed: [] }), mayChange: () => true },
        );
        const rcode = isUpdateRefusal(result) ? result.rcode : Rcode.NOERROR;
        counts.set(rcode, (counts.get(rcode) ?? 0) + 1);
        assert.equal(rcode, wanted.rcode);
        if (isUpdateRefusal(result)) return;
        const changed = new Set(result.map(({ owner, type }) => `${nameKey(owner)} ${type}`));
        const after = [
          ...before.filter(({ owner, type }) => !changed.has(`${nameKey(owner)} ${type}`)),
          ...result.flatMap(({ owner, type, after: set }) =>
            (set?.rdatas ?? []).map((rdata) => ({ owner, type, ttl: set?.ttl ?? 0, rdata })),
          ),
        ];
        assert.deepEqual(linesOf(after), linesOf(wanted.zone));
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok((counts.get(Rcode.NOERROR) ?? 0) > 100, "some are done");
  assert.ok(counts.size >= 5, "and others refused for all kinds of reasons");
});

test("whatever a message says, it is read or refused", () => {
  const whole = encodeMessage({
    ...makeQuery(origin, RRType.SOA),
    opcode: Opcode.UPDATE,
    answer: [{ ...record("www.example.", RRType.A, "192.0.2.1"), ttl: 0 }],
    authority: [record("alias.example.", RRType.CNAME, "www.example.")],
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
      (edits) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, byte] of edits) bytes[at] = byte;
        const message = decodeMessage(bytes);
        if ("error" in message) return;
        const request = readUpdate(message);
        if (isUpdateRefusal(request)) return;
        assert.ok(updateNames(request).length <= 3);
        evaluateUpdate(request, {
          at: (name) => ({ rrsets: setsAt(zone, name), routed: [] }),
          mayChange: () => true,
        });
      },
    ),
    { numRuns: 2000 },
  );
});

function rcodeOf(prerequisites: readonly ResourceRecord[], updates: readonly ResourceRecord[]) {
  const result = evaluateUpdate(
    { origin, prerequisites, updates },
    { at: (name) => ({ rrsets: setsAt(zone, name), routed: [] }), mayChange: () => true },
  );
  return isUpdateRefusal(result) ? result.rcode : Rcode.NOERROR;
}

function setsAt(records: readonly ZoneRecord[], name: Uint8Array): UpdateRrset[] {
  const own = records.filter(({ owner }) => equalNames(owner, name));
  return [...Map.groupBy(own, ({ type }) => type)].map(([type, set]) => ({
    type,
    ttl: set[0]?.ttl ?? 0,
    rdatas: set.map(({ rdata }) => rdata),
  }));
}

function linesOf(records: readonly ZoneRecord[]): string[] {
  return records
    .map(({ owner, type, ttl, rdata }) =>
      [nameKey(owner), type, ttl, Buffer.from(canonicalRdata(type, rdata)).toString("hex")].join(
        " ",
      ),
    )
    .toSorted();
}

function record(name: string, type: number, text?: string): ResourceRecord {
  const parsed = text === undefined ? { rdata: new Uint8Array(0) } : parseRdataText(type, text);
  assert.ok("rdata" in parsed);
  return { owner: wire(name), type, class: RRClass.IN, ttl: 300, rdata: parsed.rdata };
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}
