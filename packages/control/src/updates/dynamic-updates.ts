// SPDX-License-Identifier: Apache-2.0

// Dynamic updates (RFC 2136) of zones that take them: what edges have let in is judged against the store, and done as one change set of
// RecordSets. An answer of NOERROR says that the store has it.
//
//   signed packet ─► zone ─► signature ─► form ─► in its turn: prerequisites, permission, changes ─► commit ─► rcode
//
// A packet that comes again, as its answer was lost, is known by its hash: it is not done twice.

import { createHash } from "node:crypto";
import { MeridianError, reasonOf } from "@meridian/core";
import {
  ExtendedError,
  Rcode,
  TsigSession,
  decodeMessage,
  evaluateUpdate,
  formatName,
  isUpdateRefusal,
  keyOf,
  nameKey,
  parseName,
  rcodeToText,
  readTsig,
  readUpdate,
  rootName,
  tsigKey,
  typeToText,
  updateNames,
  type RrsetChange,
  type TsigKey,
  type UpdateName,
  type UpdateRefusal,
  type UpdateRequest,
} from "@meridian/dns";
import { nameText, zoneKeyOf } from "@meridian/model";
import type { UpdateAnswer } from "@meridian/snapshot";
import { Caller } from "../access/caller.ts";
import { planApply, planDelete, type Plan } from "../documents/change-plan.ts";
import type { DocumentService } from "../documents/document-service.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Logger } from "../embedded-options.ts";
import { secretName } from "../probe-targets.ts";
import { statusOf } from "../request-refusal.ts";
import type { DeclaredZone } from "./declared-zone.ts";
import {
  StoredRecordSets,
  keyOfRecordSet,
  recordSetDocument,
  type StoredRecordSet,
} from "./stored-record-sets.ts";
import { isSameKey, mayChangeBy } from "./update-policy.ts";

/** Updates that wait for their turn; more are told to come again. */
const WAITING_MAX = 64;
const ADDITIONAL_COUNT_AT = 10;

export interface DynamicUpdatesOptions {
  readonly documents: DocumentService;
  readonly declared: (
    origin: string,
    names: readonly Uint8Array[],
  ) => Promise<DeclaredZone | undefined>;
  /** Secrets of zones, by reference. */
  readonly secrets: () => ReadonlyMap<string, string>;
  readonly logger: Logger;
}

/** A signed update whose sender is known. */
interface SignedUpdate {
  readonly request: UpdateRequest;
  readonly origin: string;
  /** What the zone is called: its origin, and behind an `@` its view. */
  readonly zoneKey: string;
  readonly zone: DeclaredZone;
  /** Name of the key, as the zone's document has it. */
  readonly key: string;
  /** Of the packet. */
  readonly id: string;
  readonly client: string;
}

/** Thrown in a plan: nothing is done. */
class RefusedUpdate extends Error {
  readonly answer: UpdateAnswer;

  constructor(answer: UpdateAnswer) {
    super(answer.text);
    this.answer = answer;
  }
}

export class DynamicUpdates {
  readonly #options: DynamicUpdatesOptions;
  readonly #stored = new StoredRecordSets();
  #waiting = 0;
  readonly #counts = new Map<string, number>();

  constructor(options: DynamicUpdatesOptions) {
    this.#options = options;
  }

  /** Answers by rcode, for metrics. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /**
   * Does what a packet asks for that `client` has sent, and an edge has found well-formed and signed; `view` is the one in which the client
   * sees the zone. Never rejects.
   */
  async apply(packet: Uint8Array, client: string, view?: string): Promise<UpdateAnswer> {
    const answer = await this.#answer(packet, client, view);
    const rcode = rcodeToText(answer.rcode);
    this.#counts.set(rcode, (this.#counts.get(rcode) ?? 0) + 1);
    return answer;
  }

  async #answer(packet: Uint8Array, client: string, view?: string): Promise<UpdateAnswer> {
    if (this.#waiting >= WAITING_MAX)
      return no(Rcode.SERVFAIL, ExtendedError.NOT_READY, "too many updates wait: send it again");
    this.#waiting += 1;
    try {
      const update = await this.#read(packet, client, view);
      if ("rcode" in update) return update;
      const answer = await this.#change(update);
      this.#log(update, answer);
      return answer;
    } catch (error) {
      const reason = reasonOf(error);
      this.#options.logger.error({ client, reason }, "Cannot answer a dynamic update");
      return no(Rcode.SERVFAIL, ExtendedError.OTHER, reason);
    } finally {
      this.#waiting -= 1;
    }
  }

  #log({ zoneKey, key, client }: SignedUpdate, { rcode, text }: UpdateAnswer): void {
    const details = { zone: zoneKey, key, client, rcode: rcodeToText(rcode) };
    if (rcode === Rcode.NOERROR) this.#options.logger.info(details, "Dynamic update");
    else this.#options.logger.warn({ ...details, reason: text }, "Refused a dynamic update");
  }

  /** Who sends what to which zone. The edge has looked at the time: its clock is as good as this one. */
  async #read(
    packet: Uint8Array,
    client: string,
    view: string | undefined,
  ): Promise<SignedUpdate | UpdateAnswer> {
    const record = readTsig(packet);
    if (record === "malformed") return no(Rcode.FORMERR);
    if (record === undefined) return no(Rcode.REFUSED, ExtendedError.PROHIBITED, "is not signed");
    const message = decodeMessage(bareOf(packet, record.start));
    if ("error" in message) return no(Rcode.FORMERR);
    const request = readUpdate(message);
    if (isUpdateRefusal(request)) return no(request.rcode);
    const origin = nameText(request.origin);
    const zoneKey = zoneKeyOf(origin, view);
    const zone = await this.#options.declared(zoneKey, []);
    if (zone === undefined)
      return no(Rcode.NOTAUTH, ExtendedError.NOT_AUTHORITATIVE, `there is no zone ${origin}`);
    const found = keyOf(record, this.#keysOf(zone));
    const session = found === undefined ? undefined : new TsigSession(found);
    if (found === undefined || session?.verify(packet, record, record.timeSigned) !== Rcode.NOERROR)
      return no(Rcode.NOTAUTH, ExtendedError.PROHIBITED, "its signature is not good");
    const named = formatName(found.name);
    const key = Object.keys(zone.spec.tsigKeys ?? {}).find((each) => isSameKey(each, named));
    // Whoever hands it on may give it another id (RFC 8945 §5.3).
    const hash = createHash("sha256").update(packet.subarray(2));
    if (view !== undefined) hash.update(view);
    const id = hash.digest("base64url");
    return { request, origin, zoneKey, zone, key: key ?? named, id, client };
  }

  #keysOf({ metadata, spec }: DeclaredZone): TsigKey[] {
    const secrets = this.#options.secrets();
    return Object.entries(spec.tsigKeys ?? {}).flatMap(([name, { algorithm, secret }]) => {
      const value = secrets.get(secretName(metadata.namespace, secret));
      return tsigKey(name, algorithm, value) ?? [];
    });
  }

  async #change(update: SignedUpdate): Promise<UpdateAnswer> {
    const { key, id, client, origin, zone } = update;
    const { namespace } = zone.metadata;
    const verbs = ["apply", "delete"] as const;
    const caller = new Caller(`tsig/${key}`, undefined, client, [
      { verbs: [...verbs], kinds: ["RecordSet"], namespaces: [namespace], zones: [origin] },
    ]);
    try {
      await this.#options.documents.changeBy("update", { caller, id }, (set) =>
        this.#plan(update, set, caller),
      );
      return { rcode: Rcode.NOERROR, ede: ExtendedError.OTHER, text: "" };
    } catch (error) {
      if (error instanceof RefusedUpdate) return error.answer;
      const isRefused = error instanceof MeridianError && error.causedBy === "user";
      // A store that cannot be written is no fault of the sender's.
      const isSystem = !isRefused || statusOf(error) >= 500 || error.code.startsWith("STORE_");
      return isSystem
        ? no(Rcode.SERVFAIL, ExtendedError.OTHER, reasonOf(error))
        : no(Rcode.REFUSED, ExtendedError.PROHIBITED, reasonOf(error));
    }
  }

  /** What the update makes of the documents of the store as they are now. */
  async #plan(update: SignedUpdate, set: DocumentSet, caller: Caller): Promise<Plan> {
    const { request, origin, zoneKey, key } = update;
    const names = updateNames(request);
    // Again: others may have changed it while this one waited.
    const zone = await this.#options.declared(zoneKey, names);
    if (zone === undefined) throw new RefusedUpdate(no(Rcode.NOTAUTH));
    const { metadata, spec } = zone;
    if (spec.updates === undefined)
      throw refused(`${origin} takes no updates: its Zone has no spec.updates`);
    const apex = parseName(spec.origin);
    const place = {
      ...{ origin: apex instanceof Uint8Array ? apex : rootName, ttl: spec.ttl },
      view: spec.view,
    };
    const found = new Map(
      names.map((name, index) => {
        const stored = this.#stored.at(set, metadata.namespace, name, place);
        const { rrsets = [], routed = [] } = zone.names[index] ?? {};
        return [nameKey(name), { stored, rrsets: [...rrsets, ...stored], routed }] as const;
      }),
    );
    const nothing: UpdateName = { rrsets: [], routed: [] };
    const changes = evaluateUpdate(request, {
      at: (name) => found.get(nameKey(name)) ?? nothing,
      mayChange: mayChangeBy(spec, key),
    });
    if (isUpdateRefusal(changes)) throw new RefusedUpdate(answerOf(changes, origin));
    const storedAt = (change: RrsetChange): StoredRecordSet | undefined =>
      found.get(nameKey(change.owner))?.stored.find(({ type }) => type === change.type);
    for (const change of changes)
      if (change.before !== undefined && storedAt(change) === undefined)
        throw refused(
          `${nameText(change.owner)} ${typeToText(change.type)} is declared by the zone's document or file: change it there`,
        );
    const { namespace } = metadata;
    return planOf(changes, storedAt, { set, caller, namespace, view: spec.view });
  }
}

function planOf(
  changes: readonly RrsetChange[],
  storedAt: (change: RrsetChange) => StoredRecordSet | undefined,
  {
    set,
    caller,
    namespace,
    view,
  }: {
    readonly set: DocumentSet;
    readonly caller: Caller;
    readonly namespace: string;
    readonly view: string | undefined;
  },
): Plan {
  const removed = changes.flatMap((change) => {
    const key = storedAt(change)?.document.key;
    return change.after === undefined && key !== undefined ? [key] : [];
  });
  const written = changes.flatMap((change) => {
    if (change.after === undefined) return [];
    const document = recordSetDocument({ namespace, view }, change.owner, change.after);
    const { name } = storedAt(change)?.document.key ?? keyOfRecordSet(document);
    return [{ ...document, metadata: { ...document.metadata, name } }];
  });
  const plans = [
    planDelete(removed, set, caller, "api"),
    planApply(written, set, { caller, owner: "api", verb: "apply" }),
  ];
  return {
    changes: plans.flatMap((plan) => plan.changes),
    writes: plans.flatMap((plan) => plan.writes),
  };
}

function answerOf({ rcode, reason, name, type }: UpdateRefusal, origin: string): UpdateAnswer {
  const what = `${name === undefined ? origin : nameText(name)} ${typeToText(type ?? 0)}`;
  switch (reason) {
    case "forbidden":
      return no(rcode, ExtendedError.PROHIBITED, `the key may not change ${what}`);
    case "routed":
      return no(
        rcode,
        ExtendedError.NOT_SUPPORTED,
        `${name === undefined ? origin : nameText(name)} is routed by policy: change its Record`,
      );
    default:
      return no(rcode);
  }
}

function refused(text: string): RefusedUpdate {
  return new RefusedUpdate(no(Rcode.REFUSED, ExtendedError.PROHIBITED, text));
}

function no(rcode: number, ede: number = ExtendedError.OTHER, text = ""): UpdateAnswer {
  return { rcode, ede, text };
}

/** The message before it was signed. */
function bareOf(packet: Uint8Array, end: number): Uint8Array {
  // Not `slice`, which of a Buffer is the same memory.
  const bare = Uint8Array.from(packet.subarray(0, end));
  const view = new DataView(bare.buffer);
  view.setUint16(ADDITIONAL_COUNT_AT, view.getUint16(ADDITIONAL_COUNT_AT) - 1);
  return bare;
}
