// SPDX-License-Identifier: Apache-2.0

// Weights that a rollout or a plan gives the branches of a node in place of their document's: one state document a node. Every control
// brings them into its overlay, so they come to edges as any change of slots does, and outlive restarts of both.

import { limits } from "@meridian/model";
import { member } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";

/** What the branches of a node weigh for now. */
export interface WeightOverride {
  /** `NAMESPACE/NAME` of the policy. */
  readonly policy: string;
  readonly node: string;
  /** By `pool/NAMESPACE/NAME`, `node/NAME` or `name/HOST.`, each 0..1,000,000; a branch that is not named has its own weight. */
  readonly weights: Readonly<Record<string, number>>;
  /** Who gives them and takes them away again, such as `rollout/default/shop`; nobody else does. */
  readonly owner: string;
  /** Why, in words: `rollout default/shop, step 2`. */
  readonly cause: string;
  /** Unix milliseconds. */
  readonly sinceMs: number;
}

const WEIGHT_MAX = 1_000_000;

export class WeightOverrides {
  readonly #state: StateDocuments;
  readonly #onChange: (text: string) => Promise<void>;
  #documents: DocumentSet | undefined;
  #all: readonly WeightOverride[] = [];
  /** What `onChange` was told of last. */
  #told = "[]";
  #changed: Promise<void> = Promise.resolve();

  /** `onChange` is told when `all()` is another, in words; it resolves when answers follow. */
  constructor(state: StateDocuments, onChange: (text: string) => Promise<void>) {
    this.#state = state;
    this.#onChange = onChange;
  }

  /** As the store was last seen. */
  all(): readonly WeightOverride[] {
    const { documents } = this.#state;
    if (documents === this.#documents) return this.#all;
    this.#documents = documents;
    this.#all = [...this.#state.all("WeightOverride")].flatMap(
      ({ name, text }) => overrideOf(name, text) ?? [],
    );
    return this.#all;
  }

  /** The weights of a node, where it has been given some; `policy` is `NAMESPACE/NAME`. */
  of(policy: string, node: string): WeightOverride | undefined {
    return this.all().find((each) => each.policy === policy && each.node === node);
  }

  /**
   * What gives a node these weights, or with undefined its own again, for whoever commits it beside what it keeps of itself
   * (`StateDocuments.write`). undefined where another owner has them: of two on one node the first one stays. The revision is the one that
   * was looked at, so a change by somebody else in between is found.
   */
  write(
    { policy, node, owner }: Pick<WeightOverride, "policy" | "node" | "owner">,
    given: Pick<WeightOverride, "weights" | "cause" | "sinceMs"> | undefined,
  ): StateWrite | undefined {
    const name = `${policy}/${node}`;
    const held = this.of(policy, node);
    if (held !== undefined && held.owner !== owner) return undefined;
    const ifRevision = this.#state.get("WeightOverride", name)?.revision ?? 0;
    const text = given === undefined ? undefined : JSON.stringify({ owner, ...given });
    return { kind: "WeightOverride", name, text, ifRevision };
  }

  /** To be called when the store may have changed. Resolves when answers follow. */
  look(): Promise<void> {
    const now = JSON.stringify(this.all());
    if (now === this.#told) return this.#changed;
    this.#told = now;
    const causes = new Set(this.#all.map(({ cause }) => cause));
    this.#changed = this.#onChange(
      causes.size === 0 ? "every branch has its own weight" : `weights: ${[...causes].join("; ")}`,
    );
    return this.#changed;
  }
}

/** What a branch of a document is called in `weights`. */
export function branchTarget(
  namespace: string,
  branch: {
    readonly node?: string | undefined;
    readonly pool?: string | undefined;
    readonly name?: string | undefined;
  },
): string {
  if (branch.node !== undefined) return `node/${branch.node}`;
  const { pool, name = "" } = branch;
  if (pool !== undefined) return `pool/${pool.includes("/") ? pool : `${namespace}/${pool}`}`;
  return `name/${name.toLowerCase().replace(/\.?$/, ".")}`;
}

/** What cannot be read counts as none, so that one of a later version stops nothing else. */
function overrideOf(name: string, text: string): WeightOverride | undefined {
  const raw: unknown = JSON.parse(text);
  const [namespace = "", policy = "", node = ""] = name.split("/");
  const weights = member(raw, "weights");
  const [owner, cause, sinceMs] = ["owner", "cause", "sinceMs"].map((field) => member(raw, field));
  if (typeof weights !== "object" || weights === null) return undefined;
  if (typeof owner !== "string" || typeof cause !== "string" || typeof sinceMs !== "number")
    return undefined;
  const entries = Object.entries(weights).filter(
    (entry): entry is [string, number] =>
      Number.isInteger(entry[1]) && entry[1] >= 0 && entry[1] <= WEIGHT_MAX,
  );
  if (entries.length > limits.branchesMax) return undefined;
  const own = { policy: `${namespace}/${policy}`, node, owner, cause, sinceMs };
  return { ...own, weights: Object.fromEntries(entries) };
}
