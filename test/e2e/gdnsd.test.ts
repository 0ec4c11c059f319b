// SPDX-License-Identifier: Apache-2.0

// A gdnsd set-up is imported, and what is compiled of it answers as gdnsd itself does.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { classifierCompiler, compile, DataSets } from "@meridian/control";
import {
  encodeMessage,
  decodeMessage,
  ecsOption,
  formatRdata,
  makeQuery,
  RRType,
  type Message,
} from "@meridian/dns";
import { formatProblem, importGdnsd, loadModel, yamlText, type Imported } from "@meridian/model";
import { World, worldOf } from "@meridian/snapshot";
import { chiSquareExceeds } from "../../packages/snapshot/src/testing/chi-square.ts";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { TestServer, wire } from "../conformance/test-server.ts";
import { needs } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import { freePort, temporaryFolder } from "./process.ts";

const plugins = `
service_types => {
  web => { plugin => http_status, url_path => "/alive", vhost => www.example.org, up_thresh => 5, down_thresh => 3, interval => 8, timeout => 2 }
  odd => { plugin => extmon, cmd => ["/bin/true", "%%ITEM%%"] }
}
plugins => {
  weighted => {
    web => { lb01 = [ 192.0.2.1, 30 ], lb02 = [ 192.0.2.2, 10 ] }
    split => {
      addrs_v4 => { a = [ 192.0.2.11, 1 ] }
      addrs_v6 => { a = [ 2001:db8::11, 1 ] }
    }
    grouped => { one => { a = [ 192.0.2.21, 5 ], b = [ 192.0.2.22, 5 ] }, two => { c = [ 192.0.2.23, 10 ] } }
  }
  multifo => {
    all => [ 192.0.2.31, 192.0.2.32, 192.0.2.33 ]   # a comment
    named => { up_thresh => 0.4, a => 192.0.2.34, b => 192.0.2.35 }
  }
  simplefo => { pair => { primary => 192.0.2.41, secondary => 192.0.2.42 } }
  geoip => {
    maps => {
      world => {
        datacenters => [ dc-eu, dc-us, dc-as ]
        nets => { 198.51.100.0/24 => [ dc-us, dc-eu ], 203.0.113.0/24 => [ dc-as ] }
      }
    }
    resources => {
      www => { map => world, dcmap => { dc-eu => 192.0.2.51, dc-us => { a => 192.0.2.52, b => 192.0.2.53 }, dc-as => %simplefo!pair } }
    }
  }
}
`;

const zone = `$TTL 600
@     SOA ns1 hostmaster ( 2026112301 7200 900 1209600 60 )
      NS  ns1
ns1   A   192.0.2.253
mail  MX  10 mail.example.net.
web     300/100 DYNA weighted!web
split   DYNA weighted!split
grouped DYNA weighted!grouped
all     60 DYNA multifo!all
named   DYNA multifo!named
pair    DYNA simplefo!pair
www     DYNA geoip!www
`;

test("what is imported of gdnsd is loaded, and what has no counterpart is listed with its line", (t) => {
  const folder = gdnsdFolder(t, 5353);
  const imported = importedFrom(folder);
  assert.deepEqual(
    imported.unmapped.map(
      ({ file, line, what }) => `${file.slice(folder.length + 1)}:${line} ${what}`,
    ),
    ["config:1 options", 'config:4 plug-in extmon of service type "odd"'],
  );
  const server = serverOf(imported);
  assert.deepEqual(answersOf(server.ask("all.example.org.", RRType.A)).toSorted(), [
    "192.0.2.31",
    "192.0.2.32",
    "192.0.2.33",
  ]);
  const [first] = server.ask("web.example.org.", RRType.A).answer;
  assert.ok((first?.ttl ?? 0) <= 300);
});

test(
  "what is imported of gdnsd answers as gdnsd does",
  { skip: needs("gdnsd", "gdnsd") },
  async (t) => {
    const port = await freePort();
    const folder = gdnsdFolder(t, port);
    await startDaemon(t, "gdnsd", ["-c", folder, "start"], /DNS listeners started/);
    const client = await udpClient("127.0.0.1", port);
    t.after(() => client.close());
    const server = serverOf(importedFrom(folder));
    const clients = ["198.51.100.0", "203.0.113.0", "192.0.2.0"].map((text) =>
      Uint8Array.from(text.split(".").map(Number)),
    );
    for (const name of ["split", "all", "named", "pair", "www", "mail", "ns1", "none"]) {
      for (const type of [RRType.A, RRType.AAAA, RRType.MX]) {
        for (const address of clients) {
          const options = [ecsOption(address, 24)];
          const query = makeQuery(wire(`${name}.example.org.`), type, { edns: { options } });
          const theirs = decodeMessage(await client.ask(encodeMessage(query)));
          assert.ok(!("error" in theirs));
          const ours = server.ask(`${name}.example.org.`, type, { edns: { options } });
          const shown = (message: Message): unknown => [
            message.rcode,
            answersOf(message).toSorted(),
          ];
          assert.deepEqual(shown(ours), shown(theirs), `${name} ${type} for ${address.join(".")}`);
        }
      }
    }
    for (const [name, share] of [
      ["web", 0.75],
      ["grouped", 0.5],
    ] as const) {
      for (const counts of await answerCounts(name, server, client)) {
        const [first = "", second = "", ...others] = [...counts.keys()].toSorted();
        assert.deepEqual(others, []);
        const chances = new Map([
          [first, share],
          [second, 1 - share],
        ]);
        const text = `${name}: ${JSON.stringify([...counts])}`;
        assert.ok(!chiSquareExceeds(counts, chances, ASKED), text);
      }
    }
  },
);

const ASKED = 1000;

/** How often each answer of a name is given by Meridian and by gdnsd, of 1,000 queries each. */
async function answerCounts(
  name: string,
  server: TestServer,
  gdnsd: DnsClient,
): Promise<Map<string, number>[]> {
  const [ours, theirs] = [new Map<string, number>(), new Map<string, number>()];
  const count = (counts: Map<string, number>, message: Message): void => {
    const key = answersOf(message).toSorted().join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  for (let index = 0; index < ASKED; index += 1) {
    const source = Uint8Array.of(10, index >>> 8, index & 255, 1);
    count(ours, server.ask(`${name}.example.org.`, RRType.A, { source }));
    const reply = decodeMessage(
      await gdnsd.ask(encodeMessage(makeQuery(wire(`${name}.example.org.`), RRType.A))),
    );
    assert.ok(!("error" in reply));
    count(theirs, reply);
  }
  assert.deepEqual([...ours.keys()].toSorted(), [...theirs.keys()].toSorted());
  return [ours, theirs];
}

function gdnsdFolder(t: TestContext, port: number): string {
  const folder = temporaryFolder(t);
  for (const name of ["zones", "geoip", "run", "state"]) mkdirSync(join(folder, name));
  const options = `options => { listen => 127.0.0.1:${port}, run_dir => ${join(folder, "run")}, state_dir => ${join(folder, "state")} }`;
  writeFileSync(join(folder, "config"), `${options}${plugins}`);
  writeFileSync(join(folder, "zones", "example.org"), zone);
  return folder;
}

function importedFrom(folder: string): Imported {
  const readFile = (path: string): Uint8Array => readFileSync(path);
  const imported = importGdnsd(folder, readFile, (path) => readdirSync(path));
  assert.deepEqual(imported.mistakes, []);
  return imported;
}

function serverOf({ documents }: Imported): TestServer {
  const text = documents.map((document) => yamlText(document)).join("---\n");
  const { model, problems } = loadModel(
    [{ path: "gdnsd.yaml", bytes: new TextEncoder().encode(text) }],
    { now: 0 },
  );
  assert.ok(model !== undefined, `${problems.map(formatProblem).join("\n")}\n${text}`);
  const { sections } = compile(model, { seed: 1, classify: classifierCompiler(new DataSets()) });
  const world = worldOf(sections, 1);
  assert.ok(world instanceof World);
  return new TestServer(world);
}

function answersOf({ answer }: Message): string[] {
  return answer.map(({ type, rdata }) => formatRdata(type, rdata));
}
