// SPDX-License-Identifier: Apache-2.0

// Two controls on one store and four edges in a cell, half of them at each control: both say who serves a zone, and it is so; also when the one that
// placed it is gone and the other one moves it.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { PlaneProcess, joinedFolder } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
const EDGES = ["eu-0", "eu-1", "eu-2", "eu-3"] as const;
const TENANTS = ["bank", "shop"] as const;

test(
  "every control explains which edges serve a zone of a cell, and one moves it when the other is gone",
  { skip: etcdMissing() },
  async (t) => {
    const folder = temporaryFolder(t);
    const etcd = await EtcdCluster.start({ members: 1 });
    t.after(() => etcd.close());
    const store = `etcd://${etcd.endpoints()}/cells`;
    const ports = [await freePort(), await freePort()];
    const [first, second] = ports.map((port, index) => {
      const given = ["control", "--store", store, "--edges", `127.0.0.1:${port}`, "--http", "none"];
      return new PlaneProcess(t, join(folder, `c${index}`), [...given, "--name", `c${index}`]);
    });
    assert.ok(first !== undefined && second !== undefined);
    await first.start(/"msg":"Serving edges"/);
    const key = join("identity", "sealing.key");
    mkdirSync(join(second.stateDir, "identity"), { recursive: true, mode: 0o700 });
    copyFileSync(join(first.stateDir, key), join(second.stateDir, key));
    await second.start(/"msg":"Serving edges"/);
    const apply = async (at: PlaneProcess, ...documents: readonly string[]): Promise<void> => {
      const path = join(folder, "applied.yaml");
      writeFileSync(path, documents.join("---\n"));
      const { code, stderr } = await meridian("apply", "-f", path, "--state", at.stateDir);
      assert.equal(code, 0, stderr);
    };
    await apply(
      first,
      ...TENANTS.map((name) =>
        documentOf("Tenant", name, `{namespaces: [${name}], domains: [${name}.example]}`),
      ),
    );
    await apply(first, cellOf(EDGES), ...TENANTS.map(zoneOf));

    const urls = ports.map((port) => `https://127.0.0.1:${port}`);
    const place = { folder, control: first, url: urls[0] ?? "" };
    const clients = await Promise.all(
      EDGES.map(async (name, index) => {
        const stateDir = await joinedFolder(place, name);
        const port = await freePort();
        const known = index < 2 ? urls : urls.toReversed();
        const edge = new PlaneProcess(t, stateDir, [
          ...["edge", ...known.flatMap((url) => ["--control", url])],
          ...["--listen", `127.0.0.1:${port}`, "--http", "none", "--workers", "1"],
        ]);
        await edge.start(/"msg":"Serving a new revision"/);
        return udpClient("127.0.0.1", port);
      }),
    );
    t.after(() => clients.forEach((client) => client.close()));
    const serving = async (): Promise<string> => {
      const answers = await Promise.all(
        clients.map((client) => ask(client, "www.shop.example", "A")),
      );
      return EDGES.filter((_, index) => answers[index]?.[0] === "192.0.2.7").join(", ");
    };
    /** The edges that a control says to serve it; its whole line where some are about to leave, or none is there. */
    const explained = async (control: PlaneProcess): Promise<string> => {
      const { stdout } = await meridian("explain", "www.shop.example", "--state", control.stateDir);
      const line = /^served by .*$/m.exec(stdout)?.[0] ?? "";
      return /^served by (.*) alone \(tenant\/shop in cell eu\)$/.exec(line)?.[1] ?? line;
    };
    await until("both to say who serves it, as it is", LOOK_MS_MAX, async () => {
      const said = await explained(first);
      const isPlaced = said.split(", ").length === 2 && said === (await serving());
      return isPlaced && (await explained(second)) === said;
    });

    const before = await explained(second);
    const [gone = ""] = before.split(", ");
    await first.kill();
    const left = EDGES.filter((name) => name !== gone);
    await until("the other control to take a change", LOOK_MS_MAX, async () => {
      try {
        await apply(second, cellOf(left));
        return true;
      } catch {
        return false;
      }
    });
    await until("the zone to have moved", LOOK_MS_MAX, async () => {
      const said = await explained(second);
      assert.notEqual(await serving(), "", "it is answered all the while");
      return !said.includes(gone) && said === (await serving());
    });
    await first.start(/"msg":"Serving edges"/);
    const after = await explained(second);
    await until("the one that is back to say the same", LOOK_MS_MAX, async () => {
      return (await explained(first)) === after;
    });
  },
);

function documentOf(kind: string, name: string, spec: string, namespace?: string): string {
  const place = namespace === undefined ? "" : `, namespace: ${namespace}`;
  return `apiVersion: meridian.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}${place}}\nspec: ${spec}\n`;
}

/** Each tenant on two of the edges, with one in common where there are but three. */
function cellOf(edges: readonly string[]): string {
  const listed = edges.map((name) => `{name: ${name}}`).join(", ");
  const shuffle = `{edges: 2, overlap: ${edges.length < 4 ? 1 : 0}}`;
  return documentOf(
    "Cell",
    "eu",
    `{edges: [${listed}], tenants: [${TENANTS.join(", ")}], shuffle: ${shuffle}, leaveAfter: 1s}`,
  );
}

function zoneOf(tenant: string): string {
  const origin = `${tenant}.example`;
  const records = `[{name: www, type: A, values: ["192.0.2.7"]}]`;
  return documentOf(
    "Zone",
    origin,
    `{origin: ${origin}, nameServers: [{name: ns.example.net}], records: ${records}}`,
    tenant,
  );
}
