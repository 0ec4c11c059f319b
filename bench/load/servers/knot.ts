// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { masterFile, writePieces } from "../data/files.ts";
import { policyFor, type PolicyPlan } from "../data/plan.ts";
import { formatNet, type Net } from "../data/regions.ts";
import { outputOf, runProgram, startPinned } from "../measure/program.ts";
import type { ServerAdapter, Serving, Workload } from "./adapter.ts";

const modes: Readonly<Record<Workload, "weighted" | "subnet" | undefined>> = {
  weighted: "weighted",
  geo: "subnet",
  failover: undefined,
  static: undefined,
  mixed: undefined,
};

/** Knot DNS with one UDP worker: plain zones, or its geoip module by weight or by client subnet. It checks no endpoint. */
export const knot: ServerAdapter = {
  name: "knot",
  label: (workload) => {
    const mode = modes[workload];
    return mode === undefined ? "Knot DNS static" : `Knot DNS geoip (${mode})`;
  },
  answers: (workload) => (modes[workload] === undefined ? "static" : "policy"),
  version: async () => /version (\S+)/.exec(await outputOf("knotd", ["--version"]))?.[1],
  // Without health checks there is nothing to compare under failover.
  serves: (workload) => workload !== "failover",
  configure: (serving) => {
    for (const name of ["zones", "run", "db"]) mkdirSync(join(serving.folder, name));
    writeFileSync(join(serving.folder, "knot.conf"), configText(serving));
    writeFileSync(join(serving.folder, "geo.conf"), geoText(serving));
    writeZones(serving, 1);
  },
  start: ({ cores, folder }) =>
    startPinned(cores, "knotd", ["-c", join(folder, "knot.conf")], join(folder, "log")),
  reload: async (serving) => {
    writeZones(serving, Math.floor(Date.now() / 1000));
    await runProgram("knotc", ["-s", socketPath(serving.folder), "-b", "zone-reload"]);
  },
};

function socketPath(folder: string): string {
  return join(folder, "run", "knot.sock");
}

function writeZones({ plan, folder }: Serving, serial: number): void {
  for (const [zone, origin] of plan.origins.entries()) {
    writePieces(join(folder, "zones", `${origin}.zone`), masterFile(plan, zone, undefined, serial));
  }
}

function configText({ plan, workload, folder, port }: Serving): string {
  const mode = modes[workload];
  const moduleText =
    mode === undefined
      ? ""
      : `mod-geoip:
  - id: geo
    config-file: ${join(folder, "geo.conf")}
    ttl: 60
    mode: ${mode}
`;
  const use = mode === undefined ? "" : "    module: mod-geoip/geo\n";
  const zones = plan.origins.map((origin) => `  - domain: ${origin}\n${use}`).join("");
  return `server:
    rundir: ${join(folder, "run")}
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    edns-client-subnet: on
database:
    storage: ${join(folder, "db")}
control:
    listen: ${socketPath(folder)}
log:
  - target: stderr
    any: warning
${moduleText}template:
  - id: default
    storage: ${join(folder, "zones")}
    file: "%s.zone"
    semantic-checks: off
    journal-content: none
    zonefile-sync: -1
    zonefile-load: whole
zone:
${zones}`;
}

function geoText({ plan, workload, nets }: Serving): string {
  const mode = modes[workload];
  if (mode === undefined) return "";
  return plan.owners
    .map((owner, index) => `${owner}.:\n${geoEntries(mode, policyFor(plan, index), nets)}`)
    .join("");
}

function geoEntries(mode: "weighted" | "subnet", policy: PolicyPlan, nets: readonly Net[]): string {
  if (mode === "weighted") {
    return policy.pools
      .flatMap((pool, at) =>
        pool.endpoints.map(
          (endpoint) => `  - weight: ${policy.weights[at] ?? 1}\n    A: ${endpoint.address}\n`,
        ),
      )
      .join("");
  }
  return nets
    .map((net) => `  - net: ${formatNet(net)}\n    A: [ ${addresses(policy, net)} ]\n`)
    .join("");
}

function addresses(policy: PolicyPlan, net: Net): string {
  const pool = policy.pools.find((each) => each.region === net.region);
  return (pool?.endpoints ?? []).map((endpoint) => endpoint.address).join(", ");
}
