// SPDX-License-Identifier: Apache-2.0
// How often policies and pools are named, so that it is known at once whether one may go.
import type { Document } from "./documents.ts";
import type { Model } from "./model.ts";
import { indexKey } from "./model-index.ts";
import { branchesOf } from "./policy-graph.ts";

/** Names of policies by Records, and of pools by Records and policies, by `policy/NAMESPACE/NAME` and `pool/NAMESPACE/NAME`. */
export class UseCounts {
  readonly #base: ReadonlyMap<string, number>;
  /** What has been added since; few. */
  readonly #since: ReadonlyMap<string, number>;

  private constructor(base: ReadonlyMap<string, number>, since: ReadonlyMap<string, number>) {
    this.#base = base;
    this.#since = since;
  }

  static of({ records, policies }: Pick<Model, "records" | "policies">): UseCounts {
    const counts = new Map<string, number>();
    const byShape = new Uint32Array(records.shapes.length);
    for (let record = 0; record < records.count; record += 1) {
      const shape = records.shapeAt(record);
      byShape[shape] = (byShape[shape] ?? 0) + 1;
    }
    for (const [index, { metadata, spec }] of records.shapes.entries()) {
      for (const key of targetsOf(metadata.namespace, spec)) {
        counts.set(key, (counts.get(key) ?? 0) + (byShape[index] ?? 0));
      }
    }
    for (const policy of policies.values()) {
      for (const key of usesOf(policy)) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return new UseCounts(counts, new Map());
  }

  get(key: string): number {
    return (this.#base.get(key) ?? 0) + (this.#since.get(key) ?? 0);
  }

  with(added: Iterable<Document>, removed: Iterable<Document>): UseCounts {
    const since = new Map(this.#since);
    const count = (documents: Iterable<Document>, by: number): void => {
      for (const document of documents) {
        for (const key of usesOf(document)) since.set(key, (since.get(key) ?? 0) + by);
      }
    };
    count(added, 1);
    count(removed, -1);
    return new UseCounts(this.#base, since);
  }
}

function usesOf(document: Document): string[] {
  if (document.kind === "Record") return targetsOf(document.metadata.namespace, document.spec);
  if (document.kind !== "TrafficPolicy") return [];
  const { namespace } = document.metadata;
  return Object.values(document.spec.nodes).flatMap((node) => {
    const pools = branchesOf(node).flatMap(({ branch }) => branch.pool ?? []);
    if (node.fallback?.pool !== undefined) pools.push(node.fallback.pool);
    return pools.map((pool) => `pool/${indexKey(namespace, pool)}`);
  });
}

function targetsOf(
  namespace: string,
  { policy, pool }: { readonly policy?: string | undefined; readonly pool?: string | undefined },
): string[] {
  const keys: string[] = [];
  if (policy !== undefined) keys.push(`policy/${indexKey(namespace, policy)}`);
  if (pool !== undefined) keys.push(`pool/${indexKey(namespace, pool)}`);
  return keys;
}
