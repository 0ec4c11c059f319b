// SPDX-License-Identifier: Apache-2.0
import { writeResolvers } from "@meridian/snapshot/writer";
import type { ResolversCompiler } from "../compile.ts";
import { type DataSets, sourceOf } from "./data-sets.ts";

/**
 * Compiles every data set of kind `resolvers` into one section. Of data sets that name the same resolver prefix the last by name counts,
 * so that the same documents in another order give the same bytes.
 */
export function resolversCompiler(dataSets: DataSets): ResolversCompiler {
  return (model) => {
    const declared = [...model.dataSets.values()]
      .filter(({ kind }) => kind === "resolvers")
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (declared.length === 0) return undefined;
    return writeResolvers(declared.flatMap((dataSet) => dataSets.loadResolvers(sourceOf(dataSet))));
  };
}
