// SPDX-License-Identifier: Apache-2.0

// A recovery plan whose server is killed (SIGKILL) with each webhook that comes: as it is called, after a switch was turned, and in a ramp. It goes
// on after each start, and what each step does is there once. `test/proof/recovery-kills.ts` kills each of three controls' leaders.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { openStore } from "../../packages/control/src/store/open-store.ts";
import { udpClient } from "../conformance/dns-client.ts";
import { addressesIn, queryFor } from "./ask.ts";
import { ServerProcess, freePort, meridian, temporaryFolder, until } from "./process.ts";

const WAIT_MS_MAX = 60_000;
const apiVersion = "apiVersion: meridian.dev/v1alpha1";
const documents = `${apiVersion}
kind: Zone
metadata: { name: recovery.test }
spec: { origin: recovery.test, nameServers: [{ name: ns.recovery.test, addresses: [192.0.2.53] }] }
---
${apiVersion}
kind: Pool
metadata: { name: eu }
spec: { members: { one: { address: 192.0.2.1 } } }
---
${apiVersion}
kind: Pool
metadata: { name: us }
spec: { members: { one: { address: 192.0.2.2 } } }
---
${apiVersion}
kind: Pool
metadata: { name: spare }
spec: { members: { one: { address: 192.0.2.3 } } }
---
${apiVersion}
kind: TrafficPolicy
metadata: { name: split }
spec:
  root: all
  nodes: { all: { weighted: { branches: [{ pool: eu, weight: 100 }, { pool: us, weight: 0 }] } } }
---
${apiVersion}
kind: Record
metadata: { name: www }
spec: { name: www.recovery.test, policy: split, ttl: { min: 1s, max: 1s } }
`;
const plan = (url: string): string => `${apiVersion}
kind: ControlPanel
metadata: { name: shop }
spec: {}
---
${apiVersion}
kind: RoutingControl
metadata: { name: spare }
spec: { panel: shop, targets: [pool/default/spare] }
---
${apiVersion}
kind: RecoveryPlan
metadata: { name: to-us }
spec:
  objective: { recoveryTime: 10m }
  names: [www.recovery.test]
  sequence: [called, off, after, both]
  steps:
    called: { webhook: { url: ${url}, retries: 50 } }
    off: { controls: { states: { spare: "Off" } } }
    after: { webhook: { url: ${url}, retries: 50 } }
    both: { parallel: { steps: [ramp, during] } }
    during: { webhook: { url: ${url}, retries: 50 } }
    ramp:
      weights:
        policy: split
        node: all
        branches: [{ pool: eu, weight: 0 }, { pool: us, weight: 100 }]
        over: 1s
        every: 500ms
`;

test("a recovery plan goes on after its server is killed, and each of its steps is done once", async (t) => {
  const folder = temporaryFolder(t);
  const keys: string[] = [];
  let onNew: () => void = () => {};
  const receiver = createServer((request, response) => {
    const key = String(request.headers["idempotency-key"]).replace(/^[0-9a-f]{8}\//, "");
    const isNew = !keys.includes(key);
    keys.push(key);
    request.resume();
    if (isNew) onNew();
    // It is done; who called is dead before it hears of it.
    else response.writeHead(204).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  t.after(() => {
    receiver.closeAllConnections();
    receiver.close();
  });
  const address = receiver.address();
  assert.ok(typeof address === "object" && address !== null);
  const [files, plans] = [join(folder, "documents.yaml"), join(folder, "plans.yaml")];
  writeFileSync(files, documents);
  writeFileSync(plans, plan(`http://127.0.0.1:${address.port}/`));
  const port = await freePort();
  const stateDir = join(folder, "state");
  const setup = { files, stateDir, port, flags: ["--no-probing"] };
  let server = await ServerProcess.start(t, setup);
  const command = async (...given: readonly string[]): Promise<void> => {
    await until(`meridian ${given.join(" ")}`, WAIT_MS_MAX, async () => {
      const { code } = await meridian(...given, "--state", stateDir);
      return code === 0;
    });
  };
  await command("apply", "-f", plans);

  let [kills, restarting] = [0, Promise.resolve()];
  onNew = (): void => {
    kills += 1;
    restarting = restarting.then(async () => {
      await server.kill();
      server = await ServerProcess.start(t, setup);
    });
  };
  const { code, stderr } = await meridian(
    ...["recovery", "run", "to-us", "--reason", "test", "--yes", "--state", stateDir],
  );
  // The server may have been killed before it could say so.
  assert.ok(code === 0 || kills > 0, stderr);
  const read = async (path: string): Promise<string> => {
    try {
      return JSON.stringify(await server.api(path));
    } catch {
      return "";
    }
  };
  let report = "";
  await until("the end of the run", WAIT_MS_MAX, async () => {
    report = await read("/v1/recoveryreport?run=to-us");
    return report.includes('"recoveryMs":');
  });
  await restarting;
  assert.match(report, /"state":"completed"/);
  assert.equal(kills, 3);
  assert.deepEqual([...new Set(keys)], ["called", "after", "during"]);
  for (const key of new Set(keys)) assert.ok(keys.filter((each) => each === key).length >= 2, key);
  const dns = await udpClient("127.0.0.1", port);
  t.after(() => dns.close());
  const question = queryFor("www.recovery.test", "A");
  await until("answers of the other place", WAIT_MS_MAX, async () => {
    const addresses = await dns.ask(question).then(addressesIn, () => []);
    return addresses.join() === "192.0.2.2";
  });
  assert.match(await read("/v1/explain?name=www.recovery.test"), /recovery plan default\/to-us/);
  await server.stop();
  // One switch, and a node that was taken and changed twice.
  assert.deepEqual(await changesIn(stateDir), { ControlStates: 1, WeightOverride: 3 });
});

/** How often the store's history has each kind of what steps change. */
async function changesIn(stateDir: string): Promise<Record<string, number>> {
  const path = join(stateDir, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: true }, () => {});
  const counts: Record<string, number> = {};
  for (const { writes } of await store.history({ from: 1, limit: 1000 }))
    for (const { key, text, before } of writes)
      if (["ControlStates", "WeightOverride"].includes(key.kind) && text !== before)
        counts[key.kind] = (counts[key.kind] ?? 0) + 1;
  await store.close();
  return counts;
}
