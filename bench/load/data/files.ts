// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, writeSync } from "node:fs";
import { expectedLine, type AnswerMode } from "./answers.ts";
import { poolsOf, staticAddress, type ServicePlan } from "./plan.ts";
import { queryName, randomQueries } from "./query-file.ts";
import { formatNet, type Net } from "./regions.ts";

const CHUNK_BYTES = 1 << 20;

/** Writes text or bytes piece by piece without holding all of it in memory. */
export function writePieces(path: string, pieces: Iterable<string | Buffer>): void {
  const descriptor = openSync(path, "w");
  try {
    let parts: Buffer[] = [];
    let bytes = 0;
    for (const piece of pieces) {
      const part = typeof piece === "string" ? Buffer.from(piece) : piece;
      parts.push(part);
      bytes += part.length;
      if (bytes >= CHUNK_BYTES) {
        writeSync(descriptor, Buffer.concat(parts));
        parts = [];
        bytes = 0;
      }
    }
    writeSync(descriptor, Buffer.concat(parts));
  } finally {
    closeSync(descriptor);
  }
}

/** Writes dnsperf's input. */
export function writeQueryFile(
  path: string,
  plan: ServicePlan,
  prefixes: readonly Net[],
  count: number,
): void {
  writePieces(path, randomQueries(plan.owners, prefixes, count, plan.seed));
}

/** Writes the loader's names, one for each owner. */
export function writeNames(path: string, plan: ServicePlan): void {
  writePieces(
    path,
    mapLines(plan.owners.length, (index) => queryName(plan.owners[index] ?? "", index)),
  );
}

/** Writes what the loader expects, a line for each owner. */
export function writeExpected(path: string, plan: ServicePlan, mode: AnswerMode): void {
  writePieces(
    path,
    mapLines(plan.owners.length, (index) => expectedLine(plan, index, mode)),
  );
}

/** Writes the loader's client prefixes. */
export function writePrefixes(path: string, prefixes: readonly Net[]): void {
  writePieces(
    path,
    mapLines(prefixes.length, (index) => prefixLine(prefixes[index])),
  );
}

/** Writes the endpoints that are down from the start, one address a line. */
export function writeDownFile(path: string, plan: ServicePlan): void {
  const down = poolsOf(plan).flatMap((pool) =>
    pool.endpoints.filter((endpoint) => endpoint.isDown),
  );
  writePieces(
    path,
    mapLines(down.length, (index) => down[index]?.address ?? ""),
  );
}

/**
 * A zone as a master file. `record` gives the type and data of an owner, by default its static A record; undefined
 * leaves the owner out.
 */
export function* masterFile(
  plan: ServicePlan,
  zone: number,
  record: (owner: number) => string | undefined = (owner) => `A ${staticAddress(plan, owner)}`,
  serial = 1,
): Generator<string> {
  const origin = plan.origins[zone] ?? "";
  yield `$ORIGIN ${origin}.\n$TTL 60\n`;
  yield `@ SOA ns1 hostmaster ${serial} 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n`;
  const tail = origin.length + 1;
  for (const [index, owner] of plan.owners.entries()) {
    if (plan.zoneOf[index] !== zone) continue;
    const data = record(index);
    if (data !== undefined) yield `${owner.slice(0, -tail)} ${data}\n`;
  }
}

function prefixLine(prefix: Net | undefined): string {
  return prefix === undefined ? "" : `${formatNet(prefix)} ${prefix.region}`;
}

function* mapLines(count: number, line: (index: number) => string): Generator<string> {
  for (let index = 0; index < count; index += 1) yield `${line(index)}\n`;
}
