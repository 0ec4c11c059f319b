// SPDX-License-Identifier: Apache-2.0

// Which edges do not answer yet with the weights that branches were given. Sequences of an overlay are each control's own, so each control says
// it of the edges that follow it: it notes where its overlay stood when the weights were in it, and compares what edges acknowledge with
// that. An edge that was not heard of for 3 s holds nothing up and is listed, as with revisions.

import { member } from "../documents/document-key.ts";
import type { EdgeBehind } from "../edges/publication-state.ts";
import type { WeightOverrides } from "./weight-overrides.ts";

/** Whom weights have not reached. */
export interface WeightsReach {
  /** Edges that hold a rollout up, and `control NAME` for one that has not seen the weights itself. */
  readonly waiting: readonly EdgeBehind[];
  /** Edges that have not been heard of for 3 s and hold nothing up. */
  readonly silent: readonly EdgeBehind[];
}

/** The same of the edges of one control, as of a revision of the store. */
export interface ControlReach extends WeightsReach {
  readonly asOf: number;
}

/** Where an overlay stands. */
export interface OverlayPlace {
  readonly revision: number;
  readonly sequence: number;
}

export interface ServedWeightsOptions {
  readonly weights: Pick<WeightOverrides, "look">;
  /** Of the store, as far as it was followed here. */
  readonly storeRevision: () => number;
  readonly place: () => OverlayPlace;
  /** Whom the overlay has not reached as it was at that place. */
  readonly behind: (place: OverlayPlace) => WeightsReach;
}

interface Noted {
  /** One promise for each change of weights: as long as it is the same, so is the place where they came. */
  readonly change: Promise<void>;
  readonly place: OverlayPlace;
  readonly asOf: number;
}

export class ServedWeights {
  readonly #options: ServedWeightsOptions;
  #noted: Noted | undefined;

  constructor(options: ServedWeightsOptions) {
    this.#options = options;
  }

  /** Resolves when this control has the weights in its overlay. */
  async reach(): Promise<ControlReach> {
    const { weights, storeRevision, place, behind } = this.#options;
    const asOf = storeRevision();
    const change = weights.look();
    await change;
    const known = this.#noted?.change === change ? this.#noted.place : place();
    this.#noted = { change, place: known, asOf };
    return { asOf, ...behind(known) };
  }

  /** What is known of it now, for who asks often: a change that is on its way is told the next time. */
  known(): ControlReach | undefined {
    void this.reach().catch(() => undefined);
    if (this.#noted === undefined) return undefined;
    const { asOf, place } = this.#noted;
    return { asOf, ...this.#options.behind(place) };
  }
}

/** What the controls of one store come to, for weights that are in it as of `asOf`. One that does not say it is away or of an earlier version. */
export function reachOfAll(
  asOf: number,
  controls: readonly { readonly name: string; readonly reach?: ControlReach | undefined }[],
): WeightsReach {
  const told = controls.flatMap(({ name, reach }) =>
    reach === undefined ? [] : [{ name, reach }],
  );
  const late = told.filter(({ reach }) => reach.asOf < asOf);
  const waiting = new Map<string, EdgeBehind>();
  for (const { reach } of told) for (const each of reach.waiting) waiting.set(each.name, each);
  const silent = (told[0]?.reach.silent ?? []).filter(({ name }) =>
    told.every(({ reach }) => reach.silent.some((each) => each.name === name)),
  );
  return {
    waiting: [
      ...late.map(({ name }) => ({ name: `control ${name}`, revision: 0 })),
      ...[...waiting.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ],
    silent,
  };
}

export function isControlReach(raw: unknown): raw is ControlReach {
  const areEdges = (list: unknown): boolean =>
    Array.isArray(list) &&
    list.every((each: unknown) => {
      const silentMs = member(each, "silentMs");
      return (
        typeof member(each, "name") === "string" &&
        Number.isFinite(member(each, "revision")) &&
        (silentMs === undefined || Number.isFinite(silentMs))
      );
    });
  return (
    Number.isFinite(member(raw, "asOf")) &&
    areEdges(member(raw, "waiting")) &&
    areEdges(member(raw, "silent"))
  );
}
