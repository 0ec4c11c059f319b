// SPDX-License-Identifier: Apache-2.0
import { parseIpv4, parseIpv6 } from "@meridian/dns";
import { explainText } from "./explain-text.ts";
import { explain, type ExplainClient, type ExplainView, type Explanation } from "./explain.ts";

/** What the API and `meridian explain` give: the explanation and its words. */
export type ExplainAnswer =
  | { readonly explanation: Explanation & { readonly text: string } }
  | { readonly status: 400 | 404 | 503; readonly error: string };

/** A moment to go back to: wall time, or a revision and optionally a sequence. */
export type Moment =
  | { readonly atMs: number }
  | { readonly revision: number; readonly sequence?: number };

export type TimedView = ExplainView & { readonly nowSeconds: number };

/** What is served, now and of old; a text says why it is not known. */
export interface ExplainSource {
  now(): TimedView | string;
  at(moment: Moment): TimedView | string;
}

/** Answers `name`, `type`, `client` (prefix), `resolver`, `view` (its name), `at` (time, or REVISION[:SEQUENCE]) as they come in a query string. */
export function explainRequest(
  source: ExplainSource,
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
  const view = query["at"] === undefined ? source.now() : viewAt(source, query["at"]);
  if (typeof view === "string") return { status: 404, error: view };
  const seen = query["view"];
  if (seen !== undefined && view.world.views?.names.includes(seen) !== true)
    return { status: 404, error: `View is "${seen}", expected the name of one that is served` };
  const explanation = explain(view, {
    name,
    type: (query["type"] ?? "A").toUpperCase(),
    ...(client === undefined ? {} : { client }),
    resolver,
    ...(seen === undefined ? {} : { view: seen }),
    nowSeconds: view.nowSeconds,
  });
  if (explanation === undefined)
    return {
      status: 400,
      error: `Name "${name}" or type "${query["type"] ?? "A"}" cannot be read`,
    };
  return { explanation: { ...explanation, text: explainText(explanation) } };
}

function viewAt(source: ExplainSource, text: string): TimedView | string {
  const moment = parseMoment(text);
  return (
    (moment === undefined ? undefined : source.at(moment)) ??
    `Moment is "${text}", expected a time such as 2026-11-22T03:00:00Z or REVISION[:SEQUENCE]`
  );
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
