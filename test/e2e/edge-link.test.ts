// SPDX-License-Identifier: Apache-2.0

// Who may join, who may connect, and what an edge takes of what it is sent.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  DocumentSet,
  EdgeGateway,
  RefusalLog,
  StateDocuments,
  openStore,
  type Store,
} from "@meridian/control";
import {
  CertificateRenewal,
  EdgeReplica,
  EdgeState,
  SILENT_LOGGER,
  joinControl,
  readIdentity,
  type EdgeIdentity,
} from "@meridian/edge";
import { LinkPath, encodeManifest, makeManifest, type SlotTable } from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import { writePolicies, writePools, type WrittenSection } from "@meridian/snapshot/writer";
import { temporaryFolder, until } from "./process.ts";

/** State in a store of its own, or of another control. */
async function stateOf(t: TestContext, given?: Store): Promise<StateDocuments> {
  const path = join(temporaryFolder(t), "store.sqlite");
  const store =
    given ?? (await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined));
  if (given === undefined) t.after(() => store.close());
  const source = {
    store,
    documents: DocumentSet.empty,
    refresh: async () => {
      source.documents = await source.documents.refreshed(store);
    },
  };
  await source.refresh();
  return new StateDocuments(source);
}

const HOUR_MS = 3_600_000;

interface Control {
  readonly gateway: EdgeGateway;
  readonly state: StateDocuments;
  readonly url: string;
  /** What it logged. */
  readonly lines: string[];
  readonly refusals: RefusalLog;
  nowMs: number;
}

async function startControl(
  t: TestContext,
  shared?: { readonly store: Store; readonly keyPath: string },
  clockOffMs = 0,
): Promise<Control> {
  const lines: string[] = [];
  const log = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const control = { nowMs: Date.now() + clockOffMs };
  const state = await stateOf(t, shared?.store);
  const refusals = new RefusalLog(temporaryFolder(t));
  const gateway = await EdgeGateway.open({
    notified: () => {},
    traffic: () => {},
    drains: () => [],
    weights: {
      weights: { look: () => Promise.resolve() },
      storeRevision: () => 0,
      place: () => ({ revision: 0, sequence: 0 }),
    },
    name: "control",
    site: "",
    version: "0.0.0",
    control: () => Promise.reject(new Error("nobody asks")),
    state,
    keyPlace: shared?.keyPath ?? join(temporaryFolder(t), "sealing.key"),
    stateFolder: temporaryFolder(t),
    leading: () => ({}),
    listen: "127.0.0.1:0",
    section: (name) => (name === "served" ? new SharedArrayBuffer(1) : undefined),
    refusals,
    copyPath: join(temporaryFolder(t), "copy.jsonl"),
    hear: () => {},
    update: () => Promise.reject(new Error("nobody sends any")),
    logger: { info: log, warn: log, error: log },
    clock: { wallMs: () => control.nowMs, monotonicMs: () => performance.now() },
  });
  await gateway.start();
  t.after(() => gateway.close());
  const url = `https://${gateway.address}`;
  return Object.assign(control, { gateway, state, url, lines, refusals });
}

test("a token is taken once, in time, and by the control that made it alone", async (t) => {
  const control = await startControl(t);
  const other = await startControl(t);
  const { token } = await control.gateway.invite("eu-1", 60_000);
  await assert.rejects(joinControl(token, other.url), {
    code: "EDGE_JOIN_REFUSED",
    message: /is of another control plane than the token/,
  });
  const identity = await joinControl(token, control.url);
  assert.equal(identity.edge, "eu-1");
  await assert.rejects(joinControl(token, control.url), /the token for "eu-1" was used at/);
  const late = await control.gateway.invite("eu-2", 60_000);
  control.nowMs += 61_000;
  await assert.rejects(joinControl(late.token, control.url), /the token for "eu-2" expired at/);
  const made = late.token.replace(/^mrj_.{43}/, `mrj_${"A".repeat(43)}`);
  await assert.rejects(joinControl(made, control.url), /is not of this control plane/);
  assert.deepEqual(
    control.gateway.views().map(({ name, connected }) => ({ name, connected })),
    [{ name: "eu-1", connected: false }],
  );
  assert.equal(control.lines.filter((line) => line.startsWith("Refused an edge")).length, 3);
  assert.ok(!control.lines.join().includes(token));
  const audited = control.refusals.list();
  assert.deepEqual(
    audited.map(({ subject, request, code }) => `${subject}: ${request}: ${code}`),
    Array.from({ length: 3 }, () => `anonymous: POST ${LinkPath.join}: EDGE_JOIN_REFUSED`),
  );
  assert.match(audited[1]?.message ?? "", /the token for "eu-2" expired at/);
  assert.deepEqual(control.refusals.verify(), []);
  assert.ok(!JSON.stringify(audited).includes(token));
});

test("controls of one store have one authority, and take a token once between them", async (t) => {
  const path = join(temporaryFolder(t), "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  t.after(() => store.close());
  const keyPath = join(temporaryFolder(t), "identity", "sealing.key");
  const first = await startControl(t, { store, keyPath });
  const second = await startControl(t, { store, keyPath });
  const { token } = await first.gateway.invite("eu-1", 60_000);
  const attempts = [first, second, first, second].map(({ url }) => joinControl(token, url));
  const joined = (await Promise.allSettled(attempts)).filter(
    ({ status }) => status === "fulfilled",
  );
  assert.equal(joined.length, 1);
  // Whoever signed it: both know the edge, and renew what it has.
  const identity = await joinControl(
    (await second.gateway.invite("eu-2", 60_000)).token,
    first.url,
  );
  await until("both know eu-2", 5000, async () => {
    await first.state.refresh();
    await second.state.refresh();
    return [first, second].every(({ gateway }) =>
      gateway.views().some(({ name }) => name === "eu-2"),
    );
  });
  for (const { url } of [first, second]) {
    const renewal = new CertificateRenewal({
      controls: [url],
      stateFolder: temporaryFolder(t),
      identity,
      logger: SILENT_LOGGER,
      wallMs: () => Date.now() + 23 * 3_600_000,
    });
    await renewal.renewIfDue();
    assert.notEqual(renewal.identity.certificate, identity.certificate);
  }
  // What makes edges is neither in the store in clear nor opened with another key.
  const { documents } = await store.list({ kind: "Authority" });
  assert.match(documents[0]?.text ?? "", /BEGIN CERTIFICATE/);
  assert.doesNotMatch(documents[0]?.text ?? "", /PRIVATE KEY/);
  assert.equal(statSync(keyPath).mode & 0o777, 0o600);
  const other = { store, keyPath: join(temporaryFolder(t), "sealing.key") };
  await assert.rejects(startControl(t, other), { code: "SEALING_KEY_INVALID" });
  writeFileSync(other.keyPath, `${Buffer.alloc(32, 7).toString("base64")}\n`);
  await assert.rejects(startControl(t, other), {
    code: "SEALING_KEY_INVALID",
    message: /sealed with another one/,
  });
});

test("a certificate of another control plane is refused and logged", async (t) => {
  const control = await startControl(t);
  const other = await startControl(t);
  const foreign = await joinControl((await other.gateway.invite("eu-1", 60_000)).token, other.url);
  await joinControl((await control.gateway.invite("eu-1", 60_000)).token, control.url);
  const session = connect(control.url, {
    cert: foreign.certificate,
    key: foreign.key,
    rejectUnauthorized: false,
  });
  t.after(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": LinkPath.link });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  stream.on("response", (headers) => resolve(headers[":status"]));
  stream.end();
  assert.equal(await promise, 403);
  assert.match(
    control.lines.at(-1) ?? "",
    /^Refused an edge .*the certificate of \\"eu-1\\" is not/,
  );
});

test("a probe may report and is refused the copy of the documents and what is served; an edge is not", async (t) => {
  const control = await startControl(t);
  const joined = async (name: string, role: "edge" | "probe"): Promise<EdgeIdentity> => {
    const { token } = await control.gateway.invite(name, 60_000, role);
    return joinControl(token, control.url);
  };
  const ask = async ({ certificate: cert, key }: EdgeIdentity): Promise<object> => {
    const session = connect(control.url, { cert, key, rejectUnauthorized: false });
    t.after(() => session.destroy());
    const section = `${LinkPath.sections}served`;
    const paths = [LinkPath.copy, section, LinkPath.link, LinkPath.vantage];
    const answers = paths.map(async (path) => {
      const method = path === LinkPath.copy || path === section ? "GET" : "POST";
      const stream = session.request(
        { ":method": method, ":path": path },
        { endStream: method === "GET" },
      );
      const { promise, resolve } = Promise.withResolvers<unknown>();
      stream.on("response", (headers) => resolve(headers[":status"]));
      return [path.split("/").at(-1) ?? "", await promise] as const;
    });
    return Object.fromEntries(await Promise.all(answers));
  };
  control.gateway.setServing(true);
  const reportsAlone = { copy: 403, served: 404, link: 403, vantage: 200 };
  const probe = await joined("far-1", "probe");
  assert.deepEqual(await ask(probe), reportsAlone);
  // Nobody publishes here, so that there is no revision to follow yet.
  const mayAll = { copy: 200, served: 200, link: 503, vantage: 200 };
  assert.deepEqual(await ask(await joined("eu-1", "edge")), mayAll);
  assert.deepEqual(
    control.gateway.views().map(({ name }) => name),
    ["eu-1"],
  );
  assert.match(control.lines.join("\n"), /"far-1\\" joined as a probe/);
  const audited = control.refusals
    .list()
    .map(({ subject, request, code }) => `${subject}: ${request}: ${code}`);
  assert.deepEqual(audited.toSorted(), [
    `edge/far-1: GET ${LinkPath.copy}: ACCESS_DENIED`,
    `edge/far-1: POST ${LinkPath.link}: ACCESS_DENIED`,
  ]);

  // A name that joins as an edge makes none of the certificate that it had as a probe, nor does renewing that.
  await joined("far-1", "edge");
  assert.deepEqual(await ask(probe), reportsAlone);
  const stateFolder = temporaryFolder(t);
  const renewal = new CertificateRenewal({
    ...{ controls: [control.url], stateFolder, identity: probe, logger: SILENT_LOGGER },
    wallMs: () => Date.now() + 17 * 3_600_000,
  });
  await renewal.renewIfDue();
  assert.notEqual(renewal.identity.key, probe.key);
  assert.deepEqual(await ask(renewal.identity), reportsAlone);
  assert.equal(control.refusals.list().length, 2, "what is refused again is written once");

  // Nor do the processes take one for the other.
  assert.deepEqual(readIdentity(stateFolder, "probe"), renewal.identity);
  assert.throws(() => readIdentity(stateFolder, "edge"), {
    code: "EDGE_NOT_JOINED",
    message: /"far-1" joined with a token of --probe, expected one of --edge/,
  });
});

test("a certificate is renewed before it ends, and by who was away for longer", async (t) => {
  const control = await startControl(t);
  const stateFolder = temporaryFolder(t);
  const joined = await joinControl(
    (await control.gateway.invite("eu-1", 60_000)).token,
    control.url,
  );
  const clock = { nowMs: Date.now() };
  const renewal = new CertificateRenewal({
    controls: [control.url],
    stateFolder,
    identity: joined,
    logger: SILENT_LOGGER,
    wallMs: () => clock.nowMs,
  });
  await renewal.renewIfDue();
  assert.equal(renewal.identity, joined);
  clock.nowMs += 17 * 3_600_000;
  await renewal.renewIfDue();
  assert.notEqual(renewal.identity.key, joined.key);
  assert.deepEqual(readIdentity(stateFolder, "edge"), renewal.identity);

  // One that ended in the week before.
  control.nowMs = Date.now() - 7 * 24 * 3_600_000;
  const old = await joinControl((await control.gateway.invite("eu-2", 60_000)).token, control.url);
  control.nowMs = Date.now();
  const late = new CertificateRenewal({
    controls: [control.url],
    stateFolder,
    identity: old,
    logger: SILENT_LOGGER,
    wallMs: () => Date.now(),
  });
  await late.renewIfDue();
  assert.ok(Date.parse(new X509Certificate(late.identity.certificate).validTo) > Date.now());
});

test("a clock that is an hour off keeps no edge from joining, following and renewing", async (t) => {
  // Certificates are judged by the clock of this process: the edge's.
  for (const offMs of [-HOUR_MS, HOUR_MS]) {
    const control = await startControl(t, undefined, offMs);
    const { token } = await control.gateway.invite("eu-1", 60_000);
    const identity = await joinControl(token, control.url);
    assert.equal(await sectionStatus(t, control, identity), 404, "it is let in");
    const { validFromDate, validToDate } = new X509Certificate(identity.certificate);
    assert.ok(validFromDate.getTime() < Date.now());
    assert.ok(validToDate.getTime() > Date.now() + HOUR_MS);
    // The edge's clock is off, too, the other way.
    const renewal = new CertificateRenewal({
      controls: [control.url],
      stateFolder: temporaryFolder(t),
      identity,
      logger: SILENT_LOGGER,
      wallMs: () => Date.now() - offMs,
    });
    await renewal.renewIfDue();
    assert.equal(renewal.identity, identity, "two hours are not what it renews for");
    // Whose clock is put right while a token is out: the token holds for as long as control's clock says.
    const late = await control.gateway.invite("eu-2", 60_000);
    control.nowMs -= offMs;
    if (offMs > 0) await joinControl(late.token, control.url);
    else
      await assert.rejects(joinControl(late.token, control.url), /the token for "eu-2" expired at/);
    assert.equal(await sectionStatus(t, control, identity), 404, "it is let in still");
  }
});

test("an edge takes a revision whole and never goes back", async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "sections"));
  mkdirSync(join(folder, "history"));
  const state = new EdgeState(folder, SILENT_LOGGER);
  t.after(() => state.close());
  const served: number[] = [];
  const replica = new EdgeReplica({
    nowMs: () => performance.now(),
    state,
    logger: SILENT_LOGGER,
    serve: ({ revision }) => served.push(revision),
    onPosition: () => {},
    onSynced: () => {},
  });
  const fetched: string[] = [];
  const sendTorn = (sections: readonly WrittenSection[], isTorn: boolean) => (name: string) => {
    fetched.push(name);
    const found = sections.find((section) => section.name === name);
    assert.ok(found !== undefined);
    const bytes = new Uint8Array(found.buffer).slice();
    if (isTorn) bytes.fill(0, bytes.length - 8);
    const buffer = new SharedArrayBuffer(bytes.length);
    new Uint8Array(buffer).set(bytes);
    return Promise.resolve(buffer);
  };
  const [first, second] = [revisionOf(1), revisionOf(2)];
  const fetchFirst = sendTorn(first.sections, false);

  // Not before all of its sections are there, and the right ones.
  assert.equal(replica.offer(first.text, fetchFirst), undefined);
  replica.takeTable(first.table, sendTorn(first.sections, true));
  await until("the torn section", 5000, () => fetched.length > 0);
  await new Promise((done) => {
    setImmediate(done);
  });
  assert.deepEqual(served, []);
  replica.takeTable(first.table, fetchFirst);
  await until("the first revision", 5000, () => served.length > 0);

  // Another table, then an older one.
  replica.takeTable({ ...first.table, sequence: 9 }, fetchFirst);
  replica.takeTable({ ...first.table, sequence: 8 }, fetchFirst);
  assert.deepEqual(replica.position, { epoch: 1, revision: 1, sequence: 9 });

  // Another control counts from elsewhere; only its first table may be a lower one.
  const offered = served.length;
  replica.begin();
  replica.takeChanges({ epoch: 1, revision: 1, sequence: 10, changes: [] });
  replica.takeTable({ ...first.table, sequence: 4 }, fetchFirst);
  replica.takeTable({ ...first.table, sequence: 3 }, fetchFirst);
  assert.deepEqual(replica.position, { epoch: 1, revision: 1, sequence: 4 });
  assert.equal(served.length, offered + 1);

  // The next revision; then neither the one before nor another of its number.
  const fetchSecond = sendTorn(second.sections, false);
  assert.equal(replica.offer(second.text, fetchSecond), undefined);
  replica.takeTable(second.table, fetchSecond);
  await until("the second revision", 5000, () => served.length > 2);
  assert.match(replica.offer(first.text, fetchFirst) ?? "", /an edge never goes back/);
  const forked = first.text.replace('"revision": 1', '"revision": 2');
  assert.match(replica.offer(forked, fetchFirst) ?? "", /an edge never goes back/);
  assert.deepEqual(served, [1, 1, 2]);

  // A store that was restored has lower revisions in a later epoch.
  const restored = revisionOf(1, 5);
  const fetchRestored = sendTorn(restored.sections, false);
  assert.equal(replica.offer(restored.text, fetchRestored), undefined);
  replica.takeTable(restored.table, fetchRestored);
  await until("the restored revision", 5000, () => replica.position.epoch === 5);
  assert.match(replica.offer(second.text, fetchSecond) ?? "", /an edge never goes back/);
  const { store } = new EdgeState(folder, SILENT_LOGGER);
  const { epoch, revision } = store.load().stored ?? {};
  assert.deepEqual({ epoch, revision }, { epoch: 5, revision: 1 });
});

test("a section that was taken in and is not what its name says is fetched again, and served in place of what is", async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "sections"));
  mkdirSync(join(folder, "history"));
  const state = new EdgeState(folder, SILENT_LOGGER);
  t.after(() => state.close());
  const served: number[] = [];
  const replica = new EdgeReplica({
    nowMs: () => performance.now(),
    state,
    logger: SILENT_LOGGER,
    serve: ({ revision }) => served.push(revision),
    onPosition: () => {},
    onSynced: () => {},
  });
  const fetched: string[] = [];
  const { sections, text, table } = revisionOf(1);
  const fetch = (name: string): Promise<SharedArrayBuffer> => {
    fetched.push(name);
    const found = sections.find((section) => section.name === name);
    assert.ok(found !== undefined);
    return Promise.resolve(found.buffer);
  };
  assert.equal(replica.offer(text, fetch), undefined);
  replica.takeTable(table, fetch);
  await until("the revision", 5000, () => served.length === 1);
  const name = sections[0]?.name ?? "";
  const path = join(folder, "sections", name);
  rmSync(path);
  replica.doubt(name);
  replica.doubt("f".repeat(64));
  // Control speaks each second.
  replica.takeTable({ ...table, sequence: 2 }, fetch);
  await until("the section in place of what was served", 5000, () => served.length === 2);
  assert.deepEqual(fetched.slice(sections.length), [name]);
  assert.deepEqual(replica.position, { epoch: 1, revision: 1, sequence: 2 });
  assert.ok(existsSync(path), "a process that starts finds it");
  replica.takeTable({ ...table, sequence: 3 }, fetch);
  await new Promise((done) => {
    setImmediate(done);
  });
  assert.equal(served.length, 2);
  assert.equal(replica.position.sequence, 3);
});

function revisionOf(
  revision: number,
  epoch = 1,
): {
  readonly sections: readonly WrittenSection[];
  readonly text: string;
  readonly table: SlotTable;
} {
  const name = `default/p${revision}`;
  const pool = { name, members: [], answers: 0, dial: 1000, minHealthy: undefined };
  const sections = [writePools([pool]), writePolicies([])];
  const text = encodeManifest(makeManifest(revision, 7, sections.map(manifestSection), epoch));
  return { sections, text, table: { epoch, revision, sequence: 1, slots: new Uint32Array(1) } };
}

test("a revoked edge is cut off and refused at every control, and its certificate for good", async (t) => {
  const control = await startControl(t);
  const join = async (): Promise<EdgeIdentity> =>
    joinControl((await control.gateway.invite("eu-1", 60_000)).token, control.url);
  const before = await join();
  const status = (identity: EdgeIdentity): Promise<unknown> => sectionStatus(t, control, identity);
  assert.equal(await status(before), 404);
  control.nowMs += 2000;
  assert.equal(await control.gateway.revoke("eu-2"), false);
  assert.equal(await control.gateway.revoke("eu-1"), true);
  assert.equal(await status(before), 403);
  assert.deepEqual(
    control.gateway.views().map(({ name, standing }) => ({ name, standing })),
    [{ name: "eu-1", standing: "revoked" }],
  );
  // Renewing it does not help either; joining with a new token does, and the old certificate is refused still.
  const renewal = new CertificateRenewal({
    controls: [control.url],
    stateFolder: temporaryFolder(t),
    identity: before,
    logger: SILENT_LOGGER,
    wallMs: () => Date.now() + 17 * 3_600_000,
  });
  await renewal.renewIfDue();
  assert.equal(renewal.identity, before);
  control.nowMs += 2000;
  const after = await join();
  assert.equal(await status(after), 404);
  assert.equal(await status(before), 403);
});

/** What is said to an edge that asks for a section that nobody has. */
async function sectionStatus(
  t: TestContext,
  control: Control,
  { certificate, key }: EdgeIdentity,
): Promise<unknown> {
  const session = connect(control.url, { cert: certificate, key, rejectUnauthorized: false });
  t.after(() => session.destroy());
  const stream = session.request({ ":path": `${LinkPath.sections}${"0".repeat(64)}` });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  stream.on("response", (headers) => resolve(headers[":status"]));
  stream.on("error", reject);
  stream.end();
  return promise;
}
