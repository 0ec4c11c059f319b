// SPDX-License-Identifier: Apache-2.0

// Zones of views that are signed: by the keys of the zone that is in no view, or by keys of their own.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { RRType, formatRdata, typeToText, type Message } from "@meridian/dns";
import { AheadSigner, EdgeSigning, FixedCounter, SILENT_LOGGER } from "@meridian/edge";
import { explain, parseClient } from "@meridian/snapshot/surface";
import { writeViews } from "@meridian/snapshot/writer";
import { needs } from "../needs.ts";
import { RunningEdge } from "./running-edge.ts";
import { faultsOf } from "./signed-check.ts";
import { signingFixture } from "./signing-fixture.ts";
import { TestServer, wire, type TestModel } from "./test-server.ts";

const NOW = 1_700_000_000;
const inside = Uint8Array.of(127, 0, 0, 2);
const staff = Uint8Array.of(127, 0, 0, 4);
const outside = Uint8Array.of(127, 0, 0, 3);

function zone(
  origin: string,
  address: string,
  view?: string,
  hasOwnKeys = false,
): TestModel["zones"][number] {
  const text = `$ORIGIN ${origin}\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 60\n@ NS ns1\nwww A ${address}\n*.w A ${address}\n`;
  return { origin, text, options: { view, hasOwnKeys } };
}

const model: TestModel = {
  zones: [
    zone("example.org.", "192.0.2.1"),
    zone("example.org.", "10.0.0.1", "internal"),
    zone("example.org.", "10.9.9.9", "staff", true),
    zone("corp.example.", "10.0.0.2", "internal", true),
  ],
  sections: [
    writeViews([
      { name: "staff", match: [{ clients: ["127.0.0.4/32"] }], keys: [] },
      { name: "internal", match: [{ clients: ["127.0.0.2/32"] }], keys: [] },
    ]),
  ],
};

function fixturesAt(now: number): Record<"all" | "staff" | "corp", ReturnType<typeof fixtureOf>> {
  return {
    all: fixtureOf("example.org.", now),
    staff: fixtureOf("example.org.", now, "staff"),
    corp: fixtureOf("corp.example.", now, "internal"),
  };
}

function fixtureOf(origin: string, now: number, view?: string): ReturnType<typeof signingFixture> {
  const fixture = signingFixture(origin, now, { isSplit: true });
  return view === undefined ? fixture : { ...fixture, material: { ...fixture.material, view } };
}

const fixtures = fixturesAt(NOW);
const materials = Object.values(fixtures).map(({ material }) => material);

function faults(
  message: Message,
  name: string,
  type: number,
  keys: keyof typeof fixtures,
): string[] {
  const apex = wire(keys === "corp" ? "corp.example." : "example.org.");
  return faultsOf(message, wire(name), type, [{ apex, dnskeys: fixtures[keys].dnskeys }], NOW);
}

const questions: readonly (readonly [Uint8Array, string, keyof typeof fixtures])[] = [
  [outside, "example.org.", "all"],
  [inside, "example.org.", "all"],
  [staff, "example.org.", "staff"],
  [inside, "corp.example.", "corp"],
];

test("a zone of a view is signed by the keys of its origin outside, or by its own where it has some", () => {
  const server = new TestServer(model);
  server.sign(materials);
  for (const [source, origin, keys] of questions)
    for (const [label, type] of [
      ["www.", RRType.A],
      ["any.w.", RRType.A],
      ["www.", RRType.AAAA],
      ["none.", RRType.A],
      ["", RRType.DNSKEY],
    ] as const) {
      const asked = server.ask(`${label}${origin}`, type, {
        ...{ isTcp: true, edns: { udpSize: 1232, do: true }, source },
      });
      const what = `${source.join(".")} ${label}${origin} ${typeToText(type)}`;
      assert.deepEqual(faults(asked, `${label}${origin}`, type, keys), [], what);
    }
  const refused = server.ask("www.corp.example.", RRType.A, {
    ...{ isTcp: true, edns: { udpSize: 1232, do: true }, source: outside },
  });
  assert.deepEqual([refused.answer, refused.authority], [[], []]);
});

test("a zone of a view that is to have its own keys is unsigned until they are there", () => {
  const server = new TestServer(model);
  server.sign([fixtures.all.material]);
  const asked = server.ask("www.example.org.", RRType.A, {
    ...{ isTcp: true, edns: { udpSize: 1232, do: true }, source: staff },
  });
  assert.deepEqual(
    asked.answer.map(({ type }) => type),
    [RRType.A],
  );
});

test("what a view shows is signed ahead, and explained", () => {
  const server = new TestServer(model);
  const ahead = new AheadSigner(() => server.nowMs);
  const signing = new EdgeSigning(SILENT_LOGGER);
  signing.take(materials);
  server.sign(materials, ahead);
  while (ahead.step());
  for (const [source, origin] of questions)
    server.ask(`www.${origin}`, RRType.A, {
      ...{ isTcp: true, edns: { udpSize: 1232, do: true }, source },
    });
  assert.equal(server.counters.of(FixedCounter.signaturesMade), 0);
  const view = { world: server.world, slots: server.world.initialSlots() };
  const tagOf = (address: string): unknown => {
    const resolver = parseClient(address);
    assert.ok(resolver !== undefined);
    const source = {
      ...view,
      ...{ revision: 1, sequence: 1 },
      signingOf: (...[question, zones]: Parameters<NonNullable<Explainer>>) =>
        signing.explain(view, question, zones),
    };
    const question = { name: "www.example.org", type: "A", resolver, nowSeconds: NOW };
    return explain(source, question)?.signing?.keys.map(({ tag }) => tag);
  };
  const tags = (keys: keyof typeof fixtures): unknown =>
    fixtures[keys].material.keys.map(({ keyTag }) => keyTag);
  assert.deepEqual(
    [tagOf("127.0.0.3"), tagOf("127.0.0.2"), tagOf("127.0.0.4")],
    [tags("all"), tags("all"), tags("staff")],
  );
});

type Explainer = Parameters<typeof explain>[0]["signingOf"];

test(
  "delv validates what each client is shown",
  { skip: needs("delv", "bind9-dnsutils") },
  async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-views-"));
    const edge = await RunningEdge.start();
    context.after(async () => {
      await edge.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const now = fixturesAt(Math.floor(Date.now() / 1000));
    await edge.serve(
      model,
      Object.values(now).map(({ material }) => material),
    );
    for (const [source, origin, keys] of questions) {
      const file = join(folder, `${keys}.conf`);
      const [flags, protocol, algorithm, key] = formatRdata(RRType.DNSKEY, now[keys].anchor).split(
        " ",
      );
      writeFileSync(
        file,
        `trust-anchors { "${origin}" static-key ${flags} ${protocol} ${algorithm} "${key}"; };\n`,
      );
      const at = ["@127.0.0.1", "-p", String(edge.address.port), "-b", source.join(".")];
      for (const name of [`www.${origin}`, `none.${origin}`]) {
        const { stdout, stderr } = await promisify(execFile)("delv", [
          ...at,
          ...["-a", file, `+root=${origin}`, name, "A"],
        ]);
        assert.match(`${stdout}${stderr}`, /fully validated/, `${source.join(".")} ${name}`);
      }
    }
  },
);
