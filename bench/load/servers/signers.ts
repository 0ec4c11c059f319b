// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { masterFile, writePieces } from "../data/files.ts";
import { outputOf, runProgram, startPinned } from "../measure/program.ts";
import type { Serving } from "./adapter.ts";

/** A server that signs answers when they are asked for. */
export interface Signer {
  readonly name: string;
  version(): Promise<string | undefined>;
  configure(serving: Serving): void | Promise<void>;
  start(serving: Serving): ChildProcess;
}

function writeZones({ plan, folder }: Serving): void {
  for (const name of ["zones", "run", "db"]) mkdirSync(join(folder, name));
  for (const [zone, origin] of plan.origins.entries())
    writePieces(join(folder, "zones", `${origin}.zone`), masterFile(plan, zone));
}

/** Knot DNS with mod-onlinesign: ECDSA P-256, one key, a denial for each name. */
export const knotSigner: Signer = {
  name: "Knot onlinesign",
  version: async () => /version (\S+)/.exec(await outputOf("knotd", ["--version"]))?.[1],
  configure: (serving) => {
    const { folder, plan, port } = serving;
    writeZones(serving);
    const zones = plan.origins.map(
      (origin) => `  - domain: ${origin}\n    module: mod-onlinesign\n`,
    );
    writeFileSync(
      join(folder, "knot.conf"),
      `server:
    rundir: ${join(folder, "run")}
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: ${join(folder, "db")}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: ${join(folder, "zones")}
    file: "%s.zone"
    journal-content: none
    zonefile-sync: -1
    zonefile-load: whole
zone:
${zones.join("")}`,
    );
  },
  start: ({ cores, folder }) =>
    startPinned(cores, "knotd", ["-c", join(folder, "knot.conf")], join(folder, "log")),
};

/** PowerDNS signing live, with the key that it makes by default (ECDSA P-256), NSEC with white lies. */
export const powerdnsSigner: Signer = {
  name: "PowerDNS live signing",
  version: async () =>
    /Server (\d\S*)/.exec(await outputOf("pdns_server", ["--version", "--no-config"]))?.[1],
  configure: async (serving) => {
    const { folder, plan, port } = serving;
    writeZones(serving);
    const zones = plan.origins.map(
      (origin) =>
        `zone "${origin}" { type master; file "${join(folder, "zones", `${origin}.zone`)}"; };\n`,
    );
    writeFileSync(join(folder, "named.conf"), zones.join(""));
    writeFileSync(
      join(folder, "pdns.conf"),
      `launch=bind
bind-config=${join(folder, "named.conf")}
bind-dnssec-db=${join(folder, "db", "dnssec.sqlite3")}
socket-dir=${join(folder, "run")}
local-address=127.0.0.1
local-port=${port}
daemon=no
guardian=no
receiver-threads=1
distributor-threads=1
loglevel=3
`,
    );
    const tool = (...args: string[]): Promise<string> =>
      runProgram("pdnsutil", [`--config-dir=${folder}`, ...args]);
    await tool("create-bind-db", join(folder, "db", "dnssec.sqlite3"));
    for (const origin of plan.origins) {
      await tool("secure-zone", origin);
      await tool("set-nsec3", origin, "1 0 0 -", "narrow");
    }
  },
  start: ({ cores, folder }) =>
    startPinned(cores, "pdns_server", [`--config-dir=${folder}`], join(folder, "log")),
};
