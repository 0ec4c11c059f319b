// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  RRType,
  Rcode,
  evaluateUpdate,
  isUpdateRefusal,
  nameKey,
  parseName,
  parseRdataText,
  readUpdate,
  type UpdateRrset,
} from "@meridian/dns";
import fc from "fast-check";
import { markName, publishMessage, type DecidedName } from "./publish-message.ts";

const origin = wire("example.");
const own = { origin, owner: "default/example", id: 1 };
const name = wire("www.example.");
const texts: ReadonlyMap<number, readonly string[]> = new Map([
  [RRType.A, ["192.0.2.1", "192.0.2.2"]],
  [RRType.AAAA, ["2001:db8::1"]],
  [RRType.CNAME, ["a.test."]],
  [RRType.TXT, ["x"]],
]);

/** A primary, as far as RFC 2136 goes. */
class Primary {
  readonly sets = new Map<string, UpdateRrset>();

  /** The rcode. */
  take(message: ReturnType<typeof publishMessage>): number {
    const request = readUpdate(message);
    assert.ok(!isUpdateRefusal(request));
    const at = (owner: Uint8Array) => ({
      rrsets: [...this.sets].flatMap(([key, set]) =>
        key === `${nameKey(owner)} ${set.type}` ? [set] : [],
      ),
      routed: [],
    });
    const changes = evaluateUpdate(request, { at, mayChange: () => true });
    if (isUpdateRefusal(changes)) return changes.rcode;
    for (const { owner, type, after } of changes) this.put(owner, type, after);
    return Rcode.NOERROR;
  }

  put(owner: Uint8Array, type: number, set: UpdateRrset | undefined): void {
    const key = `${nameKey(owner)} ${type}`;
    if (set === undefined) this.sets.delete(key);
    else this.sets.set(key, set);
  }

  publish(kind: "ours" | "new" | "gone", decided: DecidedName, as = own): number {
    return this.take(publishMessage(kind, as, decided));
  }

  of(owner: Uint8Array): Set<number> {
    return new Set(
      [...this.sets].flatMap(([key, { type }]) =>
        key === `${nameKey(owner)} ${type}` ? [type] : [],
      ),
    );
  }
}

test("a name is taken where nothing is, is then ours, and is given back", () => {
  const primary = new Primary();
  assert.equal(primary.publish("ours", decided(RRType.A)), Rcode.NXRRSET);
  assert.equal(primary.publish("new", decided(RRType.A)), Rcode.NOERROR);
  assert.equal(primary.publish("new", decided(RRType.A)), Rcode.YXRRSET);
  assert.equal(primary.publish("ours", decided(RRType.CNAME)), Rcode.NOERROR);
  assert.deepEqual(primary.of(name), new Set([RRType.CNAME]));
  const another = { ...own, owner: "default/another" };
  assert.equal(primary.publish("ours", decided(RRType.A), another), Rcode.NXRRSET);
  assert.equal(primary.publish("new", decided(RRType.A), another), Rcode.YXRRSET);
  assert.equal(primary.publish("gone", decided()), Rcode.NOERROR);
  assert.equal(primary.sets.size, 0);
  primary.put(name, RRType.TXT, setOf(RRType.TXT));
  assert.equal(primary.publish("new", decided(RRType.CNAME)), Rcode.YXDOMAIN, "beside a TXT");
  assert.equal(markName(wire(`${"a".repeat(63)}.`.repeat(3) + "b".repeat(60))), undefined);
});

test("whatever is at a name that has no mark of ours stays", () => {
  fc.assert(
    fc.property(
      fc.subarray([...texts.keys()], { minLength: 1 }),
      fc.array(fc.constantFrom<"ours" | "new" | "gone">("ours", "new", "gone"), { maxLength: 6 }),
      fc.subarray([RRType.A, RRType.AAAA]),
      (foreign, kinds, types) => {
        const primary = new Primary();
        for (const type of foreign) primary.put(name, type, setOf(type));
        const before = new Map(primary.sets);
        // Only where nothing of what is decided is there, and no alias, the name may be taken, beside what else it has.
        const mayTake = foreign.every((type) => type === RRType.TXT);
        for (const kind of kinds) primary.publish(kind, decided(...types));
        for (const [key, set] of before)
          assert.deepEqual(primary.sets.get(key), set, "what was there is there");
        if (!mayTake) assert.deepEqual(primary.sets, before);
      },
    ),
  );
});

function decided(...types: readonly number[]): DecidedName {
  return {
    name,
    records: types.flatMap((type) => setOf(type).rdatas.map((rdata) => ({ type, ttl: 30, rdata }))),
  };
}

function setOf(type: number): UpdateRrset {
  const rdatas = (texts.get(type) ?? []).map((text) => {
    const parsed = parseRdataText(type, text);
    assert.ok("rdata" in parsed);
    return parsed.rdata;
  });
  return { type, ttl: 300, rdatas };
}

function wire(text: string): Uint8Array {
  const parsed = parseName(text.endsWith(".") ? text : `${text}.`);
  assert.ok(parsed instanceof Uint8Array);
  return parsed;
}
