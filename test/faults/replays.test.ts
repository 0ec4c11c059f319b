// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { queryFor } from "../e2e/ask.ts";
import { plainDocuments } from "../e2e/documents.ts";
import { ServerProcess, freePort, temporaryFolder, until } from "../e2e/process.ts";
import type { Answer } from "./judgement.ts";
import { Replays, hashOf, idOf } from "./replays.ts";

const EDGE = "e";
const LOGGED_MS_MAX = 60_000;

test("an answer that its edge's state does not yield is noticed when it is asked for again", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "documents");
  mkdirSync(files);
  writeFileSync(join(files, "plain.yaml"), plainDocuments("192.0.2.1"));
  const [port, stateDir, path] = [await freePort(), join(folder, "state"), join(folder, "log")];
  const flags = ["--query-log", path, "--query-log-sample", "1"];
  const server = await ServerProcess.start(t, { files, stateDir, port, flags });
  await server.whenLogged(/"msg":"Compiled the files"/);
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  const answerOf = (bytes: Uint8Array): Answer => ({
    ...{ edge: EDGE, askedMs: performance.now() },
    ...{ id: idOf(bytes), hash: hashOf(bytes) },
  });
  const ask = (): Promise<Uint8Array> => client.ask(queryFor("www.e2e.example", "A"));
  const right = await ask();
  const planted = Uint8Array.from(await ask());
  planted[planted.lastIndexOf(1)] = 2;
  const lost = await ask();
  const other = await ask();
  const lines = (): string[] => (existsSync(path) ? readFileSync(path, "utf8").split("\n") : []);
  await until("four logged answers", LOGGED_MS_MAX, () => lines().length > 4);

  // What an edge with such a fault would have left.
  const lineOf = (bytes: Uint8Array): string =>
    lines().find((line) => line.includes(`"answer":"${hexOf(bytes.subarray(0, 2))}`)) ?? "";
  const logged = lineOf(planted).replace(/"answer":"\w+"/, `"answer":"${hexOf(planted)}"`);
  const forgotten = lineOf(lost).replace(/"revision":\d+/, '"revision":999');
  const faulty = join(folder, "faulty");
  appendFileSync(faulty, [lineOf(right), logged, forgotten, lineOf(other), ""].join("\n"));

  const counter = { counterName: "www.e2e.example", valueOf: (): number => 7 };
  const replays = new Replays([{ edge: { name: EDGE, stateDir }, path: faulty }], counter);
  const seen = [
    ...[right, planted, lost].map((bytes) => answerOf(bytes)),
    { ...answerOf(other), hash: 1 },
    { ...answerOf(right), id: 60_000 },
    { ...answerOf(right), edge: "another" },
  ];
  await replays.stop();
  const sample = replays.replays.map(({ outcome }) => outcome);
  assert.deepEqual(sample, ["equal"], "one in fifty");
  await replays.ask(seen);
  const asked = replays.replays.slice(sample.length);
  assert.deepEqual(
    asked.map(({ outcome }) => outcome),
    ["equal", "different", "forgotten", "different", "unlogged"],
  );
  assert.deepEqual(
    asked.map(({ answer }) => answer),
    seen.slice(0, 5),
  );
  assert.match(asked[1]?.text ?? "", /192\.0\.2\.2/);
  assert.equal(asked[0]?.value, 7);
});

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
