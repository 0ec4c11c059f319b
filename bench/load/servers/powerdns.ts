// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { masterFile, writePieces } from "../data/files.ts";
import { policyFor, type PolicyPlan } from "../data/plan.ts";
import { outputOf, startPinned } from "../measure/program.ts";
import type { ServerAdapter, Serving } from "./adapter.ts";

/** PowerDNS with its bind backend and, where a policy decides, Lua records with shared state. */
export const powerdns: ServerAdapter = {
  name: "powerdns",
  label: (workload) => {
    if (workload === "weighted") return "PowerDNS Lua pickwrandom";
    return workload === "failover" ? "PowerDNS Lua ifurlup" : "PowerDNS static";
  },
  answers: (workload) => (workload === "static" ? "static" : "policy"),
  version: async () =>
    /Server (\d\S*)/.exec(await outputOf("pdns_server", ["--version", "--no-config"]))?.[1],
  serves: (workload) => workload === "weighted" || workload === "failover" || workload === "static",
  checkSecondsLeast: 1,
  configure: (serving) => {
    const { folder, plan } = serving;
    for (const name of ["zones", "run"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "pdns.conf"), configText(serving));
    const zones = plan.origins.map(
      (origin) => `zone "${origin}" { type master; file "${join(folder, "zones", origin)}"; };\n`,
    );
    writeFileSync(join(folder, "named.conf"), zones.join(""));
    const record =
      serving.workload === "static"
        ? undefined
        : (owner: number) => `LUA A "${lua(serving, policyFor(plan, owner))}"`;
    for (const [zone, origin] of plan.origins.entries()) {
      writePieces(join(folder, "zones", origin), masterFile(plan, zone, record));
    }
  },
  start: ({ cores, folder }) =>
    startPinned(cores, "pdns_server", [`--config-dir=${folder}`], join(folder, "log")),
};

function configText({ folder, port, check }: Serving): string {
  return `launch=bind
bind-config=${join(folder, "named.conf")}
socket-dir=${join(folder, "run")}
local-address=127.0.0.1
local-port=${port}
daemon=no
guardian=no
receiver-threads=1
distributor-threads=1
enable-lua-records=shared
lua-health-checks-interval=${Math.ceil(check.intervalSeconds)}
edns-subnet-processing=yes
loglevel=3
`;
}

function lua({ workload, check }: Serving, policy: PolicyPlan): string {
  if (workload === "failover") {
    const tiers = policy.pools.map(
      (pool) => `{${pool.endpoints.map((endpoint) => `'${endpoint.address}'`).join(",")}}`,
    );
    return `ifurlup('http://bench.example:${check.port}/', {${tiers.join(",")}})`;
  }
  const members = policy.pools.flatMap((pool, at) =>
    pool.endpoints.map((endpoint) => `{${policy.weights[at] ?? 1}, '${endpoint.address}'}`),
  );
  return `pickwrandom({${members.join(",")}})`;
}
