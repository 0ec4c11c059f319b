// SPDX-License-Identifier: Apache-2.0
import { parseIpv4, parseIpv6 } from "@meridian/dns";
import type { World } from "@meridian/snapshot";
import type { ApiOptions } from "./api.ts";
import { worldOf } from "./world-of.ts";
import { explainText } from "./explain-text.ts";
import { explain, type ExplainClient, type ExplainView, type Explanation } from "./explain.ts";
import type { Moment } from "./overlay-journal.ts";

/** What the API and `meridian explain` give: the explanation and its words. */
export type ExplainAnswer =
  | { readonly explanation: Explanation & { readonly text: string } }
  | { readonly status: 400 | 404 | 503; readonly error: string };

/** Answers `name`, `type`, `client` (prefix), `resolver`, `at` (time, or REVISION[:SEQUENCE]) as they come in a query string. */
export function explainRequest(
  options: ApiOptions,
  query: Readonly<Record<string, string>>,
): ExplainAnswer {
  const name = query["name"] ?? "";
  if (name === "") return { status: 400, error: "Name is missing, expected a domain name" };
  const client = query["client"] === undefined ? undefined : parseClient(query["client"]);
  if (query["client"] !== undefined && client === undefined)
    return { status: 400, error: `Client is "${query["client"]}", expected an address or prefix` };
  const resolver = parseClient(query["resolver"] ?? "127.0.0.1");
  if (resolver === undefined)
    return { status: 400, error: `Resolver is "${query["resolver"] ?? ""}", expected an address` };
  const view = query["at"] === undefined ? viewNow(options) : viewAt(options, query["at"]);
  if (typeof view === "string") return { status: 404, error: view };
  const explanation = explain(view, {
    name,
    type: (query["type"] ?? "A").toUpperCase(),
    ...(client === undefined ? {} : { client }),
    resolver,
    nowSeconds: view.nowSeconds,
  });
  if (explanation === undefined)
    return {
      status: 400,
      error: `Name "${name}" or type "${query["type"] ?? "A"}" cannot be read`,
    };
  return { explanation: { ...explanation, text: explainText(explanation) } };
}

type TimedView = ExplainView & { readonly nowSeconds: number };

function viewNow({ embedded, transitions }: ApiOptions): TimedView | string {
  const { world } = embedded;
  if (world === undefined) return "Nothing is served yet";
  return {
    world,
    ...embedded.overlay.moment(),
    model: embedded.model,
    revision: embedded.revision,
    nowSeconds: Math.floor(Date.now() / 1000),
    failbackOf: (name) => failbackText(embedded, name),
    causeOf: (endpoint) => causeText(transitions, endpoint, Date.now()),
  };
}

/** The newest change of a verdict until then, in words: `since 2026-11-22T19:00:00Z: 2 of 3 vantages: connection refused (eu-1, us-1)`. */
function causeText(
  transitions: ApiOptions["transitions"],
  endpoint: string,
  atMs: number,
): string | undefined {
  const last = transitions.newest(endpoint, atMs);
  if (last === undefined) return undefined;
  const since = new Date(last.atMs).toISOString().replace(/\.\d+Z$/, "Z");
  return `since ${since}: ${last.reason} (${last.vantage})`;
}

/** When a failover with `failback: hold` goes back, in words. */
function failbackText({ model }: ApiOptions["embedded"], name: string): string | undefined {
  const at = name.lastIndexOf("/");
  const failover = model?.policies.get(name.slice(0, at))?.spec.nodes[name.slice(at + 1)]?.failover;
  return failover?.failback === "hold"
    ? `an earlier one was healthy for ${failover.holdFor ?? "0s"} (failback: hold)`
    : undefined;
}

function viewAt(options: ApiOptions, text: string): TimedView | string {
  const moment = parseMoment(text);
  if (moment === undefined)
    return `Moment is "${text}", expected a time such as 2026-11-22T03:00:00Z or REVISION[:SEQUENCE]`;
  const past = options.journal.at(moment);
  if (typeof past === "string") return past;
  const revision =
    "revision" in moment ? moment.revision : (past.last?.revision ?? options.embedded.revision);
  const world =
    revision === options.embedded.revision ? options.embedded.world : oldWorld(options, revision);
  if (world === undefined) return "Nothing is served yet";
  if (typeof world === "string") return world;
  const slots = world.initialSlots();
  for (const [key, value] of past.slots) {
    const slot = world.slotOfKey(key);
    if (slot >= 0) slots[slot] = value;
  }
  const atMs = "atMs" in moment ? moment.atMs : (past.last?.atMs ?? Date.now());
  return {
    world,
    slots,
    model: revision === options.embedded.revision ? options.embedded.model : undefined,
    revision,
    sequence: past.last?.sequence ?? 0,
    nowSeconds: Math.floor(atMs / 1000),
    causeOf: (endpoint) => causeText(options.transitions, endpoint, atMs),
  };
}

function oldWorld({ store }: ApiOptions, revision: number): World | string {
  const stored = store.loadOld(revision);
  return typeof stored === "string" ? stored : worldOf(stored.sections, stored.seed);
}

function parseMoment(text: string): Moment | undefined {
  const match = /^([0-9]{1,15})(?::([0-9]{1,15}))?$/.exec(text);
  if (match?.[1] !== undefined)
    return match[2] === undefined
      ? { revision: Number(match[1]) }
      : { revision: Number(match[1]), sequence: Number(match[2]) };
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : { atMs };
}

/** `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/56`; an address alone is taken as the prefix that resolvers send, /24 or /56. */
export function parseClient(text: string): ExplainClient | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const ipv4 = parseIpv4(address);
  const bytes = ipv4 ?? parseIpv6(address);
  if (bytes === undefined || rest.length > 0) return undefined;
  const family = ipv4 === undefined ? 6 : 4;
  const prefixLength = length === undefined ? (family === 4 ? 24 : 56) : Number(length);
  const isLength =
    Number.isInteger(prefixLength) &&
    prefixLength >= 0 &&
    prefixLength <= (family === 4 ? 32 : 128);
  return isLength ? { family, bytes, prefixLength } : undefined;
}
