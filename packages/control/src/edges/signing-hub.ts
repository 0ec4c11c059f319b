// SPDX-License-Identifier: Apache-2.0

// What connected edges sign their zones with: all of it is sent anew whenever any of it has changed, each time sealed to the certificate
// that the edge has shown, so that the keys of a zone reach the edges that may serve it and nobody else. Probes have no such stream.

import { isDeepStrictEqual } from "node:util";
import type { KeyObject } from "node:crypto";
import { encodeSigning } from "@meridian/snapshot";
import type { EdgeStream } from "./edge-hub.ts";
import type { Withheld } from "./revision-lane.ts";

/** An edge that has more than this still to be sent waits. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

interface Connected {
  readonly stream: EdgeStream;
  /** Of its certificate. */
  readonly key: KeyObject;
  /** What it was sent last. */
  told: ReadonlyMap<string, string> | undefined;
}

export class SigningHub {
  readonly #connected = new Map<string, Connected>();
  #materials: ReadonlyMap<string, string> = new Map();
  #withheld: Withheld = () => [];

  /** By origin, what zones are signed with from now on (`encodeSigningMaterial()`). */
  setMaterials(materials: ReadonlyMap<string, string>): void {
    this.#materials = materials;
    this.tick();
  }

  /** From now on edges are not sent these zones. */
  setWithheld(withheld: Withheld): void {
    this.#withheld = withheld;
    this.tick();
  }

  /** An edge has come; a stream that it had before is forgotten. */
  join(name: string, key: KeyObject | undefined, stream: EdgeStream): void {
    if (key === undefined) return;
    const connected = { stream, key, told: undefined };
    this.#connected.set(name, connected);
    this.#tell(name, connected);
  }

  leave(name: string, stream: EdgeStream): void {
    if (this.#connected.get(name)?.stream === stream) this.#connected.delete(name);
  }

  /** To be called each second: who could not be told before is told. */
  tick(): void {
    for (const [name, connected] of this.#connected) this.#tell(name, connected);
  }

  #tell(name: string, connected: Connected): void {
    const { stream, key, told } = connected;
    const withheld = new Set(this.#withheld(name));
    const materials =
      withheld.size === 0
        ? this.#materials
        : new Map([...this.#materials].filter(([origin]) => !withheld.has(origin)));
    const isTold = told === undefined ? materials.size === 0 : told === materials;
    if (isTold || isDeepStrictEqual(materials, told) || stream.backlogBytes > BACKLOG_BYTES_MAX)
      return;
    connected.told = materials;
    stream.write(encodeSigning(name, key, materials));
  }
}
