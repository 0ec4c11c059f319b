// SPDX-License-Identifier: Apache-2.0
import type { Model } from "@meridian/model";
import { writeViews, type WrittenSection } from "@meridian/snapshot/writer";
import { transferRules, viewKeys } from "./transfer-secrets.ts";

/** The section that says which view a client sees; undefined where there are no views. */
export function compileViews({ views }: Pick<Model, "views">): WrittenSection | undefined {
  if (views.size === 0) return undefined;
  const ordered = [...views.values()].toSorted((a, b) => a.spec.priority - b.spec.priority);
  return writeViews(
    ordered.map((view) => ({
      name: view.metadata.name,
      match: transferRules(view.spec.match),
      keys: viewKeys(view),
    })),
  );
}
