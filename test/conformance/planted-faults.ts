// SPDX-License-Identifier: Apache-2.0

/** A one-line fault: `find` occurs once in `file` and is replaced. */
export interface PlantedFault {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const edge = "packages/edge/src";
const zone = "packages/snapshot/src/zone";

/** Faults that the conformance tests must notice, each alone. */
export const plantedFaults: readonly PlantedFault[] = [
  {
    file: `${edge}/query-message.ts`,
    find: "if ((high & 0x80) !== 0)",
    replace: "if ((high & 0x80) === 1)",
  },
  {
    file: `${edge}/query-message.ts`,
    find: "u16(input, start + 4) !== 1",
    replace: "u16(input, start + 4) < 1",
  },
  { file: `${edge}/query-message.ts`, find: "optData >= 0 ||", replace: "" },
  {
    file: `${edge}/query-message.ts`,
    find: "if (this.edns.version !== 0)",
    replace: "if (this.edns.version > 1)",
  },
  { file: `${edge}/query-message.ts`, find: "(high & 1) << 8", replace: "(high & 0) << 8" },
  { file: `${edge}/ecs.ts`, find: "bytes[at + 3] !== 0", replace: "bytes[at + 3] === 99" },
  {
    file: `${edge}/ecs.ts`,
    find: "length !== 4 + addressBytes",
    replace: "length < 4 + addressBytes",
  },
  { file: `${edge}/ecs.ts`, find: "spareBits > 0 &&", replace: "spareBits > 7 &&" },
  { file: `${edge}/edns.ts`, find: "Math.max(512,", replace: "Math.max(12," },
  {
    file: `${edge}/query-resolve.ts`,
    find: "chain.hashes[step] === hash",
    replace: "chain.hashes[step] === ~hash",
  },
  {
    file: `${edge}/query-resolve.ts`,
    find: "length > NAME_BYTES_MAX",
    replace: "length > 2 * NAME_BYTES_MAX",
  },
  {
    file: `${edge}/query-resolve.ts`,
    find: "(zones.find(name, 1) ?? zone)",
    replace: "zone",
  },
  {
    file: `${edge}/query-resolve.ts`,
    find: "if (!isDnameWritten(",
    replace: "if (true || !isDnameWritten(",
  },
  {
    file: `${edge}/query-resolve.ts`,
    find: "negative(query, zone, Rcode.NXDOMAIN",
    replace: "negative(query, zone, Rcode.NOERROR",
  },
  {
    file: `${edge}/query-handler.ts`,
    find: "Math.min(edns.udpSize, UDP_BYTES_MAX)",
    replace: "edns.udpSize",
  },
  {
    file: `${edge}/query-handler.ts`,
    find: "edns.isDo ? 0x8000 : 0",
    replace: "edns.isDo ? 0 : 0",
  },
  { file: `${edge}/query-handler.ts`, find: "usesEcs ? scope : 0", replace: "usesEcs ? 0 : 0" },
  {
    file: `${edge}/query-handler.ts`,
    find: "if (rcode !== Rcode.FORMERR) this.#writeOptions()",
    replace: "this.#writeOptions()",
  },
  {
    file: `${edge}/query-locate.ts`,
    find: "ecs.sourcePrefix > 0 &&",
    replace: "ecs.sourcePrefix >= 0 &&",
  },
  {
    file: `${edge}/response-writer.ts`,
    find: "this.at = this.#rollback;\n      this.isTruncated",
    replace: "this.isTruncated",
  },
  {
    file: `${edge}/query-bound.ts`,
    find: "Math.max(least, Math.min(most,",
    replace: "Math.max(most, Math.min(least,",
  },
  { file: `${zone}/query-name.ts`, find: "byte <= 0x5a ?", replace: "byte <= 0x5b ?" },
  { file: `${zone}/name-lookup.ts`, find: "if (depth !== 0)", replace: "if (depth === 99)" },
  {
    file: `${zone}/name-lookup.ts`,
    find: "(flags & NodeFlag.hasDname) !== 0",
    replace: "(flags & NodeFlag.hasDname) === 99",
  },
  {
    file: `${zone}/name-lookup.ts`,
    find: "!(isParentSide && label === 0)",
    replace: "!(isParentSide && label === 99)",
  },
  { file: `${zone}/zone-section.ts`, find: "Math.min(minimum,", replace: "Math.max(minimum," },
  {
    file: `${edge}/response-writer.ts`,
    find: "from = cutB + originBytes;",
    replace: "from = cutB;",
  },
];
