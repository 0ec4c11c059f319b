// SPDX-License-Identifier: Apache-2.0

// Who an edge is: its key, the certificate that control gave it, and the authority whose controls it believes. In one file (0600), so
// that they always belong together.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
import { PROBE_UNIT } from "@meridian/snapshot";
import { writeDurably } from "@meridian/snapshot/disk";

const FILE = "edge-identity.json";

export interface EdgeIdentity {
  readonly edge: string;
  /** PEM, each. */
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

/** Keeps an identity in a state folder that is there. */
export function writeIdentity(stateFolder: string, identity: EdgeIdentity): void {
  writeDurably(join(stateFolder, FILE), `${JSON.stringify(identity, undefined, 1)}\n`);
}

/** What a certificate is good for: all that edges may, or reporting alone. */
export type IdentityRole = "edge" | "probe";

/** Throws EDGE_NOT_JOINED where the folder holds none, or one of the other role: a probe is not to have what an edge may fetch. */
export function readIdentity(stateFolder: string, wanted: IdentityRole): EdgeIdentity {
  const identity = storedIdentity(stateFolder, wanted);
  const role = roleOf(identity);
  if (role === wanted) return identity;
  throw new MeridianError(
    "EDGE_NOT_JOINED",
    "user",
    `Cannot start the ${wanted}: "${identity.edge}" joined with a token of --${role}, expected one of --${wanted}; make it with "meridian token create ${identity.edge} --${wanted}", and join with it`,
  );
}

/** As its certificate says. */
export function roleOf({ certificate }: EdgeIdentity): IdentityRole {
  const lines = new X509Certificate(certificate).subject.split("\n");
  return lines.includes(`OU=${PROBE_UNIT}`) ? "probe" : "edge";
}

function storedIdentity(stateFolder: string, wanted: IdentityRole): EdgeIdentity {
  const path = join(stateFolder, FILE);
  try {
    const raw: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isIdentity(raw)) return raw;
    throw new TypeError("it holds no identity");
  } catch (error) {
    throw new MeridianError(
      "EDGE_NOT_JOINED",
      "user",
      `Cannot start the ${wanted}: ${path}: ${reasonOf(error)}; join with "meridian edge join TOKEN@URL" and the same --state first`,
      { cause: error },
    );
  }
}

function isIdentity(raw: unknown): raw is EdgeIdentity {
  return (
    typeof raw === "object" &&
    raw !== null &&
    ["edge", "key", "certificate", "authority"].every(
      (name) => typeof Reflect.get(raw, name) === "string",
    )
  );
}
