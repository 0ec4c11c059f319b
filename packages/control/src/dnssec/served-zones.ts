// SPDX-License-Identifier: Apache-2.0
import { formatName } from "@meridian/dns";
import { zoneKeyOf } from "@meridian/model";
import type { World } from "@meridian/snapshot";
import type { Embedded } from "../embedded.ts";
import type { ServedZones } from "./zone-keeper.ts";

/** What a control serves, for its ZoneKeeper: the origins of a snapshot are read once. */
export class ServedOrigins {
  readonly #embedded: Pick<Embedded, "model" | "world">;
  #world: World | undefined;
  #origins: ReadonlySet<string> = new Set();

  constructor(embedded: Pick<Embedded, "model" | "world">) {
    this.#embedded = embedded;
  }

  /** undefined while documents or snapshot are not there. */
  zones(): ServedZones | undefined {
    const { model, world } = this.#embedded;
    if (model === undefined || world === undefined) return undefined;
    const signed = model.signedZones;
    const presigned = model.presignedZones;
    return { signed, presigned, has: (origin) => this.#originsOf(world).has(origin) };
  }

  #originsOf(world: World): ReadonlySet<string> {
    if (world === this.#world) return this.#origins;
    this.#world = world;
    this.#origins = new Set(
      world.zones.zones.map(({ origin, view }) => {
        const text = formatName(origin).toLowerCase();
        return zoneKeyOf(text === "." ? text : text.slice(0, -1), view);
      }),
    );
    return this.#origins;
  }
}
