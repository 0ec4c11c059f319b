// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./ask.ts";
import { HealthTarget } from "./health-target.ts";
import { startLoader } from "./loader.ts";
import { buildNative, nativePath } from "./native.ts";
import { freePort, startPinned, stopProgram, waitFor } from "./program.ts";

// The C programs of the harness against the real network. Answers come from a few lines of JavaScript here.

const compiler = process.platform === "linux" ? await buildNative("loader") : undefined;
const skip = compiler === undefined ? "no C compiler" : false;
let folder = "";

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "bench-native-"));
  if (skip === false) {
    await buildNative("echo");
    await buildNative("health-target");
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("loader gets every datagram back from echo at a fixed rate", { skip }, async () => {
  const port = await freePort();
  const names = write("names", "a.example\nb.example\n");
  const prefixes = write("prefixes", "192.0.2.0/24 0\n198.51.100.0/25 1\n");
  const echo = startPinned(
    "0",
    nativePath("echo"),
    ["127.0.0.1", String(port)],
    join(folder, "log"),
  );
  try {
    await waitFor("echo to answer", 10_000, () => ask(port, "a.example.", 50), echo);
    const found = await load(port, { names, prefixes }).summary;
    assert.equal(found.sent, 600);
    assert.equal(found.received + found.late, 600);
    assert.ok(found.p50 <= found.p99 && found.p99 <= found.max * 1.02);
  } finally {
    await stopProgram(echo);
  }
});

test("loader counts answers that are not as expected and says which", { skip }, async () => {
  const server = await answering(() => [127, 16, 0, 1]);
  const names = write("names", "right.example\nwrong.example\n");
  const expected = write("expected", "0 127.16.0.2,127.16.0.1\n0 127.16.0.2,127.16.0.10\n");
  try {
    const run = load(server.port, { names, expected, check: 1 });
    const found = await run.summary;
    assert.equal(found.checked, 600);
    assert.ok(found.wrong > 200 && found.wrong < 400, `${found.wrong} wrong`);
    assert.ok(run.wrong.every((each) => each.name === "wrong.example."));
    assert.deepEqual(run.wrong[0]?.addresses, ["127.16.0.1"]);
  } finally {
    await server.close();
  }
});

test("loader chooses the expected set by the region of the query's prefix", { skip }, async () => {
  // The last octet of the option is the third of the prefix, which names the region here.
  const server = await answering((query) => [127, 16, 0, query.at(-1) ?? 0]);
  const names = write("names", "geo.example\n");
  const prefixes = write("prefixes", "192.0.5.0/24 0\n192.0.6.0/24 1\n");
  const expected = write("expected", "0 127.16.0.5|127.16.0.6\n");
  try {
    const found = await load(server.port, { names, prefixes, expected, check: 1 }).summary;
    assert.deepEqual([found.checked, found.wrong], [600, 0]);
  } finally {
    await server.close();
  }
});

test("loader leaves out what it is late to send where it is told to", { skip }, async () => {
  const server = await answering(() => [127, 16, 0, 1]);
  try {
    const names = write("names", "a.example\n");
    const run = load(server.port, { names, watch: true, skipLateUs: 50_000 });
    await run.change(0, () => true, 5000);
    process.kill(run.pid, "SIGSTOP");
    await sleep(120);
    process.kill(run.pid, "SIGCONT");
    const { sent, skipped = 0, lost } = await run.summary;
    assert.ok(skipped >= 200, String(skipped));
    assert.deepEqual([sent + skipped, lost], [600, 0]);
  } finally {
    await server.close();
  }
});

test("loader watches for changed answers", { skip }, async () => {
  const start = Number(process.hrtime.bigint());
  let asked = 0;
  const server = await answering(() => [127, 16, 0, (asked += 1) > 300 ? 2 : 1]);
  try {
    const run = load(server.port, { names: write("names", "a.example\n"), watch: true });
    await run.summary;
    assert.deepEqual(
      run.changes.map((change) => [change.event, change.name, change.addresses]),
      [
        ["first", "a.example.", ["127.16.0.1"]],
        ["change", "a.example.", ["127.16.0.2"]],
      ],
    );
    const [first, second] = run.changes.map((change) => change.ns);
    assert.ok(first !== undefined && second !== undefined && start < first && first < second);
    assert.ok(second < Number(process.hrtime.bigint()));
  } finally {
    await server.close();
  }
});

test("loader counts a silent server's queries as lost", { skip }, async () => {
  const silent = createSocket("udp4");
  const port = await new Promise<number>((resolve) => {
    silent.bind(0, "127.0.0.1", () => resolve(silent.address().port));
  });
  const found = await load(port, { names: write("names", "a.example\n"), timeoutMs: 100 }).summary;
  assert.deepEqual([found.sent, found.received, found.lost], [600, 0, 600]);
  silent.close();
});

test("health-target answers for each loopback address and reports a change", { skip }, async () => {
  const down = write("down", "127.16.0.2\n");
  const target = new HealthTarget(await freePort(), 0, down);
  try {
    await target.ready();
    assert.equal(await status("127.16.0.1", target.port), 200);
    assert.equal(await status("127.16.0.2", target.port), 503);
    const change = target.set("127.16.0.1", "down", 2000);
    assert.equal(await status("127.16.0.1", target.port), 503);
    const served = await change;
    assert.equal(served?.state, "down");
    assert.ok((served?.ns ?? Infinity) <= Number(process.hrtime.bigint()));
    assert.equal(await target.set("127.16.0.9", "up", 20), undefined);
  } finally {
    await target.close();
  }
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function load(
  port: number,
  options: Omit<Parameters<typeof startLoader>[0], "port" | "core" | "rate" | "seconds" | "seed">,
): ReturnType<typeof startLoader> {
  return startLoader({
    port,
    core: 0,
    rate: 2000,
    seconds: 0.3,
    seed: 1,
    timeoutMs: 5000,
    ...options,
  });
}

/** A DNS server that answers each query with one A record. */
async function answering(
  address: (query: Buffer) => readonly number[],
): Promise<{ port: number; close: () => Promise<void> }> {
  const socket = createSocket("udp4");
  socket.on("message", (query, peer) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...address(query)]);
    socket.send(Buffer.concat([head, question, record]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", () => resolve()));
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

async function status(host: string, port: number): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request({ host, port, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode);
  })
    .on("error", reject)
    .end();
  return promise;
}
