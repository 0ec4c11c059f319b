// SPDX-License-Identifier: Apache-2.0

// Four edges in a cell: each tenant's zones are answered by its own edges alone, and a zone that moves is answered all the while.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
const LOOK_MS = 20;
const EDGES = ["eu-0", "eu-1", "eu-2", "eu-3"] as const;
const TENANTS = ["bank", "game", "shop"] as const;

test("a zone is answered by its tenant's edges alone, and while it moves by the old ones until the new ones do", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "site.yaml");
  writeFileSync(files, documentOf("Site", "eu", "{}"));
  const controlPort = await freePort();
  const http = await freePort();
  const url = `https://127.0.0.1:${controlPort}`;
  const control = new PlaneProcess(t, join(folder, "control"), [
    ...[
      "control",
      "-f",
      files,
      "--edges",
      `127.0.0.1:${controlPort}`,
      "--http",
      `127.0.0.1:${http}`,
    ],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const state = ["--state", control.stateDir] as const;
  const apply = async (
    ...documents: readonly string[]
  ): Promise<{ code: number | null; stderr: string }> => {
    const path = join(folder, "applied.yaml");
    writeFileSync(path, documents.join("---\n"));
    return meridian("apply", "-f", path, "--wait", ...state);
  };
  const ports = await Promise.all(EDGES.map(() => freePort()));
  const edges = await Promise.all(
    EDGES.map((name, index) => joinedEdge(t, { folder, control, url }, name, ports[index] ?? 0)),
  );
  await Promise.all(edges.map((edge) => edge.start(/"msg":"Serving a new revision"/)));
  const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  /** Edges that answer for a tenant; all others refuse. */
  const serving = async (tenant: string): Promise<string[]> => {
    const answers = await Promise.all(
      clients.map((client) => ask(client, `www.${tenant}.example`, "A")),
    );
    return EDGES.filter((_, index) => {
      const [answer] = answers[index] ?? [];
      assert.ok(answer === "192.0.2.7" || answer === "RCODE 5", `${answer}`);
      return answer === "192.0.2.7";
    });
  };
  const placed = async (tenant: string): Promise<readonly string[]> => {
    const answer = await fetch(`http://127.0.0.1:${http}/v1/shards`);
    return edgesIn(await answer.text(), `tenant/${tenant}`);
  };

  await t.test(
    "what there is no room for is refused, with how many there is room for",
    async () => {
      const tenants = TENANTS.map((name) =>
        documentOf("Tenant", name, `{namespaces: [${name}], domains: [${name}.example]}`),
      );
      assert.equal((await apply(...tenants)).code, 0);
      const full = await apply(cellOf(EDGES, 0));
      assert.equal(full.code, 3, full.stderr);
      assert.match(
        full.stderr,
        /it has 3 tenants and zones, each on 2 of 4 edges with at most 0 in common, expected at most 2, for which room was found \(there is none for more than 2\)/,
      );
      assert.equal((await apply(cellOf(EDGES, 1))).code, 0);
      await until("tenants on edges", LOOK_MS_MAX, async () => (await placed("shop")).length === 2);
    },
  );

  await t.test(
    "each zone is answered by the two edges of its tenant, and refused by the others",
    async () => {
      const zones = TENANTS.map(zoneOf);
      assert.equal((await apply(...zones)).code, 0);
      for (const tenant of TENANTS)
        await until(`${tenant} on its edges alone`, LOOK_MS_MAX, async () => {
          const found = await serving(tenant);
          return found.join(" ") === (await placed(tenant)).join(" ");
        });
      const table = await meridian("get", "shards", ...state);
      assert.match(table.stdout, /eu +tenant\/bank +1 +eu-\d eu-\d +1/);
      const delegation = await meridian("delegation", "shop.example", ...state);
      const own = await placed("shop");
      assert.deepEqual(
        [...delegation.stdout.matchAll(/NS +(\S+)/g)].map(([, name = ""]) => name),
        own.map((edge) => `ns-${edge}.example.net.`),
      );
      assert.match((await meridian("get", "edges", ...state)).stdout, /eu-0 .* serving +eu /);
    },
  );

  await t.test(
    "a zone that moves is answered by its old edges until all of its new ones answer",
    async () => {
      const old = await placed("shop");
      const [gone = ""] = old;
      const left = EDGES.filter((edge) => edge !== gone);
      assert.equal((await apply(cellOf(left, 1))).code, 0);
      let now: readonly string[] = [];
      let lookedCount = 0;
      await until("the move", LOOK_MS_MAX, async () => {
        const found = await serving("shop");
        lookedCount += 1;
        now = await placed("shop");
        const has = (wanted: readonly string[]): boolean =>
          wanted.every((edge) => found.includes(edge));
        assert.ok(
          has(old) || has(now),
          `${found.join(" ")} of ${old.join(" ")} and ${now.join(" ")}`,
        );
        await new Promise((done) => setTimeout(done, LOOK_MS));
        return !found.includes(gone);
      });
      assert.ok(lookedCount > 3, "it was looked at while it moved");
      assert.deepEqual(await serving("shop"), now);
      // No more than it has to: the other one stays.
      assert.ok(now.includes(old[1] ?? ""));
    },
  );

  await t.test("an edge that starts without control serves what was its own", async () => {
    const own = await serving("bank");
    await control.kill();
    for (const [index, edge] of edges.entries()) {
      if (!own.includes(EDGES[index] ?? "")) continue;
      await edge.kill();
      await edge.start(/"msg":"Answering"/);
    }
    await until(
      "the same edges",
      LOOK_MS_MAX,
      async () => (await serving("bank")).join() === own.join(),
    );
  });
});

function documentOf(kind: string, name: string, spec: string, namespace?: string): string {
  const place = namespace === undefined ? "" : `, namespace: ${namespace}`;
  return `apiVersion: meridian.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}${place}}\nspec: ${spec}\n`;
}

function cellOf(edges: readonly string[], overlap: number): string {
  const listed = edges.map((name) => `{name: ${name}, nameServer: ns-${name}.example.net}`);
  return documentOf(
    "Cell",
    "eu",
    `{edges: [${listed.join(", ")}], tenants: [${TENANTS.join(", ")}], shuffle: {edges: 2, overlap: ${overlap}}, leaveAfter: 1s}`,
  );
}

function zoneOf(tenant: string): string {
  const origin = `${tenant}.example`;
  return documentOf(
    "Zone",
    origin,
    `{origin: ${origin}, nameServers: [{name: ns.example.net}], records: [{name: www, type: A, values: ["192.0.2.7"]}]}`,
    tenant,
  );
}

/** The edges of a tenant or zone, of what the API lists. */
function edgesIn(text: string, unit: string): readonly string[] {
  const { items }: { items: readonly { unit: string; edges: readonly string[] }[] } =
    JSON.parse(text);
  return items.find((each) => each.unit === unit)?.edges ?? [];
}
