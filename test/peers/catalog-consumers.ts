// SPDX-License-Identifier: Apache-2.0

// Name servers of the system that have whatever zones a catalog lists (RFC 9432), from one primary.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { startDaemon } from "./daemon.ts";
import { knotBase } from "./knot-base.ts";

export interface ConsumerSetup {
  /** A folder of its own. */
  readonly folder: string;
  /** Port of the primary on 127.0.0.1. */
  readonly primary: number;
  readonly catalog: string;
}

export async function startKnotConsumer(
  t: TestContext,
  port: number,
  { folder, primary, catalog }: ConsumerSetup,
): Promise<void> {
  const path = join(folder, "knot.conf");
  writeFileSync(
    path,
    `${knotBase(folder, port)}remote:
  - id: primary
    address: 127.0.0.1@${primary}
acl:
  - id: told
    address: 127.0.0.1
    action: notify
template:
  - id: default
    storage: "${folder}"
    master: primary
    acl: told
zone:
  - domain: ${catalog}
    catalog-role: interpret
    catalog-template: default
`,
  );
  await startDaemon(t, "knotd", ["-c", path], /server started/);
}

/** A catalog that BIND is the primary of, with zones of its own, all of which anybody may change. */
export interface ProducedZones {
  /** Master files by origin. */
  readonly zones: Readonly<Record<string, string>>;
  /** A secondary of all of them that is told of changes. */
  readonly notified: number;
}

export async function startBindConsumer(
  t: TestContext,
  port: number,
  { folder, primary, catalog }: ConsumerSetup,
  produced?: ProducedZones,
): Promise<void> {
  const path = join(folder, "named.conf");
  writeFileSync(
    path,
    `options {
  directory "${folder}";
  pid-file none;
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  notify no;
  dnssec-validation no;
  catalog-zones {
    zone "${catalog}" default-primaries { 127.0.0.1 port ${primary}; } min-update-interval 0;
  };
};
controls { };
zone "${catalog}" {
  type secondary;
  file "catalog";
  primaries port ${primary} { 127.0.0.1; };
};
${producedZones(folder, produced)}`,
  );
  await startDaemon(t, "named", ["-g", "-c", path, "-n", "1"], /running$/m);
}

function producedZones(folder: string, produced: ProducedZones | undefined): string {
  return Object.entries(produced?.zones ?? {})
    .map(([origin, text]) => {
      writeFileSync(join(folder, origin), text);
      return `zone "${origin}" {
  type primary;
  file "${origin}";
  allow-update { 127.0.0.1; };
  allow-transfer { any; };
  notify explicit;
  also-notify { 127.0.0.1 port ${produced?.notified}; };
};
`;
    })
    .join("");
}
