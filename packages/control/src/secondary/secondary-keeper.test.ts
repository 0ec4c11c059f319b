// SPDX-License-Identifier: Apache-2.0

// Primaries that say what they should not: it is refused with what is wrong, the copy stays as it was, and where changes are wrong the zone is
// asked for as a whole.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  noFlags,
  parseMasterFile,
  parseName,
  readTsig,
  tsigKey,
  zoneDigest,
  zonemdRdata,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";
import type { ZoneSecondary } from "@meridian/model";
import { DocumentSet } from "../documents/document-set.ts";
import type { SecondaryZone } from "../served-model.ts";
import { RaisedAlerts } from "../notifications/alert.ts";
import { StateDocuments } from "../state/state-documents.ts";
import { openStore } from "../store/open-store.ts";
import { SecondaryKeeper } from "./secondary-keeper.ts";

const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const key = tsigKey("xfr.example", "hmac-sha256", secret);
const LOOK_MS = 10;
const LOOKS_MAX = 1000;

const origin = (() => {
  const name = parseName("example.org.");
  assert.ok(name instanceof Uint8Array);
  return name;
})();

function records(text: string): ResourceRecord[] {
  const found: ResourceRecord[] = [];
  const mistakes = parseMasterFile(Buffer.from(text), {
    ...{ origin, defaultTtl: 60, fileName: "zone", include: () => new Uint8Array(0) },
    onRecord: (owner, type, ttl, rdata) =>
      found.push({
        ...{ owner: Uint8Array.from(owner), type, ttl, class: 1 },
        rdata: Uint8Array.from(rdata),
      }),
  });
  assert.deepEqual(mistakes, []);
  return found;
}

const soa = (serial: number, expire = 86_400): ResourceRecord[] =>
  records(`@ SOA ns1 h ${serial} 3600 1 ${expire} 60\n`);
const rest = records("@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n");
const zoneOf = (serial: number, more: readonly ResourceRecord[] = []): ResourceRecord[] => [
  ...soa(serial),
  ...rest,
  ...more,
  ...soa(serial),
];

/** What a primary answers with, by what it is asked: messages, or bytes as they go out. */
type Script = (
  type: number,
  query: Message,
) => readonly (readonly ResourceRecord[] | Uint8Array | "end")[] | number;

class FakePrimary {
  script: Script = () => Rcode.REFUSED;
  /** Signs with this where undefined does not. */
  sign: (query: Uint8Array) => TsigSession | undefined = () => undefined;
  readonly asked: number[] = [];
  readonly #server: Server;

  constructor(t: TestContext) {
    this.#server = createServer((socket) => this.#serve(socket));
    t.after(() => this.#server.close());
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    assert.ok(typeof address === "object" && address !== null);
    return address.port;
  }

  #serve(socket: Socket): void {
    let received = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
        const end = 2 + received.readUInt16BE();
        this.#answer(socket, received.subarray(2, end));
        received = received.subarray(end);
      }
    });
  }

  #answer(socket: Socket, packet: Uint8Array): void {
    const query = decodeMessage(packet);
    assert.ok(!("error" in query));
    const type = query.question[0]?.type ?? 0;
    this.asked.push(type);
    const session = this.sign(packet);
    const said = this.script(type, query);
    const answers = typeof said === "number" ? [[]] : said;
    for (const answer of answers) {
      if (answer === "end") {
        socket.end();
        return;
      }
      const rcode = typeof said === "number" ? said : 0;
      const { id, question } = query;
      const bytes =
        answer instanceof Uint8Array
          ? answer
          : encodeMessage({
              ...{ id, opcode: 0, rcode, question, answer, authority: [], additional: [] },
              flags: { ...noFlags, qr: true, aa: true },
            });
      const signed = session?.sign(bytes, Math.floor(Date.now() / 1000)) ?? bytes;
      socket.write(Buffer.from([signed.length >> 8, signed.length & 0xff]));
      socket.write(signed);
    }
  }
}

interface Running {
  readonly primary: FakePrimary;
  readonly keeper: SecondaryKeeper;
  /** Warnings and errors, each with its reason. */
  readonly log: string[];
  readonly zones: Map<string, SecondaryZone>;
  readonly documents: () => DocumentSet;
  nowMs: number;
}

async function start(
  t: TestContext,
  spec: Partial<ZoneSecondary> = {},
  tsigKey?: string,
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-secondary-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => {});
  let documents = DocumentSet.empty;
  const state = new StateDocuments({
    store,
    get documents() {
      return documents;
    },
    refresh: async () => {
      documents = await documents.refreshed(store);
    },
  });
  const primary = new FakePrimary(t);
  const secondary: ZoneSecondary = {
    primaries: [{ address: "127.0.0.1", port: await primary.listen(), tsigKey }],
    ...{ allowNotify: [], catalog: false, zonemd: "whenPresent", ...spec },
  };
  const keys = [{ name: "xfr.example", algorithm: "hmac-sha256", secret: "default/file/xfr" }];
  const zone = { namespace: "default", name: "example.org", secondary, keys };
  const log: string[] = [];
  const note = (fields: object, message: string): void =>
    void log.push(`${message}: ${"reason" in fields ? String(fields.reason) : ""}`);
  const running: Running = {
    ...{ log, primary, documents: () => documents, nowMs: Date.now() },
    zones: new Map([["example.org", zone]]),
    keeper: new SecondaryKeeper({
      state,
      // What is served of it follows in test/e2e.
      apply: (writes) => state.write(writes, "secondary", {}),
      zones: () => running.zones,
      secrets: () => new Map([["default/file/xfr", secret]]),
      board: new RaisedAlerts(),
      leading: () => ({}),
      logger: { info: () => undefined, warn: note, error: note },
      nowMs: () => running.nowMs,
      random: () => 0,
    }),
  };
  t.after(async () => {
    await running.keeper.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return running;
}

/** Lets time pass up to the next question, and waits for what comes of it. */
async function refresh(running: Running): Promise<{ serial: number | undefined; error: string }> {
  const { keeper } = running;
  const before = keeper.views()[0];
  running.nowMs = Math.max(running.nowMs + 1, before?.nextMs ?? 0);
  keeper.tick();
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const view = keeper.views()[0];
    if ((view?.nextMs ?? 0) > running.nowMs)
      return { serial: view?.serial, error: view?.error ?? "" };
    await sleep(LOOK_MS);
  }
  assert.fail("nothing came of it");
}

/** As a primary that has serial `serial`, and `changes` for who asks for them. */
function having(
  serial: number,
  whole = zoneOf(serial),
  changes?: readonly ResourceRecord[],
): Script {
  return (type) => {
    if (type === RRType.SOA) return [soa(serial)];
    return [type === RRType.IXFR && changes !== undefined ? changes : whole];
  };
}

test("a zone is taken whole, then by changes; what does not fit leads to the whole", async (t) => {
  const running = await start(t);
  const { primary } = running;
  primary.script = having(1);
  assert.deepEqual(await refresh(running), { serial: 1, error: "" });
  assert.deepEqual(primary.asked.splice(0), [RRType.AXFR]);

  primary.script = having(2, zoneOf(2), [...soa(2), ...soa(1), ...soa(2), ...soa(2)]);
  assert.deepEqual(await refresh(running), { serial: 2, error: "" });
  assert.deepEqual(primary.asked.splice(0), [RRType.SOA, RRType.IXFR]);

  const lies: readonly (readonly ResourceRecord[])[] = [
    // What is not there is to go; the sequence does not close; it is of another serial.
    [...soa(3), ...soa(2), ...records("none A 192.0.2.9\n"), ...soa(3), ...soa(3)],
    [...soa(4), ...soa(3), ...soa(5), ...soa(5)],
    [...soa(5), ...soa(1), ...soa(5), ...soa(5)],
    // A name could not be answered for.
    [...soa(6), ...soa(5), ...soa(6), ...records("www CNAME ns1\n"), ...soa(6)],
  ];
  for (const [index, lie] of lies.entries()) {
    const serial = 3 + index;
    primary.script = having(serial, zoneOf(serial), lie);
    assert.deepEqual(await refresh(running), { serial, error: "" });
    assert.deepEqual(primary.asked.splice(0), [RRType.SOA, RRType.IXFR, RRType.AXFR]);
    assert.match(running.log.pop() ?? "", /^Passed over an incremental transfer/);
  }
  primary.script = having(6);
  assert.deepEqual(await refresh(running), { serial: 6, error: "" });
  assert.deepEqual(primary.asked.splice(0), [RRType.SOA]);
});

test("what is no zone is refused, and the copy stays; a primary that is behind counts for nothing", async (t) => {
  const running = await start(t);
  const { primary, documents } = running;
  const refused = async (whole: ReturnType<Script>, wanted: RegExp): Promise<void> => {
    const serial = running.keeper.views()[0]?.serial;
    primary.script = (type) =>
      type === RRType.SOA ? [soa(9)] : type === RRType.IXFR ? Rcode.NOTIMP : whole;
    running.log.length = 0;
    const { error, serial: after } = await refresh(running);
    assert.match(error, wanted);
    assert.equal(after, serial);
    assert.match(running.log.at(-1) ?? "", wanted);
  };
  const bad = async (): Promise<void> => {
    await refused(Rcode.REFUSED, /it answers REFUSED/);
    await refused([[...soa(9), ...rest], "end"], /ends before it is whole/);
    await refused([Uint8Array.of(1, 2, 3)], /cannot be read/);
    await refused([[...soa(9), ...soa(9)]], /expected a whole zone/);
    await refused([[...soa(9), ...rest.slice(1), ...soa(9)]], /has no NS/);
    await refused([zoneOf(9, records("www CNAME ns1\n"))], /www\.example\.org\. has a CNAME and A/);
  };
  await bad();
  assert.equal(running.keeper.views()[0]?.state, "waiting");
  primary.script = having(1);
  assert.equal((await refresh(running)).serial, 1);
  const { revision } = documents();
  await bad();
  primary.script = having(0xffff_fff0);
  assert.match((await refresh(running)).error, /is before 1/);
  assert.equal(documents().revision, revision, "nothing was written");

  // Too old: whatever the primary has then is taken.
  running.nowMs += 86_400_000;
  assert.equal(running.keeper.views()[0]?.state, "expired");
  assert.deepEqual(await refresh(running), { serial: 0xffff_fff0, error: "" });
  assert.equal(running.keeper.views()[0]?.state, "ready");
});

test("every message has to be signed rightly", async (t) => {
  const running = await start(t, {}, "xfr.example");
  const { primary } = running;
  primary.script = having(1);
  assert.match((await refresh(running)).error, /a message is not signed/);
  const session = (packet: Uint8Array, secretText: string): TsigSession => {
    const own = tsigKey("xfr.example", "hmac-sha256", secretText);
    assert.ok(own !== undefined && key !== undefined);
    const record = readTsig(packet);
    assert.ok(typeof record === "object");
    const asked = new TsigSession(own);
    asked.verify(packet, record, Math.floor(Date.now() / 1000));
    return asked;
  };
  primary.sign = (packet) => session(packet, Buffer.from("another secret").toString("base64"));
  assert.match((await refresh(running)).error, /signed wrongly: BADSIG/);
  primary.sign = (packet) => session(packet, secret);
  const { nowMs } = running;
  running.nowMs += 1_000_000_000;
  assert.match((await refresh(running)).error, /signed wrongly: BADTIME/);
  running.nowMs = nowMs;
  const inTime = await start(t, {}, "xfr.example");
  inTime.primary.sign = primary.sign;
  // Two messages, each signed.
  inTime.primary.script = () => [zoneOf(1).slice(0, 2), zoneOf(1).slice(2)];
  assert.deepEqual(await refresh(inTime), { serial: 1, error: "" });
});

test("a digest that is there has to be right, and has to be there where it is wanted", async (t) => {
  const running = await start(t, { zonemd: "require" });
  const { primary } = running;
  primary.script = having(1);
  assert.match((await refresh(running)).error, /has no ZONEMD/);
  const digested = (serial: number, content: readonly ResourceRecord[]): ResourceRecord => ({
    ...{ owner: origin, type: RRType.ZONEMD, class: 1, ttl: 60 },
    rdata: zonemdRdata(serial, 1, zoneDigest(origin, [...soa(serial), ...content], 1)),
  });
  primary.script = having(1, zoneOf(1, [digested(1, rest.slice(1))]));
  assert.match((await refresh(running)).error, /ZONEMD\) is wrong: digest/);
  primary.script = having(1, zoneOf(1, [digested(1, rest)]));
  assert.deepEqual(await refresh(running), { serial: 1, error: "" });
  // Changes after which the old digest is still there: the whole zone is asked for.
  const whole = zoneOf(2, [digested(2, rest)]);
  primary.script = having(2, whole, [...soa(2), ...soa(1), ...soa(2), ...soa(2)]);
  assert.deepEqual(await refresh(running), { serial: 2, error: "" });
  assert.equal(primary.asked.at(-1), RRType.AXFR);
});

test("an end is kept later when it is later by an eighth, and a zone that is no longer secondary is forgotten", async (t) => {
  const running = await start(t);
  const { primary, documents, keeper, zones } = running;
  primary.script = having(1);
  await refresh(running);
  const { revision } = documents();
  await refresh(running);
  assert.equal(documents().revision, revision, "2700 s of 86400 are too few");
  const end = keeper.views()[0]?.expiresMs ?? 0;
  for (let turn = 0; turn < 4; turn += 1) await refresh(running);
  assert.ok((keeper.views()[0]?.expiresMs ?? 0) > end + 86_400_000 / 8);
  assert.equal(documents().revision, revision + 1);

  zones.clear();
  keeper.tick();
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    if (documents().ofKind("ZoneCopyPart").next().done === true) break;
    await sleep(LOOK_MS);
  }
  assert.deepEqual([...documents().ofKind("ZoneCopyPart")], []);
});
