// SPDX-License-Identifier: Apache-2.0

// What control and a vantage tell each other besides reports, in JSON: a vantage, where it is; control, which plan is probed, and who the
// live vantages are, from which each works out what it probes at full pace. That list is left out where it is the one that was told before
// on the stream.

import { FrameKind, encodeFrame } from "./frame.ts";

/** Who probes, and from where. */
export interface VantagePlace {
  readonly name: string;
  /** Empty where none is told. */
  readonly site: string;
}

/** A plan as a vantage fetches it: by content, from `LinkPath.sections`. */
export interface PlanSection {
  /** SHA-256, 64 hex digits. */
  readonly name: string;
  readonly bytes: number;
}

/** One message of kind `plan`. */
export interface VantagePlan {
  /** Undefined before there is one. */
  readonly plan: PlanSection | undefined;
  /** Whether control has heard enough to judge since it began. */
  readonly isSettled: boolean;
  /** Whether control knows what its store holds now; one that is cut off from it does not. */
  readonly isCurrent: boolean;
  readonly live?: readonly VantagePlace[];
}

/** First message of a vantage. Who it is its certificate says; controls all have the same one, and say it here. */
export interface VantageHello {
  readonly name?: string;
  readonly protocol: number;
  /** Of the software. */
  readonly version: string;
  /** Empty where none is told. */
  readonly site: string;
}

/** Most vantages that are told of. */
export const VANTAGES_MAX = 4096;

const SHA256 = /^[0-9a-f]{64}$/;
const NAME_LENGTH_MAX = 255;

export function encodeVantageHello(hello: VantageHello): Uint8Array {
  const { protocol, version, site, name } = hello;
  const text = JSON.stringify({ protocol, version, site, name });
  return encodeFrame({ kind: FrameKind.hello, payload: new TextEncoder().encode(text) });
}

/** Undefined for bytes that are no such message. */
export function decodeVantageHello(payload: Uint8Array): VantageHello | undefined {
  const raw = parsed(payload);
  const [protocol, version, site, name] = ["protocol", "version", "site", "name"].map((member) =>
    memberOf(raw, member),
  );
  if (typeof protocol !== "number" || !isText(version) || !isText(site)) return undefined;
  return isText(name) ? { protocol, version, site, name } : { protocol, version, site };
}

export function encodeVantagePlan(message: VantagePlan): Uint8Array {
  const { plan, isSettled, isCurrent, live } = message;
  const text = JSON.stringify({ plan, isSettled, isCurrent, live });
  return encodeFrame({ kind: FrameKind.plan, payload: new TextEncoder().encode(text) });
}

/** Undefined for bytes that are no such message. */
export function decodeVantagePlan(payload: Uint8Array): VantagePlan | undefined {
  const raw = parsed(payload);
  const [plan, isSettled, live] = ["plan", "isSettled", "live"].map((name) => memberOf(raw, name));
  if (typeof isSettled !== "boolean") return undefined;
  // A control of an earlier version says nothing of it.
  const isCurrent = memberOf(raw, "isCurrent") !== false;
  if (plan !== undefined && !isPlanSection(plan)) return undefined;
  if (live === undefined) return { plan, isSettled, isCurrent };
  if (!Array.isArray(live) || live.length > VANTAGES_MAX || !live.every(isVantagePlace))
    return undefined;
  return { plan, isSettled, isCurrent, live };
}

function isPlanSection(raw: unknown): raw is PlanSection {
  const [name, bytes] = [memberOf(raw, "name"), memberOf(raw, "bytes")];
  return typeof name === "string" && SHA256.test(name) && Number.isSafeInteger(bytes);
}

function isVantagePlace(raw: unknown): raw is VantagePlace {
  return isText(memberOf(raw, "name")) && isText(memberOf(raw, "site"));
}

function isText(raw: unknown): raw is string {
  return typeof raw === "string" && raw.length <= NAME_LENGTH_MAX;
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
}

function memberOf(raw: unknown, name: string): unknown {
  return typeof raw === "object" && raw !== null ? Reflect.get(raw, name) : undefined;
}
