// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { key64 } from "@meridian/core";
import { parseName, RRType } from "@meridian/dns";
import { SectionPack } from "../section-pack.ts";
import { writePolicies, writePools } from "../writer.ts";
import { branch, member, node, pool } from "../testing/world-fixture.ts";
import { TargetKind, World } from "../world.ts";
import { ZoneWriter } from "../zone/zone-writer.ts";
import { LinksFile } from "./links-file.ts";

const HASH = "ab".repeat(32);

function makeFile(context: TestContext): { file: LinksFile; path: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "meridian-links-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return { file: new LinksFile(folder, assert.fail), path: join(folder, "links.bin"), folder };
}

function makePack(): SectionPack {
  const zone = new ZoneWriter(wire("example.org."));
  for (const [owner, target] of ["pool/default/b", "pool/default/a"].entries())
    zone.addBinding(wire(`n${owner}.example.org.`), [RRType.A], {
      targetKind: TargetKind.pool,
      targetKey: key64(target),
      ttlMin: 5,
      ttlMax: 60,
    });
  const pack = SectionPack.make([
    writePools([pool("default/a", [member("x", 1)]), pool("default/b", [member("y", 2)])]),
    writePolicies([
      {
        name: "default/p",
        root: "root",
        nodes: [node("root", "failover", [branch({ pool: "default/b" })])],
      },
    ]),
    ...zone.finish(),
  ]);
  if ("error" in pack) throw new TypeError(pack.error);
  return pack;
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}

function loaded(world: World | { readonly error: string }): World {
  if ("error" in world) throw new TypeError(world.error);
  return world;
}

test("read() gives what keep() wrote, and a world that is loaded with it is the same", (context) => {
  const { file, folder } = makeFile(context);
  const { sections } = makePack();
  const world = loaded(World.load(sections, 1));
  assert.ok(world.resolvedLinks().pools.length > 0 && world.resolvedLinks().targets.length === 2);
  file.keep(HASH, world);
  file.close();
  const links = new LinksFile(folder, assert.fail).read(HASH);
  assert.ok(links !== undefined);
  const again = loaded(World.load(sections, 1, undefined, true, links));
  assert.deepEqual(again.share(), world.share());
});

test("links of another manifest, torn and missing ones are none", (context) => {
  const { file, path } = makeFile(context);
  assert.equal(file.read(HASH), undefined);
  file.keep(HASH, loaded(World.load(makePack().sections, 1)));
  file.close();
  assert.equal(file.read("cd".repeat(32)), undefined);
  const bytes = readFileSync(path);
  for (const torn of [
    bytes.subarray(0, 20),
    bytes.subarray(0, -4),
    Buffer.from(bytes).fill(0, 50),
  ]) {
    writeFileSync(path, torn);
    assert.equal(file.read(HASH), undefined);
  }
});
