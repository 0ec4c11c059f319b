// SPDX-License-Identifier: Apache-2.0

// What EdgeHub and EdgeReplica make of zones that are withheld while, and after, a revision goes to an edge first.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DataSets,
  EdgeHub,
  broughtSections,
  classifierCompiler,
  compile,
  worldOf,
  type EdgeStream,
  type PackedRevision,
  type Publication,
} from "@meridian/control";
import { formatName } from "@meridian/dns";
import { EdgeReplica, SILENT_LOGGER, answersDigest } from "@meridian/edge";
import { loadModel } from "@meridian/model";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  OverlayWriter,
  SectionPack,
  World,
  decodeManifestText,
  decodeSentSection,
  decodeStage,
  decodeTable,
  makeManifest,
  wholeOf,
} from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import { SimulatedDisk } from "./simulated-disk.ts";

const SEED = 1;
const FRAMES = [
  FrameKind.manifest,
  FrameKind.table,
  FrameKind.changes,
  FrameKind.stage,
  FrameKind.section,
];
const ORIGINS = ["bank.example", "game.example", "shop.example"];

for (const { title, withholdAfter } of [
  { title: "after it was checked", withholdAfter: "settled" },
  { title: "while it is checked", withholdAfter: "served" },
  { title: "before it is loaded", withholdAfter: "sent" },
] as const)
  test(`a zone that is withheld ${title} leaves the edge that a revision went to first`, async () => {
    const hub = new EdgeHub({ wallMs: () => 0, monotonicMs: () => 0 });
    const [first, second] = [publicationOf(1, "192.0.2.1"), publicationOf(2, "192.0.2.2")];
    const edge = edgeOf(hub, new Map([...first.sections, ...second.sections]));
    hub.publish(first.publication);
    await until(() => edge.revision === 1);
    hub.publish(second.publication, second);
    // Another control has found it good meanwhile.
    if (withholdAfter === "sent") hub.decide(2, undefined);
    else await until(() => edge.revision === 2);
    if (withholdAfter === "settled") hub.tick();
    hub.setWithheld(() => ["shop.example"]);
    await until(() => {
      hub.tick();
      return edge.revision === 2 && edge.origins.length === 2;
    });
    assert.deepEqual(edge.origins, ["bank.example", "game.example"]);
    assert.equal(edge.hash, hub.wantedHash("eu-0"));
    assert.equal(edge.complaints.join(), "");
    hub.setWithheld(() => []);
    await until(() => edge.origins.length === 3);
    assert.equal(edge.hash, wholeOf(second.publication.manifest));
    edge.close();
  });

test("an edge that a revision goes to first checks the very cut of it that it serves", async () => {
  const halted: string[] = [];
  const events = { onHalted: (_: number, reason: string) => void halted.push(reason) };
  const hub = new EdgeHub({ wallMs: () => 0, monotonicMs: () => 0 }, events);
  const [first, second, third] = [1, 2, 3].map((at) => publicationOf(at, `192.0.2.${at}`));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  hub.setWithheld(() => ["game.example"]);
  const sections = [first, second, third].flatMap((each) => [...each.sections]);
  const edge = edgeOf(hub, new Map(sections));
  hub.publish(first.publication);
  await until(() => edge.revision === 1);
  const asked: string[][] = [];
  hub.publish(second.publication, {
    digestOf: (withheld) => {
      asked.push([...withheld]);
      return second.digestOf(withheld);
    },
  });
  await until(() => edge.revision === 2);
  assert.deepEqual(asked, [["game.example"]]);
  assert.deepEqual(edge.origins, ["bank.example", "shop.example"]);
  assert.notEqual(second.digestOf(["game.example"]), second.digestOf([]));
  hub.tick();
  // As if control answered otherwise from this cut, though not from the whole.
  hub.publish(third.publication, {
    digestOf: (withheld) => (withheld.length > 0 ? "another" : third.digestOf(withheld)),
  });
  await until(() => halted.length > 0);
  assert.match(halted.join(), /edge "eu-0" refused it: .*answers/);
  assert.equal(edge.revision, 2);
  edge.close();
});

test("an edge that serves the revision before asks for nothing of what the next one brings", async () => {
  const hub = new EdgeHub({ wallMs: () => 0, monotonicMs: () => 0 });
  const [first, second] = [publicationOf(1, "192.0.2.1"), publicationOf(2, "192.0.2.2")];
  const brought = broughtSections(first.packed, second.packed);
  assert.ok(brought !== undefined && brought.sections.length > 0);
  // What is fetched of the second is not there.
  const edge = edgeOf(hub, first.sections);
  hub.publish(first.publication);
  await until(() => edge.revision === 1);
  hub.publish({ ...second.publication, brought });
  await until(() => edge.revision === 2);
  assert.equal(edge.complaints.join(), "");
  assert.equal(edge.hash, second.publication.manifest.hash);
  edge.close();
});

test("what shifts rows is not sent to an edge that does not say that it takes it", async () => {
  for (const takesShifts of [false, true]) {
    const hub = new EdgeHub({ wallMs: () => 0, monotonicMs: () => 0 });
    const [first, second] = [publicationOf(1, "192.0.2.1"), publicationOf(2, "192.0.2.2")];
    const sections = new Map([...first.sections, ...second.sections]);
    const edge = edgeOf(hub, sections, { takesShifts });
    hub.publish(first.publication);
    await until(() => edge.revision === 1);
    const brought = broughtSections(first.packed, second.packed);
    assert.ok(brought !== undefined);
    const [one, ...others] = brought.sections;
    assert.ok(one !== undefined);
    // No pieces, and the bit that says that there are shifts: who is sent it fetches the section instead.
    const delta = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80);
    hub.publish({
      ...second.publication,
      brought: { ...brought, sections: [{ ...one, delta }, ...others] },
    });
    await until(() => edge.revision === 2);
    assert.equal(edge.sent, takesShifts ? brought.sections.length : 0);
    assert.equal(edge.hash, second.publication.manifest.hash);
    edge.close();
  }
});

interface Published {
  readonly packed: PackedRevision;
  readonly publication: Publication;
  readonly digestOf: (withheld: readonly string[]) => string;
  readonly sections: ReadonlyMap<string, SharedArrayBuffer>;
}

function publicationOf(revision: number, address: string): Published {
  const text = ORIGINS.map(
    (origin) =>
      `apiVersion: meridian.dev/v1alpha1\nkind: Zone\nmetadata: {name: ${origin}}\nspec: {origin: ${origin}, nameServers: [{name: ns.example.net}], records: [{name: www, type: A, values: ["${address}"]}]}\n`,
  ).join("---\n");
  const { model } = loadModel([{ path: "model.yaml", bytes: Buffer.from(text) }], { now: 0 });
  assert.ok(model !== undefined);
  const { sections } = compile(model, {
    seed: SEED,
    classify: classifierCompiler(new DataSets()),
  });
  const world = worldOf(sections, SEED);
  assert.ok(typeof world === "object");
  const { buffer: overlay, slotCount } = new OverlayWriter(world.initialSlots(), 1);
  const manifest = makeManifest(revision, SEED, sections.map(manifestSection));
  const pack = SectionPack.make(sections);
  assert.ok(!("error" in pack));
  return {
    packed: { manifest, pack },
    publication: { manifest, revision, world: world.share(), overlay, slotCount },
    digestOf: (withheld) => answersDigest(World.open(world.share(), withheld)),
    sections: new Map(sections.map(({ name, buffer }) => [name, buffer])),
  };
}

function edgeOf(
  hub: EdgeHub,
  sections: ReadonlyMap<string, SharedArrayBuffer>,
  { takesShifts = true }: { readonly takesShifts?: boolean } = {},
): {
  /** Sections that came ahead of their manifest. */
  readonly sent: number;
  readonly revision: number;
  readonly hash: string;
  readonly origins: readonly string[];
  readonly complaints: readonly string[];
  close(): void;
} {
  let world: World | undefined;
  let sent = 0;
  const complaints: string[] = [];
  const error = (message: string, facts: object = {}): void => {
    complaints.push(`${message} ${JSON.stringify(facts)}`);
  };
  const replica = new EdgeReplica({
    nowMs: () => performance.now(),
    state: new SimulatedDisk(() => 0),
    logger: { ...SILENT_LOGGER, error },
    serve: (message) => {
      world = World.open(message.world);
    },
    onPosition: () => {},
    onSynced: () => hub.acknowledge("eu-0", stream, replica.acknowledgement),
    onChecked: (status) => hub.report("eu-0", stream, status),
  });
  const fetch = async (name: string): Promise<SharedArrayBuffer> => {
    const found = sections.get(name);
    assert.ok(found !== undefined);
    return found;
  };
  const stream: EdgeStream = {
    backlogBytes: 0,
    write: (bytes) => {
      const frames = new FrameDecoder(FRAMES).push(bytes);
      assert.ok(typeof frames === "object");
      for (const { kind, payload } of frames) {
        if (kind === FrameKind.manifest) {
          assert.equal(replica.offer(decodeManifestText(payload), fetch), undefined);
        } else if (kind === FrameKind.table) {
          const table = decodeTable(payload);
          assert.ok(table !== undefined);
          replica.takeTable(table, fetch);
        } else if (kind === FrameKind.section) {
          const section = decodeSentSection(payload);
          assert.ok(section !== undefined);
          sent += 1;
          replica.takeSection(section);
        } else if (kind === FrameKind.stage) {
          const stage = decodeStage(payload);
          assert.ok(stage !== undefined);
          replica.expect(stage);
        }
      }
    },
    end: () => {},
  };
  replica.begin();
  const hello = {
    protocol: LINK_PROTOCOL,
    version: "0",
    takesSections: true,
    takesShifts,
    takesLeases: false,
    dns: [],
  };
  hub.join("eu-0", { ...hello, ...replica.position }, stream, "here");
  return {
    complaints,
    get sent() {
      return sent;
    },
    get revision() {
      return replica.position.revision;
    },
    get hash() {
      return replica.acknowledgement.hash;
    },
    get origins() {
      return (world?.zones.zones ?? [])
        .map(({ origin }) => formatName(origin).replace(/\.$/, ""))
        .toSorted();
    },
    close: () => replica.close(),
  };
}

/** Everything that waits on a promise runs in between. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !isSo(); turn++) await new Promise(setImmediate);
}
