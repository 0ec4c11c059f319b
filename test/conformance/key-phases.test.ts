// SPDX-License-Identifier: Apache-2.0

// Every phase through which the keys of a zone go, under a clock that is moved by hand, judged by delv: with what an edge is given in each
// and the DS that the parent has then, an answer validates, and so does one that there is none. Signatures begin an hour before they are
// made, and no walk takes as long, so that delv may have its own clock.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RRType, formatRdata } from "@meridian/dns";
import type { SigningMaterial } from "@meridian/snapshot";
import {
  KEPT_ORIGIN,
  ZoneKeeperScene,
  keptMaterial,
  type KeptControl,
} from "../../packages/control/src/testing/zone-keeper-scene.ts";
import { needs } from "../needs.ts";
import { boundModel } from "./bound-model.ts";
import { RunningEdge } from "./running-edge.ts";

const apex = `${KEPT_ORIGIN}.`;
const text = `
${apex} 20 IN SOA ns.${apex} root.${apex} 1 2 3 4 20
${apex} 20 IN NS ns.${apex}
ns.${apex} 20 IN A 192.0.2.53
www.${apex} 20 IN A 192.0.2.1
`;
/** Where the clock does not run ahead of what is done there are 27. */
const PHASES_MIN = 15;
const SECONDS_MAX = 600;
/** How long a parent takes to do as it is asked, and how long a step of the clock leaves for what it leads to. */
const PARENT_SECONDS = 3;
const STEP_MS = 4;

/** What an edge has, while the parent has these. */
interface Phase {
  readonly material: SigningMaterial;
  readonly ds: readonly Uint8Array[];
}

test(
  "delv validates in every phase of all ways in which keys follow one another",
  { skip: needs("delv", "bind9-dnsutils") },
  async (t) => {
    const scene = await ZoneKeeperScene.start(t);
    scene.nowMs = Date.now();
    const control = await scene.makeControl();
    const walk = new Walk(scene, control);
    await walk.until(2, "the first keys");
    const first = walk.phases.length;
    await control.keeper.roll(KEPT_ORIGIN, undefined);
    await walk.until(2, "a roll of both");
    scene.set({ keys: "csk" });
    await walk.until(1, "one key in the place of two");
    await control.keeper.roll(KEPT_ORIGIN, undefined);
    await walk.until(1, "a roll of the one");
    scene.set({ algorithm: "ed25519" });
    await walk.until(2, "another algorithm, and two keys");
    scene.signed.clear();
    await walk.until(0, "no keys");
    assert.deepEqual(scene.errors, []);
    const phases = walk.phases.slice(first).filter(({ ds }) => ds.length > 0);
    t.diagnostic(`${phases.length} phases`);
    assert.ok(phases.length >= PHASES_MIN, String(phases.length));
    await judge(t, phases);
  },
);

/** Moves the clock by seconds; the parent does as CDS says, some seconds late. */
class Walk {
  readonly phases: Phase[] = [];
  readonly #scene: ZoneKeeperScene;
  readonly #control: KeptControl;
  #sequence = -1;
  #askedSeconds = 0;

  constructor(scene: ZoneKeeperScene, control: KeptControl) {
    this.#scene = scene;
    this.#control = control;
  }

  /** Until there are so many keys, all of them others than before, and the parent names one. */
  async until(keyCount: number, what: string): Promise<void> {
    const before = new Set(this.#tags());
    for (let second = 0; second < SECONDS_MAX; second += 1) {
      this.#scene.nowMs += 1000;
      this.#control.keeper.tick();
      await this.#control.keeper.whenStepped();
      await sleep(STEP_MS);
      this.#look();
      const tags = this.#tags();
      const isNew = tags.length === keyCount && !tags.some((tag) => before.has(tag));
      if (isNew && (keyCount === 0 || this.#isSeen())) return;
    }
    assert.fail(what);
  }

  #look(): void {
    const material = keptMaterial(this.#control.keeper);
    if (material === undefined) return;
    const { ds } = this.#scene.parent;
    const named = ds.get(apex) ?? [];
    const cds = material.apex.find(({ type }) => type === RRType.CDS)?.rdatas;
    const wanted = cds?.filter((rdata) => rdata.length > 5) ?? named;
    const isAsked = textOf(wanted) !== textOf(named);
    this.#askedSeconds = isAsked ? this.#askedSeconds + 1 : 0;
    const isDone = this.#askedSeconds > PARENT_SECONDS;
    if (isDone) ds.set(apex, wanted);
    if (isDone || material.sequence !== this.#sequence)
      this.phases.push({ material, ds: ds.get(apex) ?? [] });
    this.#sequence = material.sequence;
  }

  #tags(): readonly number[] {
    const { keys = [] } = this.#control.keeper.zones.get(KEPT_ORIGIN)?.zone ?? {};
    return keys.map(({ keyTag }) => keyTag);
  }

  #isSeen(): boolean {
    const { keys = [] } = this.#control.keeper.zones.get(KEPT_ORIGIN)?.zone ?? {};
    return keys.some(({ dsSeenMs }) => dsSeenMs !== undefined);
  }
}

function textOf(rdatas: readonly Uint8Array[]): string {
  return rdatas.map((rdata) => formatRdata(RRType.DS, rdata)).join();
}

async function judge(t: TestContext, phases: readonly Phase[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-phases-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const edge = await RunningEdge.start();
  t.after(() => edge.close());
  const anchor = join(folder, "anchor.conf");
  const { port } = edge.address;
  for (const { material, ds } of phases) {
    await edge.serve({ ...boundModel, zones: [{ origin: apex, text }] }, [material]);
    const anchors = ds.map((rdata) => {
      const [tag, algorithm, kind, digest] = formatRdata(RRType.DS, rdata).split(" ");
      return `"${apex}" static-ds ${tag} ${algorithm} ${kind} "${digest}";`;
    });
    writeFileSync(anchor, `trust-anchors { ${anchors.join(" ")} };\n`);
    const said = await Promise.all(
      ["www", "gone"].map(async (label) => {
        const where = ["@127.0.0.1", "-p", String(port), "-a", anchor, `+root=${apex}`];
        const { stdout, stderr } = await promisify(execFile)("delv", [
          ...where,
          `${label}.${apex}`,
        ]);
        return `${stdout}${stderr}`;
      }),
    );
    const what = `${said.join("")}${textOf(ds)}`;
    assert.match(said[0] ?? "", /; fully validated\n.*192\.0\.2\.1/, what);
    assert.match(said[1] ?? "", /negative response, fully validated[^]*ncache nxdomain/, what);
  }
}
