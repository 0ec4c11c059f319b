// SPDX-License-Identifier: Apache-2.0

// `meridian doctor` over a zone in which as much is wrong as can be, with Knot as the parent and as the zone's servers. That it finds nothing where
// all is right, guide.test.ts shows.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needs } from "../needs.ts";
import { startKnot } from "../peers/daemon.ts";
import { freePort, meridian, temporaryFolder } from "./process.ts";

const parent = `example.org. 300 SOA ns.example.org. h.example.org. 1 7200 900 1209600 60
example.org. 300 NS ns.example.org.
ns.example.org. 300 A 127.0.0.1
gtm.example.org. 300 NS ns1.gtm.example.org.
gtm.example.org. 300 DS 1 13 2 ${"ab".repeat(32)}
ns1.gtm.example.org. 300 A 192.0.2.1
`;

test(
  "doctor finds what is wrong at parent, servers and resolver",
  { skip: needs("knotd", "knot") },
  async (t) => {
    const folder = temporaryFolder(t);
    const files = join(folder, "zone.yaml");
    const servers = [1, 2, 3, 4].map((n) => ({
      name: `ns${n}.gtm.example.org`,
      addresses: [`127.0.0.5${n}`],
    }));
    const documents = [["Zone", { origin: "gtm.example.org", nameServers: servers }]].map(
      ([kind, spec]) =>
        JSON.stringify({
          apiVersion: "meridian.dev/v1alpha1",
          kind,
          metadata: { name: "gtm.example.org" },
          spec,
        }),
    );
    writeFileSync(files, documents.join("\n"));

    const origin = "gtm.example.org.";
    const zone = (serial: number, names: readonly string[]): string =>
      [
        `${origin} 300 SOA ns1.${origin} h.${origin} ${serial} 7200 900 1209600 60`,
        ...names.map(
          (name) => `${origin} 300 NS ${name}.${origin}\n${name}.${origin} 300 A 127.0.0.51`,
        ),
        "",
      ].join("\n");
    const all = ["ns1", "ns2", "ns3", "ns4"];
    const port = await startKnot(
      t,
      join(folder, "1"),
      [{ origin, text: zone(2_000_000_000, all) }],
      {
        address: "127.0.0.51",
        isSigned: true,
      },
    );
    // The second has an old copy; the third serves another zone; nobody is at the fourth address.
    await startKnot(t, join(folder, "2"), [{ origin, text: zone(4, ["ns1"]) }], {
      address: "127.0.0.52",
      port,
    });
    await startKnot(t, join(folder, "3"), [{ origin: "example.org.", text: parent }], {
      address: "127.0.0.53",
      port,
    });
    const silent = `127.0.0.54:${await freePort()}`;
    const { code, stdout, stderr } = await meridian(
      ...["doctor", "gtm.example.org", "-f", files, "--port", String(port), "--output", "json"],
      ...["--parent", `127.0.0.53:${port}`, "--resolver", silent, "--state", join(folder, "none")],
    );
    assert.equal(code, 1, stderr);
    const codes = [...stdout.matchAll(/"code": "([^"]*)",\n\s*"subject": "([^"]*)"/g)].map(
      ([, each, subject]) => `${each} ${subject}`,
    );
    const at = (n: number): string => `ns${n}.gtm.example.org. (127.0.0.5${n}:${port})`;
    assert.deepEqual(codes.toSorted(), [
      `delegation-differs parent 127.0.0.53:${port}`,
      "ds-without-key gtm.example.org",
      `ecs-ignored ${at(1)}`,
      `ecs-ignored ${at(2)}`,
      `glue-differs parent 127.0.0.53:${port}`,
      `keys-differ ${at(2)}`,
      `ns-differs ${at(2)}`,
      `resolver-silent resolver ${silent}`,
      `serial-differs ${at(2)}`,
      `server-lame ${at(3)}`,
      `server-silent ${at(4)}`,
    ]);
  },
);
