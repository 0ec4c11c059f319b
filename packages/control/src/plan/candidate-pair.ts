// SPDX-License-Identifier: Apache-2.0
import { carriedSlots } from "@meridian/health";
import { manifestSection } from "@meridian/snapshot/disk";
import type { VersionedLoad } from "../adopted-model.ts";
import { compileAddresses } from "../compile-addresses.ts";
import { withAddresses } from "../compile.ts";
import type { HostAddresses } from "../host-state.ts";
import { withChange, type HeldParts, type ServedModel } from "../served-model.ts";
import type { LoadedSection, ServedSnapshot } from "../served-snapshot.ts";
import type { PlannedPair } from "./plan.ts";

/** What is served now, and what host names resolve to. */
export interface PresentState {
  readonly served: ServedSnapshot;
  readonly model: ServedModel | undefined;
  readonly held: HeldParts | undefined;
  readonly hosts: ReadonlyMap<string, HostAddresses>;
}

/** The pair that a load would bring: its snapshot, and the slots of now by their keys. undefined where the load was made for another state. */
export async function candidatePair(
  { served, model, held, hosts }: PresentState,
  { parts, base, sections, resolvedMembers }: VersionedLoad,
): Promise<PlannedPair | undefined> {
  const { world: present } = served;
  if (present === undefined || (parts.isRelative && base !== held)) return undefined;
  const written = compileAddresses(resolvedMembers, hosts);
  const addresses: LoadedSection | undefined = written && {
    ...manifestSection(written),
    buffer: written.buffer,
  };
  const loaded = withAddresses<LoadedSection>(await served.read(sections), addresses);
  const world = served.worldOf(loaded);
  if (typeof world === "string") throw new TypeError(`A trial cannot be loaded: ${world}`);
  const slots = carriedSlots(present, served.overlay.moment().slots, world);
  return { world, slots, model: withChange(model, parts) };
}
