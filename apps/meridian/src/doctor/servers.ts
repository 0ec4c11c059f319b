// SPDX-License-Identifier: Apache-2.0

// What the doctor asks each name server of a zone by itself, and what may differ between them.

import { randomBytes } from "node:crypto";
import {
  cookieOption,
  DnssecAlgorithm,
  EdnsOptionCode,
  EcsFamily,
  findOption,
  formatName,
  formatRdata,
  fullRcode,
  parseCookie,
  parseEcs,
  Rcode,
  rcodeToText,
  readRrsig,
  rrsigFault,
  RRType,
  typeToText,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";
import type { DnsReply } from "../dns-question.ts";
import type { Asker } from "./asker.ts";
import { finding, type Finding, type FindingCode } from "./finding.ts";

/** One address at which the zone should be answered. */
export interface ServerAddress {
  /** Of the NS record, or of the edge. */
  readonly name: string;
  /** `192.0.2.53:53`. */
  readonly server: string;
}

/** What a server has at the apex; absent where it does not answer for the zone. */
export interface ServerView {
  readonly address: ServerAddress;
  readonly findings: readonly Finding[];
  readonly serial?: number;
  /** Names in the NS records, sorted. */
  readonly names: readonly string[];
  readonly keys: readonly Uint8Array[];
}

const SUBNET = "192.0.2.0/24";
const UDP_BYTES_MAX = 1232;
/** Clocks that differ by more are wrong: TSIG allows 300 s (RFC 8945 §5.2.3), and half is left for the other side. */
const SKEW_SECONDS_MAX = 150;
/** The share of its life below which a signature should have been made anew. */
const LATE_SHARE = 0.1;

/** Asks one address everything. `nowSeconds` is this machine's time. */
export async function examineServer(
  asker: Asker,
  origin: string,
  address: ServerAddress,
  nowSeconds: number,
): Promise<ServerView> {
  const examination = new ServerExamination(asker, origin, address, nowSeconds);
  return examination.run();
}

class ServerExamination {
  readonly #asker: Asker;
  readonly #origin: string;
  readonly #address: ServerAddress;
  readonly #nowSeconds: number;
  readonly #findings: Finding[] = [];

  constructor(asker: Asker, origin: string, address: ServerAddress, nowSeconds: number) {
    this.#asker = asker;
    this.#origin = origin;
    this.#address = address;
    this.#nowSeconds = nowSeconds;
  }

  async run(): Promise<ServerView> {
    const { server } = this.#address;
    const base = { server, name: this.#origin };
    const none = { address: this.#address, findings: this.#findings, names: [], keys: [] };
    const cookie = cookieOption(randomBytes(8));
    const soa = await this.#asker.ask({
      ...base,
      type: RRType.SOA,
      signatures: true,
      options: [cookie],
    });
    if (typeof soa === "string") {
      this.#find("server-silent", soa);
      return none;
    }
    if (!this.#isAuthority(soa)) return none;
    const [names, keys] = await Promise.all([
      this.#asker.ask({ ...base, type: RRType.NS }),
      this.#asker.ask({ ...base, type: RRType.DNSKEY, signatures: true, tcp: true }),
      this.#overTcp(),
      this.#edns(soa),
      this.#subnet(),
    ]);
    const dnskeys = typeof keys === "string" ? [] : setOf(keys.message, RRType.DNSKEY);
    this.#clock(soa.message);
    this.#signatures(soa.message, RRType.SOA, dnskeys);
    if (typeof keys !== "string") this.#signatures(keys.message, RRType.DNSKEY, dnskeys);
    return {
      ...none,
      serial: serialOf(setOf(soa.message, RRType.SOA)),
      names: typeof names === "string" ? [] : nameList(setOf(names.message, RRType.NS)),
      keys: dnskeys.map(({ rdata }) => rdata),
    };
  }

  #find(code: FindingCode, seen: string): void {
    this.#findings.push(finding(code, `${this.#address.name} (${this.#address.server})`, seen));
  }

  #isAuthority({ message }: DnsReply): boolean {
    const isSoa = setOf(message, RRType.SOA).length === 1;
    if (message.flags.aa && isSoa) return true;
    const rcode = rcodeToText(fullRcode(message));
    const authority = message.flags.aa ? "with" : "without";
    this.#find(
      "server-lame",
      `answers ${rcode} ${authority} authority, ${isSoa ? "one" : "no"} SOA`,
    );
    return false;
  }

  async #overTcp(): Promise<void> {
    const { server } = this.#address;
    const reply = await this.#asker.ask({
      server,
      name: this.#origin,
      type: RRType.SOA,
      tcp: true,
    });
    if (typeof reply === "string") this.#find("tcp-silent", reply);
  }

  async #edns({ message, bytes }: DnsReply): Promise<void> {
    if (message.edns === undefined) this.#find("edns-missing", "the answer has no OPT record");
    if (bytes > UDP_BYTES_MAX)
      this.#find("answer-too-large", `the SOA took ${bytes} bytes over UDP`);
    const { server } = this.#address;
    const other = await this.#asker.ask({
      server,
      name: this.#origin,
      type: RRType.SOA,
      ednsVersion: 1,
    });
    if (typeof other === "string") this.#find("edns-version", `a query of version 1: ${other}`);
    else if (fullRcode(other.message) !== Rcode.BADVERS)
      this.#find(
        "edns-version",
        `a query of version 1 gets ${rcodeToText(fullRcode(other.message))}`,
      );
  }

  async #subnet(): Promise<void> {
    const { server } = this.#address;
    const reply = await this.#asker.ask({
      server,
      name: this.#origin,
      type: RRType.SOA,
      subnet: SUBNET,
    });
    if (typeof reply === "string") return;
    const option = findOption(reply.message.edns?.options ?? [], EdnsOptionCode.CLIENT_SUBNET);
    if (option === undefined) return this.#find("ecs-ignored", `${SUBNET} does not come back`);
    const ecs = parseEcs(option.data);
    const isRight = ecs !== undefined && ecs.family === EcsFamily.IPV4 && ecs.sourcePrefix === 24;
    if (!isRight)
      this.#find(
        "ecs-wrong",
        `${SUBNET} comes back as ${Buffer.from(option.data).toString("hex")}`,
      );
  }

  /** A server's cookie says when it was made (RFC 9018 §4.3). */
  #clock(message: Message): void {
    const option = findOption(message.edns?.options ?? [], EdnsOptionCode.COOKIE);
    const server = option === undefined ? undefined : parseCookie(option.data)?.server;
    if (server?.length !== 16 || server[0] !== 1) return;
    const theirs = new DataView(server.buffer, server.byteOffset).getUint32(4);
    // Times are 32 bits and compare as serial numbers.
    const skew = (theirs - this.#nowSeconds) | 0;
    if (Math.abs(skew) > SKEW_SECONDS_MAX)
      this.#find("clock-skew", `its clock is ${Math.abs(skew)} s ${skew < 0 ? "behind" : "ahead"}`);
  }

  #signatures(message: Message, type: number, keys: readonly ResourceRecord[]): void {
    const records = setOf(message, type);
    const [first] = records;
    if (keys.length === 0 || first === undefined) return;
    const all = setOf(message, RRType.RRSIG);
    const what = `the RRSIG of the ${typeToText(type)}`;
    if (all.length === 0) return this.#find("signature-missing", `${what} is not there`);
    // Of algorithms that cannot be checked here it is known that they are there, and how long they last.
    const signatures = all.filter(({ rdata }) => isKnownAlgorithm(readRrsig(rdata)?.algorithm));
    const rrset = { ...first, rdatas: records.map(({ rdata }) => rdata) };
    const faults = signatures.map(({ rdata }) => {
      const tried = keys.map((key) => rrsigFault(rrset, rdata, key.rdata, this.#nowSeconds));
      return tried.includes(undefined)
        ? undefined
        : (tried.find((fault) => fault !== "other-key") ?? "other-key");
    });
    if (faults.includes(undefined) || faults.length === 0) return this.#age(all, what);
    if (faults.includes("expired")) this.#find("signature-expired", what);
    else if (faults.includes("not-yet-valid"))
      this.#find("clock-skew", `${what} begins in the future`);
    else this.#find("signature-wrong", `${what}: ${faults.join(", ")}`);
  }

  #age(signatures: readonly ResourceRecord[], what: string): void {
    for (const { rdata } of signatures) {
      const fields = readRrsig(rdata);
      if (fields === undefined) continue;
      const left = (fields.expiration - this.#nowSeconds) | 0;
      const life = (fields.expiration - fields.inception) | 0;
      if (left < life * LATE_SHARE)
        this.#find("signature-expires", `${what} by key ${fields.keyTag}, in ${left} s`);
    }
  }
}

/** Whether signatures of an algorithm can be checked here. */
export function isKnownAlgorithm(algorithm: number | undefined): boolean {
  return Object.values<number | undefined>(DnssecAlgorithm).includes(algorithm);
}

/** What servers say differently that should say the same. */
export function compareServers(views: readonly ServerView[]): Finding[] {
  const authorities = views.filter(({ serial }) => serial !== undefined);
  const [first] = authorities;
  if (first === undefined) return [];
  const newest = authorities.reduce((a, b) =>
    (((b.serial ?? 0) - (a.serial ?? 0)) | 0) > 0 ? b : a,
  );
  return authorities.flatMap((view) => {
    const subject = `${view.address.name} (${view.address.server})`;
    const other = `${first.address.name} (${first.address.server})`;
    const findings: Finding[] = [];
    if (view.serial !== newest.serial)
      findings.push(
        finding(
          "serial-differs",
          subject,
          `serial ${view.serial}, at ${newest.address.server} ${newest.serial}`,
        ),
      );
    if (view.names.join(" ") !== first.names.join(" "))
      findings.push(
        finding(
          "ns-differs",
          subject,
          `names ${view.names.join(", ")}, ${other} ${first.names.join(", ")}`,
        ),
      );
    if (keyText(view) !== keyText(first))
      findings.push(
        finding(
          "keys-differ",
          subject,
          `${view.keys.length} keys, at ${other} ${first.keys.length}, or others`,
        ),
      );
    return findings;
  });
}

function keyText({ keys }: ServerView): string {
  return keys
    .map((key) => Buffer.from(key).toString("hex"))
    .toSorted()
    .join(" ");
}

/** Records of a type in the answer. */
export function setOf({ answer }: Message, type: number): ResourceRecord[] {
  return answer.filter((record) => record.type === type);
}

function nameList(records: readonly ResourceRecord[]): string[] {
  return records.map(({ rdata }) => formatName(rdata).toLowerCase()).toSorted();
}

function serialOf([soa]: readonly ResourceRecord[]): number {
  return Number(soa === undefined ? 0 : formatRdata(RRType.SOA, soa.rdata).split(" ")[2]);
}
