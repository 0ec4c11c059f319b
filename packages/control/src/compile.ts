// SPDX-License-Identifier: Apache-2.0

// Compile: model + data sets → sections. A pure function: the same documents and data give the same bytes, on every machine, so that
// replicas can compare hashes. Whatever may be slow happens here, before anything is published.

import { MeridianError } from "@meridian/core";
import type { Model } from "@meridian/model";
import { writePolicies, writePools, type WrittenSection } from "@meridian/snapshot/writer";
import { compilePolicy, type ClassifierCompiler } from "./compile-policies.ts";
import { compilePools } from "./compile-pools.ts";
import { compileZone } from "./compile-zones.ts";

/** Something that could not be compiled: the zone keeps its last good sections. */
export interface CompileProblem {
  readonly subject: string;
  readonly message: string;
}

export interface Compiled {
  /** In a canonical order: pools, policies, classifiers and maps by key, zones by origin. */
  readonly sections: readonly WrittenSection[];
  readonly problems: readonly CompileProblem[];
}

export interface CompileOptions {
  /** Seed of the name hashes. */
  readonly seed: number;
  readonly classify: ClassifierCompiler;
  /** Sections of each zone as last published, by origin, for zones that cannot be compiled now. */
  readonly lastGood?: ReadonlyMap<string, readonly WrittenSection[]>;
}

/** Compiles a whole model. Throws a MeridianError where a policy or pool cannot be compiled: they belong to no single zone. */
export function compile(model: Model, options: CompileOptions): Compiled {
  const pools = writePools(compilePools(model));
  const shared = new Map<string, WrittenSection>();
  const policies = writePolicies(
    [...model.policies.values()].map((document) => {
      const { policy, sections } = compileOne(model, document, options.classify);
      // Equal classifiers and maps are one section: they are named by their content.
      for (const section of sections) shared.set(section.name, section);
      return policy;
    }),
  );
  const problems: CompileProblem[] = [];
  const zones = [...model.zones.values()]
    .sort((a, b) => (a.origin < b.origin ? -1 : 1))
    .flatMap((zone) => {
      const compiled = compileZone(model, zone, options.seed);
      if ("sections" in compiled) return compiled.sections;
      problems.push({ subject: `zone/${zone.origin}`, message: compiled.error });
      return options.lastGood?.get(zone.origin) ?? [];
    });
  const others = [...shared.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { sections: [pools, policies, ...others, ...zones], problems };
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
