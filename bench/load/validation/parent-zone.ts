// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { RRType, formatRdata } from "@meridian/dns";
import { freePort, runProgram, startPinned, waitFor } from "../measure/program.ts";
import { recordsOf } from "./records.ts";

const READY_MS_MAX = 20_000;
const SBIN = "/usr/sbin";

/** A parent zone on Knot, which signs it, with DS records that follow what its children ask for in CDS (RFC 8078). */
export class ParentZone {
  readonly origin: string;
  readonly port: number;
  readonly #socket: string;
  readonly child: ChildProcess;
  /** DS records of each child, as text. */
  readonly #named = new Map<string, string>();

  private constructor(origin: string, port: number, socket: string, child: ChildProcess) {
    this.origin = origin;
    this.port = port;
    this.#socket = socket;
    this.child = child;
  }

  /** Starts one that delegates `labels`, without DS; its TTLs, in seconds, are for all that it says. */
  static async start(
    folder: string,
    cores: string,
    origin: string,
    labels: readonly string[],
    ttl: number,
  ): Promise<ParentZone> {
    const port = await freePort();
    mkdirSync(folder);
    const zone = [
      `${origin} ${ttl} IN SOA ns.${origin} root.${origin} 1 60 60 600 ${ttl}`,
      `${origin} ${ttl} IN NS ns.${origin}`,
      `ns.${origin} ${ttl} IN A 127.0.0.1`,
      ...labels.flatMap((label) => [
        `${label}.${origin} ${ttl} IN NS ns.${label}.${origin}`,
        `ns.${label}.${origin} ${ttl} IN A 127.0.0.1`,
      ]),
    ];
    writeFileSync(join(folder, "zone"), `${zone.join("\n")}\n`);
    const configuration = join(folder, "knot.conf");
    writeFileSync(configuration, configurationOf(folder, port, origin, ttl));
    const log = join(folder, "knot.log");
    const child = startPinned(cores, join(SBIN, "knotd"), ["-c", configuration], log);
    const parent = new ParentZone(origin, port, join(folder, "knot.sock"), child);
    await waitFor("Knot", READY_MS_MAX, () => parent.#anchors(), child);
    return parent;
  }

  /** Its entry key, as a trust anchor. */
  async anchor(): Promise<string> {
    const [anchor] = (await this.#anchors()) ?? [];
    if (anchor === undefined) throw new Error("Cannot read the parent's keys");
    return `${this.origin} DNSKEY ${anchor}`;
  }

  /** Has a child's DS records as its CDS records say; true where they were others before. */
  async follow(label: string, cds: readonly Uint8Array[]): Promise<boolean> {
    const texts = cds.map((rdata) => formatRdata(RRType.DS, rdata)).toSorted();
    const wanted = texts.join("\n");
    const before = this.#named.get(label) ?? "";
    if (texts.length === 0 || wanted === before) return false;
    const isRemoval = texts[0]?.startsWith("0 0 0 ") === true;
    await this.#control("zone-begin", this.origin);
    if (before !== "") await this.#control("zone-unset", this.origin, label, "DS");
    if (!isRemoval)
      for (const text of texts)
        await this.#control("zone-set", this.origin, label, TTL_OF_DS, "DS", ...text.split(" "));
    await this.#control("zone-commit", this.origin);
    this.#named.set(label, isRemoval ? "" : wanted);
    return before !== "" || !isRemoval;
  }

  async #anchors(): Promise<string[] | undefined> {
    const { records } = (await recordsOf(this.port, this.origin, RRType.DNSKEY)) ?? {};
    const texts = records?.map((rdata) => formatRdata(RRType.DNSKEY, rdata)) ?? [];
    const entries = texts.filter((text) => text.startsWith("257 "));
    return entries.length === 0 ? undefined : entries;
  }

  async #control(...words: readonly string[]): Promise<void> {
    await runProgram(join(SBIN, "knotc"), ["-s", this.#socket, ...words]);
  }
}

/** Seconds. */
const TTL_OF_DS = "1";

function configurationOf(folder: string, port: number, origin: string, ttl: number): string {
  return `server:
  rundir: "${folder}"
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  user: "${process.env["USER"] ?? "root"}"
log:
  - target: stdout
    any: info
database:
  storage: "${folder}"
policy:
  - id: plain
    zsk-lifetime: 0
    dnskey-ttl: ${ttl}
    zone-max-ttl: ${ttl}
template:
  - id: default
    storage: "${folder}"
    zonefile-sync: -1
    zonefile-load: whole
    dnssec-signing: on
    dnssec-policy: plain
zone:
  - domain: ${origin}
    file: zone
`;
}
