// SPDX-License-Identifier: Apache-2.0

// Who an edge is: its key, the certificate that control gave it, and the authority whose controls it believes. In one file (0600), so
// that they always belong together.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
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

/** Throws EDGE_NOT_JOINED where the folder holds none. */
export function readIdentity(stateFolder: string): EdgeIdentity {
  const path = join(stateFolder, FILE);
  try {
    const raw: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isIdentity(raw)) return raw;
    throw new TypeError("it holds no identity");
  } catch (error) {
    throw new MeridianError(
      "EDGE_NOT_JOINED",
      "user",
      `Cannot start the edge: ${path}: ${reasonOf(error)}; join with "meridian edge join TOKEN@URL" and the same --state first`,
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
