// SPDX-License-Identifier: Apache-2.0

// Knot as the primary of one zone, which becomes another: it keeps what has changed from one to the next, for IXFR.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { freePort } from "../e2e/process.ts";
import { programPath } from "../needs.ts";
import { startDaemon } from "./daemon.ts";

const run = promisify(execFile);

export interface PrimaryZone {
  readonly origin: string;
  /** Its master file. */
  readonly text: string;
  /** Signs transfers both ways. */
  readonly key: { readonly name: string; readonly secret: string };
}

export class PrimaryKnot {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly #folder: string;
  readonly #origin: string;

  private constructor(folder: string, origin: string, port: number) {
    this.#folder = folder;
    this.#origin = origin;
    this.port = port;
  }

  /** In a folder of its own, which it makes. */
  static async start(t: TestContext, folder: string, zone: PrimaryZone): Promise<PrimaryKnot> {
    const { origin, text, key } = zone;
    mkdirSync(folder);
    const knot = new PrimaryKnot(folder, origin, await freePort());
    knot.#write(text);
    const configuration = join(folder, "knot.conf");
    writeFileSync(
      configuration,
      `server:
  rundir: "${folder}"
  listen: 127.0.0.1@${knot.port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
control:
  listen: "${folder}/knot.sock"
log:
  - target: stdout
    any: info
database:
  storage: "${folder}"
key:
  - id: ${key.name}
    algorithm: hmac-sha256
    secret: ${key.secret}
acl:
  - id: signed
    action: transfer
    key: ${key.name}
zone:
  - domain: ${origin}
    storage: "${folder}"
    file: zone
    acl: signed
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: changes
`,
    );
    await startDaemon(t, "knotd", ["-c", configuration], /server started/);
    return knot;
  }

  /** Has another zone from now on, whose serial is higher. */
  async become(text: string): Promise<void> {
    this.#write(text);
    const program = programPath("knotc") ?? "knotc";
    const socket = join(this.#folder, "knot.sock");
    await run(program, ["-b", "-s", socket, "zone-reload", this.#origin]);
  }

  #write(text: string): void {
    writeFileSync(join(this.#folder, "zone"), text);
  }
}
