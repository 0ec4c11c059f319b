// SPDX-License-Identifier: Apache-2.0

// Control is lost with its store, and made anew from what is left: an edge's state folder, or an old backup. Edges answer all the while.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { document } from "./documents.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
/** An edge asks for its copy 5 s after its start. */
const COPY_MS_MAX = 60_000;

const zone = document("Zone", "lost.example", {
  origin: "lost.example",
  nameServers: [{ name: "ns.lost.example", addresses: ["192.0.2.53"] }],
});

const service = (address: string): string =>
  document("Pool", "web", { members: { one: { address } } }) +
  document("Record", "www.lost.example", { name: "www.lost.example", pool: "web" });

interface Plane {
  readonly folder: string;
  readonly control: PlaneProcess;
  readonly controlFolder: string;
  readonly edge: PlaneProcess;
  readonly edgeFolder: string;
  readonly answer: () => Promise<string>;
}

/** One control with an applied document, and then one edge. */
async function startPlane(t: TestContext): Promise<Plane> {
  const folder = temporaryFolder(t);
  const files = join(folder, "zone.yaml");
  writeFileSync(files, zone);
  const controlPort = await freePort();
  const controlFolder = join(folder, "control");
  const control = new PlaneProcess(t, controlFolder, [
    ...["control", "-f", files, "--edges", `127.0.0.1:${controlPort}`, "--http", "none"],
    ...["--key-file", join(folder, "sealing.key")],
  ]);
  await control.start(/"msg":"Serving edges"/);
  await apply({ folder, controlFolder }, service("192.0.2.1"));
  const port = await freePort();
  const url = `https://127.0.0.1:${controlPort}`;
  const edge = await joinedEdge(t, { folder, control, url }, "eu-0", port);
  await edge.start(/"msg":"Serving a new revision"/);
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  const answer = async (): Promise<string> =>
    (await ask(client, "www.lost.example", "A")).join(" ");
  return { folder, control, controlFolder, edge, edgeFolder: edge.stateDir, answer };
}

async function apply(
  { folder, controlFolder }: Pick<Plane, "folder" | "controlFolder">,
  text: string,
): Promise<void> {
  const path = join(folder, "applied.yaml");
  writeFileSync(path, text);
  const { code, stderr } = await meridian("apply", "-f", path, "--state", controlFolder);
  assert.equal(code, 0, stderr);
}

const answers = ({ answer }: Plane, address: string): Promise<number> =>
  until(`the answer ${address}`, LOOK_MS_MAX, async () => (await answer()) === address);

/** Control ends as in a crash, and its folder with it; `answered` hears of every answer meanwhile, until it is called. */
async function lose(plane: Plane): Promise<() => Promise<readonly string[]>> {
  const heard = new Set<string>();
  let isOver = false;
  const listening = (async (): Promise<void> => {
    while (!isOver) heard.add(await plane.answer());
  })();
  await plane.control.kill();
  rmSync(plane.controlFolder, { recursive: true });
  mkdirSync(plane.controlFolder, { mode: 0o700 });
  return async () => {
    isOver = true;
    await listening;
    return [...heard];
  };
}

async function restore({ controlFolder }: Plane, path: string): Promise<void> {
  const { code, stderr } = await meridian("store", "restore", path, "--state", controlFolder);
  assert.equal(code, 0, stderr);
}

test("control is made anew from the state folder of an edge", async (t) => {
  const plane = await startPlane(t);
  await answers(plane, "192.0.2.1");
  const copy = join(plane.edgeFolder, "control-copy.jsonl");
  await until("a copy", COPY_MS_MAX, () => existsSync(copy));
  const over = await lose(plane);
  const saved = join(plane.folder, "saved.jsonl");
  copyFileSync(copy, saved);
  await restore(plane, saved);
  await plane.control.start(/"msg":"Serving edges"/);
  await plane.edge.whenLogged(/"msg":"Connected to control"[^]*"msg":"Connected to control"/);
  assert.deepEqual(await over(), ["192.0.2.1"]);
  // It did not have to join again, and follows what is written now.
  await apply(plane, service("192.0.2.2"));
  await answers(plane, "192.0.2.2");
});

test("control is made anew from a backup that is older than what edges serve", async (t) => {
  const plane = await startPlane(t);
  await answers(plane, "192.0.2.1");
  const backup = join(plane.folder, "backup.jsonl");
  const saved = await meridian("store", "backup", backup, "--state", plane.controlFolder);
  assert.equal(saved.code, 0, saved.stderr);
  for (const last of [2, 3, 4]) await apply(plane, service(`192.0.2.${last}`));
  await answers(plane, "192.0.2.4");
  const over = await lose(plane);
  await restore(plane, backup);
  await plane.control.start(/"msg":"Serving edges"/);
  // Older documents under a lower revision, and taken all the same: a restore begins a new epoch.
  await answers(plane, "192.0.2.1");
  assert.deepEqual(await over(), ["192.0.2.4", "192.0.2.1"]);
  await apply(plane, service("192.0.2.5"));
  await answers(plane, "192.0.2.5");
});
