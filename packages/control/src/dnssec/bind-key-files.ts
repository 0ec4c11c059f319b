// SPDX-License-Identifier: Apache-2.0

// A key as the pair of files that BIND's tools, Knot and PowerDNS read: K<zone>+<algorithm>+<tag>.key and .private (format 1.3).

import type { KeyObject } from "node:crypto";
import { DnssecAlgorithm, RRType, formatRdata } from "@meridian/dns";
import { dnskeyOf, type StoredKey } from "./stored-keys.ts";
import { keptZoneOf } from "./zone-apex.ts";
import { algorithmName } from "./zone-views.ts";

/** A file by name, with its whole text. */
export interface KeyFile {
  readonly name: string;
  readonly text: string;
}

/** The member of a JWK for each line of an RSA key, in the order of the format. */
const rsaLines = [
  ["Modulus", "n"],
  ["PublicExponent", "e"],
  ["PrivateExponent", "d"],
  ["Prime1", "p"],
  ["Prime2", "q"],
  ["Exponent1", "dp"],
  ["Exponent2", "dq"],
  ["Coefficient", "qi"],
] as const;

/** Both files of a key, the private one in clear. */
export function bindKeyFiles(origin: string, key: StoredKey, privateKey: KeyObject): KeyFile[] {
  const { algorithm, keyTag } = key;
  const { owner } = keptZoneOf(origin);
  const digits = (value: number, length: number): string => String(value).padStart(length, "0");
  const name = `K${owner}+${digits(algorithm, 3)}+${digits(keyTag, 5)}`;
  const jwk = privateKey.export({ format: "jwk" });
  const base64 = (text: string | undefined): string =>
    Buffer.from(text ?? "", "base64url").toString("base64");
  const secret =
    algorithm === DnssecAlgorithm.RSASHA256
      ? rsaLines.map(([title, member]) => `${title}: ${base64(jwk[member])}`)
      : [`PrivateKey: ${base64(jwk.d)}`];
  const lines = [
    "Private-key-format: v1.3",
    `Algorithm: ${algorithm} (${algorithmName(algorithm)})`,
    ...secret,
  ];
  return [
    {
      name: `${name}.key`,
      text: `${owner} IN DNSKEY ${formatRdata(RRType.DNSKEY, dnskeyOf(key))}\n`,
    },
    { name: `${name}.private`, text: `${lines.join("\n")}\n` },
  ];
}
