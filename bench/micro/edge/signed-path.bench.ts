// SPDX-License-Identifier: Apache-2.0

// Nanoseconds of CPU time that a query with DO takes in this process, of a zone that is not signed and of one that is, by turns; every
// signature is there. Run: node bench/micro/edge/signed-path.bench.ts [owners] [rounds]

import { generateKeyPairSync } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { Pcg32 } from "@meridian/core";
import { DnssecAlgorithm, keyTagOf, dnskeyRdata, publicKeyField, RRType } from "@meridian/dns";
import { EdgeSigning, type QueryHandler, SigningRole, SILENT_LOGGER } from "@meridian/edge";
import type { SigningMaterial } from "@meridian/snapshot";
import { makeHandler, packetFor, PacketRounds, wire, WORKER_FLAG } from "./query-path.bench.ts";

const DAY = 86_400;
/** Owners that are not there, but were asked for before. */
const ABSENT_SHARE = 10;

/** One case: medians of CPU time, and of their ratio within a round. */
export interface SignedPathResult {
  readonly name: string;
  readonly unsignedNs: number;
  readonly signedNs: number;
  readonly ratio: number;
}

function material(): SigningMaterial {
  const algorithm = DnssecAlgorithm.ECDSAP256SHA256;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = publicKeyField(algorithm, privateKey) ?? new Uint8Array(0);
  return {
    ...{ zone: wire("example.org"), sequence: 1, denial: "nsec", apex: [] },
    ...{ signatureValiditySeconds: 14 * DAY, refreshSeconds: 7 * DAY },
    keys: [
      {
        keyTag: keyTagOf(dnskeyRdata({ flags: 257, algorithm, publicKey })),
        ...{ algorithm, publicKey, signs: true },
        privateKey: new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })),
      },
    ],
  };
}

function sign(handler: QueryHandler): void {
  const signing = new EdgeSigning(SILENT_LOGGER);
  signing.take([material()]);
  const message = signing.message(1, handler.lastQuery.served.world);
  // As the thread that signs ahead does, the first round makes all signatures.
  if (message !== undefined) handler.sign(message, SigningRole.ahead);
}

/** Runs each case over `ownerCount` owners, `queryCount` queries a round. */
export function runSignedPath(
  ownerCount: number,
  queryCount: number,
  rounds: number,
): SignedPathResult[] {
  // A clock that stands, so that no answer is a new one.
  const nowMs = Date.now();
  const unsigned = makeHandler(ownerCount, { nowMs: () => nowMs });
  const signed = makeHandler(ownerCount, { nowMs: () => nowMs });
  sign(signed);
  const random = new Pcg32(3);
  const below = (bound: number): number => random.next32() % bound;
  const mixed = (): string => `${below(ABSENT_SHARE) === 0 ? "no" : "w"}${below(ownerCount)}`;
  const cases: readonly (readonly [string, () => string])[] = [
    ["static", () => `s${below(ownerCount)}`],
    ["weighted", () => `w${below(ownerCount)}`],
    ["NXDOMAIN", () => `no${below(ownerCount)}`],
    ["90 % weighted, 10 % NXDOMAIN", mixed],
  ];
  return cases.map(([name, label]) => {
    const packets = Array.from({ length: queryCount }, () =>
      packetFor(label(), RRType.A, { udpSize: 1232, do: true }),
    );
    const turns = new PacketRounds(packets);
    for (const handler of [unsigned, signed, unsigned, signed]) turns.run(handler);
    const found = Array.from({ length: rounds }, () => {
      const unsignedNs = turns.run(unsigned);
      const signedNs = turns.run(signed);
      return { unsignedNs, signedNs, ratio: signedNs / unsignedNs };
    });
    const median = (key: "unsignedNs" | "signedNs" | "ratio"): number =>
      found.map((turn) => turn[key]).toSorted((a, b) => a - b)[rounds >>> 1] ?? 0;
    return {
      ...{ name, unsignedNs: median("unsignedNs") },
      ...{ signedNs: median("signedNs"), ratio: median("ratio") },
    };
  });
}

if (import.meta.main) {
  setFlagsFromString(WORKER_FLAG);
  const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";
  const ownerCount = Number(process.argv[2] ?? (isSmoke ? 1000 : 100_000));
  const rounds = Number(process.argv[3] ?? (isSmoke ? 1 : 9));
  for (const result of runSignedPath(ownerCount, isSmoke ? 1000 : 200_000, rounds)) {
    const { name, unsignedNs, signedNs, ratio } = result;
    process.stdout.write(
      `${name.padEnd(30)} ${unsignedNs.toFixed(0)} ns, signed ${signedNs.toFixed(0)} ns, × ${ratio.toFixed(2)}\n`,
    );
  }
}
