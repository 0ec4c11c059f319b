// SPDX-License-Identifier: Apache-2.0

// Watch as server-sent events: one event a change set, its id the revision, so that a reader that comes back with `Last-Event-ID` misses and
// doubles nothing. Change sets without anything for this reader are told by a bookmark now and then, so that its id does not grow old.

import { once } from "node:events";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../access/caller.ts";
import { accessTargetOf } from "../documents/document-access.ts";
import { isDocumentKind, member } from "../documents/document-key.ts";
import type { Selector } from "../documents/selector.ts";
import { RequestRefusal, refusalBody } from "../request-refusal.ts";
import type { ChangeSet, DocumentWrite, Store } from "../store/store.ts";
import { visible } from "./shown.ts";

/** Watches of one process at a time. */
const WATCHES_MAX = 256;
const HEARTBEAT_MS = 10_000;

/** What a watch is about. */
export interface WatchFilter {
  readonly kind: string | undefined;
  readonly namespace: string | undefined;
  readonly select: Selector;
  readonly caller: Caller;
}

const running = new WeakMap<Store, Set<AbortController>>();

export function isWatch({ query }: Pick<FastifyRequest, "query">): boolean {
  const watch = member(query, "watch");
  return watch === "true" || watch === "1";
}

/** Streams change sets until the reader goes. Throws STORE_COMPACTED (410) where the revision to go on from is gone. */
export async function watchDocuments(
  store: Store,
  request: FastifyRequest<{ Querystring: Readonly<Record<string, string | undefined>> }>,
  reply: FastifyReply,
  filter: WatchFilter,
): Promise<FastifyReply> {
  if (!filter.caller.mayAnyOf("watch", filter.kind ?? "*"))
    throw new RequestRefusal(
      "ACCESS_DENIED",
      `Cannot watch: no role of "${filter.caller.subject}" allows it`,
    );
  const open = running.get(store) ?? new Set<AbortController>();
  running.set(store, open);
  if (open.size >= WATCHES_MAX)
    throw new RequestRefusal(
      "ACCESS_LIMITED",
      `Cannot watch: ${open.size} others do, expected at most ${WATCHES_MAX}`,
    );
  const from = await startOf(store, request);
  const controller = new AbortController();
  open.add(controller);
  request.raw.socket.once("close", () => controller.abort());
  void reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "meridian-revision": String(from),
  });
  raw.write(": watching\n\n");
  let seen = from;
  let told = from;
  const heartbeat = setInterval(() => {
    if (seen === told) raw.write(": still here\n\n");
    else raw.write(`id: ${seen}\nevent: bookmark\ndata: {"revision":${seen}}\n\n`);
    told = seen;
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    for await (const set of store.watch(from, controller.signal)) {
      seen = set.revision;
      const changes = changesOf(set, filter);
      if (changes.length === 0) continue;
      told = seen;
      const data = JSON.stringify({ revision: set.revision, changes });
      const isTaken = raw.write(`id: ${set.revision}\nevent: change\ndata: ${data}\n\n`);
      if (!isTaken) await once(raw, "drain", { signal: controller.signal });
    }
  } catch (error) {
    if (!controller.signal.aborted)
      raw.write(`event: error\ndata: ${JSON.stringify(refusalBody(error))}\n\n`);
  } finally {
    clearInterval(heartbeat);
    open.delete(controller);
    controller.abort();
    raw.end();
  }
  return reply;
}

/** Where a watch begins: after the last event that its reader has, a given revision, or now. */
async function startOf(
  store: Store,
  { query, headers }: FastifyRequest<{ Querystring: Readonly<Record<string, string | undefined>> }>,
): Promise<number> {
  const last = headers["last-event-id"];
  const text = typeof last === "string" ? last : query["revision"];
  const head = await store.head();
  if (text === undefined) return head.revision;
  if (!/^[0-9]{1,15}$/.test(text))
    throw new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot watch: the revision is "${text}", expected a whole number`,
    );
  // Refused now, with a status, rather than in the stream.
  if (Number(text) < head.revision) await store.history({ from: Number(text) + 1, limit: 1 });
  return Number(text);
}

function changesOf({ revision, writes }: ChangeSet, filter: WatchFilter): object[] {
  return writes.flatMap((write) => {
    const { key, text } = write;
    if (!isDocumentKind(key.kind) || !isAbout(write, filter)) return [];
    if (text === undefined) {
      // What is gone has no labels to look at: only who may see all of the namespace hears of it, or who has no rule by label.
      const target = { kind: key.kind, namespace: key.namespace, domain: key.name };
      return filter.caller.may("watch", target) ? [{ change: "deleted", ...key }] : [];
    }
    const raw: unknown = JSON.parse(text);
    if (!filter.select(raw) || !filter.caller.may("watch", accessTargetOf(key, raw))) return [];
    const document = visible({ key, text, revision, createdRevision: revision });
    return [{ change: "applied", ...key, document }];
  });
}

function isAbout({ key }: DocumentWrite, { kind, namespace }: WatchFilter): boolean {
  return (
    (kind === undefined || key.kind === kind) &&
    (namespace === undefined || key.namespace === namespace)
  );
}
