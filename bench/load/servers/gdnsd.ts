// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { masterFile, writePieces } from "../data/files.ts";
import { policyFor, type PolicyPlan, type PoolPlan } from "../data/plan.ts";
import { formatNet, regions } from "../data/regions.ts";
import { outputOf, runProgram, startPinned } from "../measure/program.ts";
import type { CheckPlan, ServerAdapter, Serving, Workload } from "./adapter.ts";

/** The plugin that decides in each workload; none where the zone is static. */
const plugins: Readonly<Record<Workload, "weighted" | "geoip" | "metafo" | undefined>> = {
  weighted: "weighted",
  geo: "geoip",
  failover: "metafo",
  static: undefined,
  mixed: undefined,
};

/** gdnsd with one UDP thread; its own `http_status` checks run where endpoints are checked. */
export const gdnsd: ServerAdapter = {
  name: "gdnsd",
  label: (workload) => `gdnsd ${plugins[workload] ?? "static"}`,
  answers: (workload) => (plugins[workload] === undefined ? "static" : "policy"),
  version: async () => /version (\S+)/.exec(await outputOf("gdnsd", ["-h"]))?.[1],
  serves: () => true,
  checkSecondsLeast: 2,
  configure: (serving) => {
    for (const name of ["zones", "geoip", "run", "state"]) mkdirSync(join(serving.folder, name));
    writeFileSync(join(serving.folder, "config"), configText(serving));
    writeFileSync(join(serving.folder, "geoip", "nets"), netsText(serving));
    writeZones(serving);
  },
  start: ({ cores, folder }) =>
    startPinned(cores, "gdnsd", ["-c", folder, "start"], join(folder, "log")),
  reload: async (serving) => {
    writeZones(serving);
    await runProgram("gdnsdctl", ["-c", serving.folder, "reload-zones"]);
  },
  replace: async ({ folder }) => {
    await runProgram("gdnsdctl", ["-c", folder, "replace"]);
    return undefined;
  },
  // A replacement is nobody's child.
  stop: async ({ folder }) => {
    await outputOf("gdnsdctl", ["-c", folder, "-i", "stop"]);
  },
};

function writeZones({ workload, plan, folder }: Serving): void {
  const plugin = plugins[workload];
  const record =
    plugin === undefined
      ? undefined
      : (owner: number) => `DYNA ${plugin}!${policyFor(plan, owner).name}`;
  for (const [zone, origin] of plan.origins.entries()) {
    writePieces(join(folder, "zones", origin), masterFile(plan, zone, record));
  }
}

function configText(serving: Serving): string {
  const { plan, folder, port, check, workload } = serving;
  return `options => {
  listen => 127.0.0.1:${port}
  udp_threads => 1
  tcp_threads => 1
  run_dir => ${join(folder, "run")}
  state_dir => ${join(folder, "state")}
}
service_types => { web => { ${checkText(check)} } }
plugins => {
${pluginText(workload, plan.policies)}
}
`;
}

function checkText({ port, intervalSeconds, threshold }: CheckPlan): string {
  // Whole seconds, of which the timeout must be fewer.
  const interval = Math.ceil(intervalSeconds);
  return [
    `plugin => http_status, port => ${port}, url_path => "/"`,
    `interval => ${interval}, timeout => ${Math.floor(interval / 2)}`,
    `up_thresh => ${threshold}, ok_thresh => ${threshold}, down_thresh => ${threshold}`,
  ].join(", ");
}

function pluginText(workload: Workload, policies: readonly PolicyPlan[]): string {
  const datacenters = (policy: PolicyPlan): string =>
    `dcmap => { ${policy.pools.map((pool, at) => `${datacenter(pool, at, workload)} => { ${members(pool)} }`).join(", ")} }`;
  switch (workload) {
    case "weighted":
      return `  weighted => {
    service_types => web, up_thresh => 0.01
${policies.map((policy) => `    ${policy.name} => { ${weightedMembers(policy)} }`).join("\n")}
  }`;
    case "geo":
      return `  geoip => {
    maps => { regions => { datacenters => [ ${regions.map((each) => each.name).join(", ")} ], nets => nets } }
    resources => {
${policies.map((policy) => `      ${policy.name} => { map => regions, service_types => web, ${datacenters(policy)} }`).join("\n")}
    }
  }`;
    case "failover":
      return `  metafo => {
    resources => {
${policies
  .map((policy) => {
    const tiers = policy.pools.map((pool, at) => datacenter(pool, at, workload)).join(", ");
    return `      ${policy.name} => { datacenters => [ ${tiers} ], service_types => web, ${datacenters(policy)} }`;
  })
  .join("\n")}
    }
  }`;
    case "static":
    case "mixed":
      return "";
  }
}

function datacenter(pool: PoolPlan, index: number, workload: Workload): string {
  return workload === "geo" ? (regions[pool.region]?.name ?? "") : `tier${index}`;
}

function members(pool: PoolPlan): string {
  return pool.endpoints.map((endpoint) => `${endpoint.name} => ${endpoint.address}`).join(", ");
}

function weightedMembers(policy: PolicyPlan): string {
  return policy.pools
    .flatMap((pool, at) =>
      pool.endpoints.map(
        (endpoint) =>
          `p${at}${endpoint.name} => [ ${endpoint.address}, ${policy.weights[at] ?? 1} ]`,
      ),
    )
    .join(", ");
}

function netsText({ nets }: Serving): string {
  const order = (region: number): string =>
    regions.map((_each, index) => regions[(region + index) % regions.length]?.name).join(", ");
  return nets.map((net) => `${formatNet(net)} => [ ${order(net.region)} ]\n`).join("");
}
