// SPDX-License-Identifier: Apache-2.0

// Compile: model + data sets → sections. A pure function: the same documents, data and zones published before give the same bytes, on
// every machine, so that replicas can compare hashes. Whatever may be slow happens here, before anything is published.

import { MeridianError } from "@meridian/core";
import type { Model } from "@meridian/model";
import { SectionKind } from "@meridian/snapshot";
import { writePolicies, writePools, type WrittenSection } from "@meridian/snapshot/writer";
import { compileAddresses, resolvedMembers } from "./compile-addresses.ts";
import { compilePolicy, type ClassifierCompiler } from "./compile-policies.ts";
import { compilePools } from "./compile-pools.ts";
import { compileZone } from "./compile-zones.ts";
import type { HostAddresses } from "./host-state.ts";
import { compileViews } from "./compile-views.ts";
import { historyKey, type LastZone } from "./zone-history.ts";

/** Pools and policies. */
const SECTIONS_BEFORE_ADDRESSES = 2;

/** Writes what the model's data sets of resolvers say; undefined where it has none. Throws where one cannot be read. */
export type ResolversCompiler = (model: Model) => WrittenSection | undefined;

/** Something that could not be compiled: the zone keeps its last good sections. */
export interface CompileProblem {
  readonly subject: string;
  readonly message: string;
}

export interface Compiled {
  /** In a canonical order: pools, policies, addresses, resolvers, views, classifiers and maps by key, zones by key. */
  readonly sections: readonly WrittenSection[];
  /** The same: pools, policies, resolvers, views, classifiers and maps, without addresses; and of each zone. */
  readonly shared: readonly WrittenSection[];
  readonly zones: readonly {
    /** `Zone.key`. */
    readonly key: string;
    readonly sections: readonly WrittenSection[];
  }[];
  readonly problems: readonly CompileProblem[];
}

export interface CompileOptions {
  /** Seed of the name hashes. */
  readonly seed: number;
  readonly classify: ClassifierCompiler;
  /** The section of the data sets of resolvers; without it they are not looked at. */
  readonly resolvers?: ResolversCompiler;
  /** What the host names of members resolve to now; without it there is no section of them. */
  readonly hosts?: ReadonlyMap<string, HostAddresses>;
  /** The zones as last published (`lastZones`): their serials go on, and one that cannot be compiled now keeps its sections. */
  readonly last?: ReadonlyMap<string, LastZone>;
  /** Least serial of zones that fix none; 1 unless given. */
  readonly serialBase?: number;
}

/** Compiles a whole model. Throws a MeridianError where a policy or pool cannot be compiled: they belong to no single zone. */
export function compile(model: Model, options: CompileOptions): Compiled {
  const pools = writePools(compilePools(model));
  const placed = new Map<string, WrittenSection>();
  const policies = writePolicies(
    [...model.policies.values()].map((document) => {
      const { policy, sections } = compileOne(model, document, options.classify);
      // Equal classifiers and maps are one section: they are named by their content.
      for (const section of sections) placed.set(section.name, section);
      return policy;
    }),
  );
  const problems: CompileProblem[] = [];
  const routing = routingOf(pools, policies);
  const zones = [...model.zones.values()]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .flatMap((zone) => {
      const { key } = zone;
      const last = options.last?.get(historyKey(zone.apex, zone.document.spec.view));
      const { seed, serialBase = 1 } = options;
      const compiled = compileZone(model, zone, { seed, last, serialBase, routing });
      if ("sections" in compiled) return [{ key, sections: compiled.sections }];
      problems.push({
        subject: `zone/${key}`,
        message: `Cannot compile zone "${key}": ${compiled.error}; ${last === undefined ? "it is not served" : "its last good data stay"}`,
      });
      return last === undefined ? [] : [{ key, sections: last.sections }];
    });
  const others = [...placed.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { hosts } = options;
  const addresses =
    hosts === undefined ? undefined : compileAddresses(resolvedMembers(model), hosts);
  const resolvers = options.resolvers?.(model);
  const views = compileViews(model);
  const shared = [
    pools,
    policies,
    ...(resolvers === undefined ? [] : [resolvers]),
    ...(views === undefined ? [] : [views]),
    ...others,
  ];
  const sections = [...shared, ...zones.flatMap((zone) => zone.sections)];
  return { sections: withAddresses(sections, addresses), shared, zones, problems };
}

/** Of what routed names are answered from: equal as long as that is. */
export function routingOf(pools: WrittenSection, policies: WrittenSection): string {
  return `${pools.name} ${policies.name}`;
}

/** The same sections with other resolved addresses, in canonical order. */
export function withAddresses<Section extends { readonly kind: number }>(
  sections: readonly Section[],
  addresses: Section | undefined,
): readonly Section[] {
  const others = sections.filter(({ kind }) => kind !== SectionKind.addresses);
  return addresses === undefined
    ? others
    : others.toSpliced(SECTIONS_BEFORE_ADDRESSES, 0, addresses);
}

function compileOne(
  model: Model,
  document: Parameters<typeof compilePolicy>[1],
  classify: ClassifierCompiler,
): ReturnType<typeof compilePolicy> {
  try {
    return compilePolicy(model, document, classify);
  } catch (error) {
    if (error instanceof MeridianError) throw error;
    const { namespace, name } = document.metadata;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MeridianError(
      "COMPILE_FAILED",
      "user",
      `Cannot compile policy "${namespace}/${name}": ${reason}`,
      { cause: error },
    );
  }
}
