// SPDX-License-Identifier: Apache-2.0

// What speaks against files of which every document is right by itself.

import type { Model, PatchedModel } from "@meridian/model";
import { emptyingOf } from "./emptied-names.ts";
import type { LoadRequest } from "./file-load.ts";
import { sizeOfState, type CompiledState } from "./compiled-state.ts";
import { shrinkingOf } from "./shrinking.ts";

/** They declare nothing while something is served. */
export function refuseEmptying(
  documents: number,
  { servedCount, allowEmpty }: LoadRequest,
): string[] {
  if (documents > 0 || servedCount === 0 || allowEmpty) return [];
  return [
    `Cannot apply the files: they declare nothing, while zones, pools and policies (${servedCount}) are served; start with --allow-empty to mean it`,
  ];
}

/** What speaks against serving this, as the end of a sentence. */
export function shrinkingIn(state: CompiledState, { servedSize }: LoadRequest): string | undefined {
  return servedSize === undefined ? undefined : shrinkingOf(servedSize, sizeOfState(state));
}

/** The same of a whole load, beside what was loaded before it: names may be left without an endpoint, too. */
export function losingIn(
  state: CompiledState,
  before: PatchedModel | undefined,
  request: LoadRequest,
): string | undefined {
  const shrinking = shrinkingIn(state, request);
  if (shrinking !== undefined || before === undefined || request.servedSize === undefined)
    return shrinking;
  return emptyingOf(before, state.patched.model);
}

/** Says that they leave too little. */
export function refusedShrinking(shrinking: string): string {
  return `Cannot apply the files: ${shrinking}; start with --allow-empty to mean it, or change less at once`;
}

/** One of several folders that has lost its files: a disk that is not mounted, a checkout that went wrong. */
export function refuseLosing(found: readonly string[], filled: readonly string[] = []): string[] {
  return filled
    .filter((path) => !found.includes(path))
    .map(
      (path) =>
        `Cannot apply the files: "${path}" has no files any more; start with --allow-empty to mean it`,
    );
}

/** Checks that this machine has no rights for. */
export function refuseIcmp(model: Model, unavailable: string | undefined): string[] {
  if (unavailable === undefined) return [];
  return [...model.checks.values()]
    .filter(({ spec }) => spec.icmp !== undefined)
    .map(
      ({ source, metadata }) =>
        `${source.file}:${source.line}: HealthCheck "${metadata.name}" uses icmp, which this machine cannot send: ${unavailable}`,
    );
}
