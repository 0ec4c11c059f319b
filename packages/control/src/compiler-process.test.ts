// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { fork, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { makeManifest, type ManifestSection } from "@meridian/snapshot";
import { CompilerProcess } from "./compiler-process.ts";
import type { AcceptedLoad, LoadOutcome, LoadRequest } from "./file-load.ts";
import { heldAfter, withChange } from "./served-model.ts";
import { SnapshotStore, StateDir } from "@meridian/snapshot/disk";

const pool = (name: string, address: string): string =>
  JSON.stringify({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Pool",
    metadata: { name },
    spec: { members: { a: { address } } },
  });

const zone = JSON.stringify({
  apiVersion: "meridian.dev/v1alpha1",
  kind: "Zone",
  metadata: { name: "example.org" },
  spec: { origin: "example.org", nameServers: [{ name: "ns.example.net" }] },
});

const record = (name: string): string =>
  JSON.stringify({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Record",
    metadata: { name },
    spec: { name, pool: "p0" },
  });

interface Started {
  readonly compiler: CompilerProcess;
  readonly folder: string;
  readonly state: string;
  readonly write: (documents: readonly string[]) => void;
}

function makeCompiler(context: TestContext, idleMs?: number): Started {
  const folder = mkdtempSync(join(tmpdir(), "meridian-compiler-"));
  const state = join(folder, "state");
  const directory = new StateDir(state);
  directory.lock();
  const file = join(folder, "model.jsonl");
  const write = (documents: readonly string[]): void =>
    writeFileSync(file, `${documents.join("\n")}\n`);
  write([pool("p0", "192.0.2.1"), pool("p1", "192.0.2.2"), zone, record("www.example.org")]);
  const compiler = new CompilerProcess({ paths: [file], snapshotFolder: state }, idleMs);
  context.after(async () => {
    await compiler.close();
    directory.unlock();
    rmSync(folder, { recursive: true, force: true });
  });
  return { compiler, folder, state, write };
}

/** Loads that may pass without one look at the process at work. */
const LOADS_MAX = 100;
const request: LoadRequest = {
  nowMs: 0,
  seed: 7,
  published: [],
  serialBase: 1,
  servedCount: 0,
  allowEmpty: false,
  isTrial: false,
  stored: [],
  icmpUnavailable: undefined,
  held: undefined,
};

function accepted(outcome: LoadOutcome): AcceptedLoad {
  assert.deepEqual([outcome.errors, outcome.problems.filter(isError)], [[], []]);
  assert.ok(outcome.accepted !== undefined);
  return outcome.accepted;
}

function isError({ severity }: { readonly severity: string }): boolean {
  return severity === "error";
}

/** Whether this user may take a lowered priority back. */
function mayRaise(): boolean {
  const child = spawnSync(process.execPath, [
    "-e",
    "const { setPriority } = require('node:os'); setPriority(0, 19); setPriority(0, 0);",
  ]);
  return child.status === 0;
}

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isDone()) {
    assert.ok(performance.now() < deadline, "it happens within a minute");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What `look` gives while something is done, again and again. */
async function seenDuring<Value>(done: Promise<unknown>, look: () => Value): Promise<Set<Value>> {
  const seen = new Set<Value>();
  let isDone = false;
  const end = done.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    seen.add(look());
    await new Promise((resolve) => setImmediate(resolve));
  }
  await end;
  return seen;
}

function isAlive(pid: number): boolean {
  try {
    // A zombie has no command line.
    return readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}

test("load() puts sections on disk and answers with their names; keep() makes them a revision", async (context) => {
  const { compiler, state } = makeCompiler(context);
  const { sections } = accepted(await compiler.load(request));
  assert.ok(sections.every(({ name }) => existsSync(join(state, "sections", name))));
  const store = new SnapshotStore(state);
  assert.equal(store.load().stored, undefined);
  await compiler.keep({ manifest: makeManifest(1, 7, sections), written: [], served: [] });
  assert.deepEqual(
    store.load().stored?.sections.map(({ name }) => name),
    sections.map(({ name }) => name),
  );
});

test("keep() refuses a revision whose sections are not there, and goes on", async (context) => {
  const { compiler, state } = makeCompiler(context);
  const missing: ManifestSection = {
    kind: 2,
    key: "0".repeat(16),
    name: "a".repeat(64),
    bytes: 64,
  };
  await assert.rejects(
    compiler.keep({ manifest: makeManifest(1, 7, [missing]), written: [], served: [] }),
    /Cannot keep revision 1: section a+ is not there/,
  );
  const { sections } = accepted(await compiler.load(request));
  await compiler.keep({ manifest: makeManifest(1, 7, sections), written: [], served: [] });
  assert.equal(new SnapshotStore(state).load().stored?.revision, 1);
});

test("what is compiled and not kept yet outlives the pruning for another revision", async (context) => {
  const { compiler, state, write } = makeCompiler(context);
  const first = accepted(await compiler.load(request));
  write([pool("p0", "192.0.2.9")]);
  const second = accepted(await compiler.load({ ...request, published: first.sections }));
  await compiler.keep({ manifest: makeManifest(1, 7, first.sections), written: [], served: [] });
  await compiler.keep({ manifest: makeManifest(2, 7, second.sections), written: [], served: [] });
  const { stored } = new SnapshotStore(state).load();
  assert.deepEqual([stored?.revision, stored?.sections.length], [2, second.sections.length]);
});

test("a load tells what has changed since the last, whichever process did that", async (context) => {
  const { compiler, write } = makeCompiler(context, 1);
  const first = accepted(await compiler.load(request));
  const held = withChange(undefined, first.parts);
  await until(() => compiler.pid === undefined);
  write([pool("p0", "192.0.2.1"), pool("p2", "192.0.2.3"), zone]);
  const { parts } = accepted(
    await compiler.load({ ...request, held: heldAfter(undefined, first.parts), isWhole: true }),
  );
  const { set, removed } = parts.parts.pools;
  assert.deepEqual([set.map(([name]) => name), removed], [["default/p2"], ["default/p1"]]);
  const next = withChange(held, parts);
  assert.deepEqual([...next.pools.keys()], ["default/p0", "default/p2"]);
  assert.equal(next.pool("default", "p0"), held.pool("default", "p0"));
  assert.equal(next.documentCount, 3);
});

test("a compiler that nobody asks gives its memory back, and reads the files again to show records", async (context) => {
  const { compiler } = makeCompiler(context, 1);
  await compiler.load(request);
  const { pid } = compiler;
  await until(() => compiler.pid === undefined);
  if (pid !== undefined) await until(() => !isAlive(pid));
  const { items } = await compiler.records({ limit: 10 }, 0, []);
  assert.deepEqual(
    items.map(({ name }) => name),
    ["www.example.org"],
  );
});

test("a compiler whose files were refused stays: it alone knows the last good ones", async (context) => {
  const { compiler, write } = makeCompiler(context, 1);
  compiler.start();
  const { pid } = compiler;
  const loaded = compiler.load(request);
  write(["{"]);
  const outcome = await loaded;
  const refused = outcome.accepted === undefined ? outcome : await compiler.load(request);
  assert.equal(refused.accepted, undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(pid !== undefined && compiler.pid !== undefined);
});

test("a compiler that is killed while it loads fails the load; the next question starts another", async (context) => {
  const { compiler } = makeCompiler(context);
  compiler.start();
  const { pid } = compiler;
  assert.ok(pid !== undefined);
  const loading = compiler.load(request);
  process.kill(pid, "SIGKILL");
  await assert.rejects(
    loading,
    /Cannot compile: the compiler's process is gone: it was ended by SIGKILL/,
  );
  accepted(await compiler.load(request));
  assert.notEqual(compiler.pid, pid);
});

test("close() ends the process, fails what is asked, and nothing starts it again", async (context) => {
  const { compiler } = makeCompiler(context);
  compiler.start();
  const { pid } = compiler;
  const loading = assert.rejects(compiler.load(request), /COMPILER_DIED|is gone/);
  await compiler.close();
  await loading;
  await assert.rejects(compiler.records({ limit: 10 }, 0, []), /it was closed/);
  assert.ok(pid !== undefined && !isAlive(pid));
});

test(
  "a compiler has the least priority once something is served, but for small changes",
  { skip: process.platform !== "linux" || !mayRaise() },
  async (context) => {
    const { compiler, write } = makeCompiler(context);
    const nice = (): number => getPriority(compiler.pid);
    const own = getPriority();
    const first = accepted(await compiler.load(request));
    assert.equal(nice(), own);
    compiler.yieldToAnswers();
    assert.equal(nice(), own);
    write([pool("p0", "192.0.2.9"), pool("p1", "192.0.2.2"), zone, record("www.example.org")]);
    // So few names are compiled in a few milliseconds, after which the process has its priority again: one look may miss it.
    let seen = new Set<number>();
    let loaded = first;
    for (let loads = 0; loads < LOADS_MAX && !seen.has(19); loads++) {
      const loading = compiler.load({ ...request, isWhole: true });
      seen = await seenDuring(loading, nice);
      loaded = accepted(await loading);
    }
    assert.ok(seen.has(19));
    await until(() => nice() === own);
    write([pool("p0", "192.0.2.8"), pool("p1", "192.0.2.2"), zone, record("www.example.org")]);
    const { parts, sections } = loaded;
    const held = heldAfter(undefined, parts);
    const small = compiler.load({ ...request, held, published: sections });
    assert.deepEqual([...(await seenDuring(small, nice))], [own]);
    const { pid } = compiler;
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await until(() => compiler.pid === undefined);
    const again = compiler.load(request);
    assert.equal(nice(), 19);
    await again;
    await until(() => nice() === own);
  },
);

test(
  "a compiler does not outlive a process that is killed",
  { skip: process.platform !== "linux" },
  async (context) => {
    const { folder } = makeCompiler(context);
    const program = join(folder, "parent.ts");
    writeFileSync(
      program,
      `import { CompilerProcess } from ${JSON.stringify(new URL("./compiler-process.ts", import.meta.url).href)};
const compiler = new CompilerProcess(${JSON.stringify({ paths: [join(folder, "model.jsonl")] })});
compiler.load(${JSON.stringify({ ...request })}).catch(() => undefined);
process.send(compiler.pid);
setInterval(() => {}, 1000);
`,
    );
    const parent = fork(program, [], {
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const pid = await new Promise<number>((resolve) => {
      parent.once("message", (message) => resolve(Number(message)));
    });
    assert.ok(isAlive(pid));
    parent.kill("SIGKILL");
    await until(() => !isAlive(pid));
  },
);
