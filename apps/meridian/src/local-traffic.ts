// SPDX-License-Identifier: Apache-2.0

// Tells control each second where the edge of its own process has sent clients, as other edges do over their streams.

import type { Embedded } from "@meridian/control";
import { key64 } from "@meridian/core";
import { TABLE_MS, type World } from "@meridian/snapshot";
import type { EdgeGatherer } from "./edge-gatherer.ts";

/** What the edge of this process is called among those that tell control. */
const OWN_EDGE = "";

export class LocalTraffic {
  readonly #embedded: Pick<Embedded, "world" | "overlay" | "counted">;
  readonly #gatherer: Pick<EdgeGatherer, "traffic">;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    embedded: Pick<Embedded, "world" | "overlay" | "counted">,
    gatherer: Pick<EdgeGatherer, "traffic">,
  ) {
    this.#embedded = embedded;
    this.#gatherer = gatherer;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tell(), TABLE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const counts = this.#gatherer.traffic((world, endpoint) => this.#slotOf(world, endpoint));
    if (counts !== undefined) this.#embedded.counted(OWN_EDGE, counts);
  }

  /** What is served now of an endpoint of a world that may be another one. */
  #slotOf(world: World, endpoint: number): number {
    const { world: served, overlay } = this.#embedded;
    const slot =
      served === undefined || served === world
        ? endpoint
        : served.pools.endpointIndexOf(key64(world.endpointName(endpoint)));
    return served === undefined || slot < 0 ? 0 : overlay.read(slot);
  }
}
