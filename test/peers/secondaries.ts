// SPDX-License-Identifier: Apache-2.0

// Name servers of the system as secondaries of an edge: they are told of changes and take zones from it, signed with a key.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "../e2e/process.ts";
import { startDaemon } from "./daemon.ts";
import { knotBase } from "./knot-base.ts";

/** Whose secondary it is, and the key that both have. */
export interface SecondarySetup {
  readonly origins: readonly string[];
  /** A folder of its own. */
  readonly folder: string;
  /** Port of the primary on 127.0.0.1. */
  readonly primary: number;
  readonly key: { readonly name: string; readonly secret: string };
}

/** A port for a secondary, which its primary may know before it is started. */
export function secondaryPort(): Promise<number> {
  return freePort();
}

/** Knot, which takes the zones at once and then when it is told. */
export async function startKnotSecondary(
  t: TestContext,
  port: number,
  { origins, folder, primary, key }: SecondarySetup,
): Promise<void> {
  const path = join(folder, "knot.conf");
  writeFileSync(
    path,
    `${knotBase(folder, port)}key:
  - id: ${key.name}
    algorithm: hmac-sha256
    secret: ${key.secret}
remote:
  - id: edge
    address: 127.0.0.1@${primary}
    key: ${key.name}
acl:
  - id: told
    address: 127.0.0.1
    key: ${key.name}
    action: notify
  - id: anyone
    address: 127.0.0.1
    action: transfer
zone:
${origins
  .map(
    (origin) => `  - domain: ${origin}
    storage: "${folder}"
    master: edge
    acl: [told, anyone]
`,
  )
  .join("")}`,
  );
  await startDaemon(t, "knotd", ["-c", path], /server started/);
}

/** Files of a certificate, and of its key. */
export interface OwnCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** BIND, which takes zones inside TLS alone, from a server that shows it a certificate of `authority` for 127.0.0.1; it shows `own`, too. */
export async function startBindSecondary(
  t: TestContext,
  port: number,
  { origins, folder, primary, key }: SecondarySetup,
  authority: string,
  own?: OwnCertificate,
): Promise<void> {
  const shown = own === undefined ? "" : `cert-file "${own.certFile}"; key-file "${own.keyFile}"; `;
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
  allow-transfer { any; };
};
controls { };
key "${key.name}" { algorithm hmac-sha256; secret "${key.secret}"; };
tls edge { ${shown}ca-file "${authority}"; remote-hostname "127.0.0.1"; };
${origins
  .map(
    (origin) => `zone "${origin}" {
  type secondary;
  file "${origin}zone";
  masterfile-format text;
  primaries port ${primary} { 127.0.0.1 key "${key.name}" tls edge; };
  allow-notify { key "${key.name}"; };
};
`,
  )
  .join("")}`,
  );
  await startDaemon(t, "named", ["-g", "-c", path, "-n", "1"], /running$/m);
}

/** The same with NSD. */
export async function startNsdSecondary(
  t: TestContext,
  port: number,
  { origins, folder, primary, key }: SecondarySetup,
): Promise<void> {
  const path = join(folder, "nsd.conf");
  writeFileSync(
    path,
    `server:
  ip-address: 127.0.0.1@${port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  xfrdir: "${folder}"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  pidfile: "${folder}/nsd.pid"
  database: ""
  verbosity: 3
  # As soon as it has another serial.
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: "${key.name}"
  algorithm: hmac-sha256
  secret: "${key.secret}"
${origins
  .map(
    (origin) => `zone:
  name: "${origin}"
  zonefile: "${folder}/${origin}zone"
  request-xfr: 127.0.0.1@${primary} ${key.name}
  allow-notify: 127.0.0.1 ${key.name}
  provide-xfr: 127.0.0.1 NOKEY
`,
  )
  .join("")}`,
  );
  await startDaemon(t, "nsd", ["-d", "-c", path], /nsd started/);
}
