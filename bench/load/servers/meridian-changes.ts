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
  "new zone",
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
  /** Serial of the zone beside the plan's; it replaces the one before. */
  readonly zone: number;
}

/** What the file says at first. */
export const initialState: ChangeState = {
  prefersSecond: false,
  member: "198.51.100.3",
  hasName: false,
  policy: 0,
  zone: 0,
};

const FIRST = "198.51.100.1";
const SECOND = "198.51.100.2";
const OTHER_MEMBER = "198.51.100.4";

/** The state after a change, the name whose answer differs, and the one address that it has then, if any. */
export function applyChange(
  state: ChangeState,
  kind: ChangeKind,
  origin: string,
): { readonly state: ChangeState; readonly name: string; readonly address: string | undefined } {
  switch (kind) {
    case "record weight": {
      const prefersSecond = !state.prefersSecond;
      const address = prefersSecond ? SECOND : FIRST;
      return { state: { ...state, prefersSecond }, name: `change-weight.${origin}`, address };
    }
    case "pool member": {
      const member = state.member === OTHER_MEMBER ? initialState.member : OTHER_MEMBER;
      return { state: { ...state, member }, name: `change-member.${origin}`, address: member };
    }
    case "new name":
      return { state: { ...state, hasName: true }, name: `change-name.${origin}`, address: FIRST };
    case "deleted name":
      return {
        state: { ...state, hasName: false },
        name: `change-name.${origin}`,
        address: undefined,
      };
    case "new policy": {
      const policy = state.policy + 1;
      const address = policy % 2 === 0 ? FIRST : SECOND;
      return { state: { ...state, policy }, name: `change-policy.${origin}`, address };
    }
    case "new zone": {
      const zone = state.zone + 1;
      return { state: { ...state, zone }, name: `www.${zoneOrigin(zone)}`, address: FIRST };
    }
  }
}

/** The names that are watched, below a zone. */
export function changedNames(origin: string): readonly string[] {
  const labels = ["weight", "member", "name", "policy"].map((label) => `change-${label}.${origin}`);
  return [...labels, ...[0, 1].map((serial) => `www.${zoneOrigin(serial)}`)];
}

/** Two take turns, so that each that comes is new. */
function zoneOrigin(serial: number): string {
  return `change-${serial % 2}.example`;
}

/** Replaces the file; written beside and renamed, so the change is applied at one moment, which it gives (nanoseconds as `hrtime`). */
export function writeChangeFile(serving: Serving, state: ChangeState): number {
  const next = join(serving.folder, "change.next");
  writePieces(next, changeDocuments(serving.plan.origins[0] ?? "", state));
  const at = Number(process.hrtime.bigint());
  renameSync(next, join(serving.folder, "documents", "change.jsonl"));
  return at;
}

/** What the file says in a state, a document a line. */
export function* changeDocuments(origin: string, state: ChangeState): Generator<string> {
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
  const zone = zoneOrigin(state.zone);
  yield document("Zone", zone, { origin: zone, nameServers: [{ name: `ns1.${origin}` }] });
  yield document("Record", `www.${zone}`, {
    name: `www.${zone}`,
    types: ["A"],
    pool: "change-first",
  });
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
