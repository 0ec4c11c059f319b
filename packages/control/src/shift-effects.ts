// SPDX-License-Identifier: Apache-2.0
import { Admin, DIAL_SHIFT, PER_MILLE, type World } from "@meridian/snapshot";
import type { MaskedChange } from "@meridian/health";
import type { Model } from "@meridian/model";

/** The bits of an endpoint's slot that shifts say: administrative state and dial. */
const SHIFT_MASK = (7 << 2) | (0x3ff << DIAL_SHIFT);

/** A temporary move of traffic away from a target, as it is kept and shown. */
export interface Shift {
  readonly id: string;
  /** `site/NAME`, `pool/NS/NAME` or `endpoint/NS/POOL/NAME`. */
  readonly target: string;
  /** Share moved away, 1..100; 100 is a drain. */
  readonly percent: number;
  readonly reason: string;
  readonly actor: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** True where a shift of `target` reaches the endpoint: itself, its pool, its site or a site around that. */
export function shiftReaches(
  model: Pick<Model, "siteChain">,
  world: World,
  target: string,
  endpoint: number,
): boolean {
  const name = world.endpointName(endpoint);
  if (target === name) return true;
  const [kind = "", ...rest] = target.split("/");
  if (kind === "pool") return name.startsWith(`endpoint/${rest.join("/")}/`);
  if (kind !== "site") return false;
  return model
    .siteChain(world.pools.siteOf(endpoint))
    .some(({ metadata }) => metadata.name === rest.join("/"));
}

/** Slot changes that bring every endpoint's admin state and dial to what the running shifts say; the strongest shift counts. */
export function shiftChanges(
  model: Pick<Model, "siteChain">,
  world: World,
  overlay: { read(slot: number): number },
  shifts: readonly Shift[],
): MaskedChange[] {
  const changes: MaskedChange[] = [];
  for (let endpoint = 0; endpoint < world.pools.endpointCount; endpoint++) {
    const percent = shifts.reduce(
      (most, shift) =>
        shift.percent > most && shiftReaches(model, world, shift.target, endpoint)
          ? shift.percent
          : most,
      0,
    );
    const admin = percent >= 100 ? Admin.drained : Admin.active;
    const dial = percent >= 100 ? PER_MILLE : Math.round(((100 - percent) * PER_MILLE) / 100);
    const was = overlay.read(endpoint);
    const value = ((admin << 2) | (dial << DIAL_SHIFT)) >>> 0;
    if ((was & SHIFT_MASK) >>> 0 !== value)
      changes.push({ slot: endpoint, mask: SHIFT_MASK, value });
  }
  return changes;
}

/** Whether something read from disk or from a store is a shift. */
export function isShift(raw: unknown): raw is Shift {
  if (typeof raw !== "object" || raw === null) return false;
  const field = (name: string): unknown => Reflect.get(raw, name);
  return (
    ["id", "target", "reason", "actor"].every((name) => typeof field(name) === "string") &&
    ["percent", "createdAtMs", "expiresAtMs"].every((name) => Number.isFinite(field(name)))
  );
}
