// SPDX-License-Identifier: Apache-2.0
import { renameSync } from "node:fs";
import { join } from "node:path";
import { writePieces } from "../data/files.ts";
import type { Serving } from "./adapter.ts";
import { document } from "./meridian-documents.ts";

// One small file beside a plan's documents, and the ways in which it is changed: one thing at a time, each with the
// answer that must follow. Its endpoints are not checked: how soon a new one is probed is another question.

/** What a change changes. */
export const changeKinds = [
  "record weight",
  "pool member",
  "new name",
  "new policy",
  "deleted name",
] as const;

/** One of them. */
export type ChangeKind = (typeof changeKinds)[number];

/** What the file says; each change makes another one. */
export interface ChangeState {
  /** Whether the weighted name prefers the second pool. */
  readonly prefersSecond: boolean;
  readonly member: string;
  readonly hasName: boolean;
  /** Serial of the policy that the policy's name is bound to; even ones lead to the first pool. */
  readonly policy: number;
}

/** What the file says at first. */
export const initialState: ChangeState = {
  prefersSecond: false,
  member: "198.51.100.3",
  hasName: false,
  policy: 0,
};

const FIRST = "198.51.100.1";
const SECOND = "198.51.100.2";
const OTHER_MEMBER = "198.51.100.4";

/** The state after a change, the label of the name whose answer differs, and the one address that it has then, if any. */
export function applyChange(
  state: ChangeState,
  kind: ChangeKind,
): { readonly state: ChangeState; readonly label: string; readonly address: string | undefined } {
  switch (kind) {
    case "record weight": {
      const prefersSecond = !state.prefersSecond;
      const address = prefersSecond ? SECOND : FIRST;
      return { state: { ...state, prefersSecond }, label: "change-weight", address };
    }
    case "pool member": {
      const member = state.member === OTHER_MEMBER ? initialState.member : OTHER_MEMBER;
      return { state: { ...state, member }, label: "change-member", address: member };
    }
    case "new name":
      return { state: { ...state, hasName: true }, label: "change-name", address: FIRST };
    case "deleted name":
      return { state: { ...state, hasName: false }, label: "change-name", address: undefined };
    case "new policy": {
      const policy = state.policy + 1;
      const address = policy % 2 === 0 ? FIRST : SECOND;
      return { state: { ...state, policy }, label: "change-policy", address };
    }
  }
}

/** The names that are watched, below a zone. */
export function changedNames(origin: string): readonly string[] {
  return ["weight", "member", "name", "policy"].map((label) => `change-${label}.${origin}`);
}

/** Replaces the file; written beside and renamed, so the change is applied at one moment, which it gives (nanoseconds as `hrtime`). */
export function writeChangeFile(serving: Serving, state: ChangeState): number {
  const next = join(serving.folder, "change.next");
  writePieces(next, changeDocuments(serving.plan.origins[0] ?? "", state));
  const at = Number(process.hrtime.bigint());
  renameSync(next, join(serving.folder, "documents", "change.jsonl"));
  return at;
}

function* changeDocuments(origin: string, state: ChangeState): Generator<string> {
  const pool = (name: string, address: string): string =>
    document("Pool", name, { members: { e0: { address } } });
  yield pool("change-first", FIRST);
  yield pool("change-second", SECOND);
  yield pool("change-member", state.member);
  const [first, second] = state.prefersSecond ? [0, 1] : [1, 0];
  yield policyDocument("change-weight", [
    { pool: "change-first", weight: first },
    { pool: "change-second", weight: second },
  ]);
  const last = `change-policy-${state.policy}`;
  yield policyDocument(last, [
    { pool: state.policy % 2 === 0 ? "change-first" : "change-second", weight: 1 },
  ]);
  const record = (label: string, target: { policy: string } | { pool: string }): string =>
    document("Record", `${label}.${origin}`, {
      name: `${label}.${origin}`,
      types: ["A"],
      ...target,
    });
  yield record("change-weight", { policy: "change-weight" });
  yield record("change-member", { pool: "change-member" });
  if (state.hasName) yield record("change-name", { pool: "change-first" });
  yield record("change-policy", { policy: last });
}

function policyDocument(
  name: string,
  branches: readonly { readonly pool: string; readonly weight: number }[],
): string {
  return document("TrafficPolicy", name, {
    root: "root",
    nodes: { root: { weighted: { branches: branches.map((branch) => ({ ...branch })) } } },
  });
}
