// SPDX-License-Identifier: Apache-2.0

// One control of several on one store: sees what the others write, leads or follows, and publishes what all of them agree on.

import { reasonOf } from "@meridian/core";
import type { DeclaredLatch } from "@meridian/health";
import { addressBytes, formatAddress } from "@meridian/model";
import { member } from "../documents/document-key.ts";
import type { DocumentService } from "../documents/document-service.ts";
import type { LatchPosition, Logger, SharedPublication } from "../embedded-options.ts";
import type { HostAddresses } from "../host-state.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import { isShift, type Shift } from "../shift-effects.ts";
import type { CompiledSerial } from "../zone-history.ts";
import { Leadership } from "./leadership.ts";
import { SharedLatches } from "./shared-latches.ts";
import { PublicationAgreement, serialsIn, type Candidate } from "./publication-agreement.ts";

const HOSTS = "hosts";
/** How often it is looked whether the store was restored. */
const EPOCH_MS = 1000;

export interface ControlReplicaOptions {
  /** Of this control, for the lease. */
  readonly name: string;
  readonly documents: DocumentService;
  readonly state: StateDocuments;
  readonly logger: Logger;
  /** The stored documents are others now. */
  readonly onContent: () => void;
  /** The shifts that are running are others now. */
  readonly onShifts: () => void;
  /** What is recorded of latches, or who leads, may be another now. */
  readonly onLatches: () => void;
  /** What is published here may go to edges; `false` while another control published something else of the same documents. */
  readonly onMayServe: (mayServe: boolean) => void;
}

export class ControlReplica implements SharedPublication {
  readonly leadership: Leadership;
  readonly agreement: PublicationAgreement;
  readonly #options: ControlReplicaOptions;
  readonly #latches: SharedLatches;
  readonly #closing = new AbortController();
  #following: Promise<void> | undefined;
  #content = "";
  #timer: NodeJS.Timeout | undefined;
  #seenHosts: ReadonlyMap<string, HostAddresses> | undefined;
  #isWritingHosts = false;
  #shifts = "";
  #wasLeader = false;
  #hosts: { readonly text: string; readonly addresses: ReadonlyMap<string, HostAddresses> } = {
    text: "",
    addresses: new Map(),
  };

  constructor(options: ControlReplicaOptions) {
    this.#options = options;
    const { documents, state, logger, name } = options;
    this.leadership = new Leadership(
      () => documents.store,
      name,
      logger,
      () => this.#changed(),
    );
    this.#latches = new SharedLatches(state, this.leadership, logger);
    this.agreement = new PublicationAgreement(state, this.leadership, logger, (standing) =>
      options.onMayServe(standing !== "differs"),
    );
  }

  /** The store has been read. */
  start(): void {
    const { documents, logger } = this.#options;
    this.#content = this.#contentPosition();
    this.#timer = setInterval(() => void this.#lookAtEpoch(), EPOCH_MS).unref();
    this.#following = documents.follow(
      this.#closing.signal,
      () => this.#changed(),
      (reason) =>
        logger.warn({ reason: reasonOf(reason) }, "Reads the store anew: it cannot be watched on"),
    );
    this.#following.catch((error: unknown) =>
      logger.error({ reason: reasonOf(error) }, "Does not see any more what others write"),
    );
    this.leadership.start();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    this.agreement.close();
    await this.leadership.close();
    await this.#following?.catch(() => undefined);
  }

  contentRevision(): number {
    return this.#options.documents.documents.contentRevision;
  }

  serials(): readonly CompiledSerial[] {
    return serialsIn(this.#options.state);
  }

  agree(candidate: Candidate): Promise<boolean> {
    return this.agreement.agree(candidate);
  }

  hosts(): ReadonlyMap<string, HostAddresses> {
    const text = this.#options.state.get("CompiledHosts", HOSTS)?.text ?? "{}";
    if (text !== this.#hosts.text) this.#hosts = { text, addresses: hostsIn(text) };
    return this.#hosts.addresses;
  }

  shifts(): readonly Shift[] {
    return [...this.#options.state.all("RunningShift")]
      .map(({ text }): unknown => JSON.parse(text))
      .filter(isShift)
      .toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  }

  async putShifts(shifts: readonly Shift[], verb: string): Promise<void> {
    const writes = shifts.map(shiftWrite);
    const about = shifts.map(({ target, reason, actor }) => ({ target, reason, actor }));
    await this.#options.state.write(writes, verb, { shifts: about });
  }

  async endShifts(shifts: readonly Shift[]): Promise<void> {
    await this.#options.state.write(shifts.map(withoutShift), "unshift", {});
  }

  latch(node: string, declared: string): Pick<DeclaredLatch, "recorded" | "isDownOnly"> {
    return this.#latches.latch(node, declared);
  }

  latchesMoved(latches: readonly LatchPosition[]): void {
    this.#latches.moved(latches);
  }

  failback(latch: LatchPosition): Promise<void> {
    return this.#latches.order(latch);
  }

  expireShifts(shifts: readonly Shift[]): void {
    const { state, logger } = this.#options;
    const { lease } = this.leadership;
    if (lease === undefined) return;
    state
      .write(shifts.map(withoutShift), "expire", {}, lease)
      .catch((error: unknown) =>
        logger.warn({ reason: reasonOf(error) }, "Cannot clear shifts away that have expired"),
      );
  }

  hostsChanged(seen: ReadonlyMap<string, HostAddresses>): void {
    this.#seenHosts = seen;
    this.#writeHosts();
  }

  #contentPosition(): string {
    return `${this.#options.documents.epoch} ${this.contentRevision()}`;
  }

  /** A store that was restored at the revision that was seen last tells of no change. */
  async #lookAtEpoch(): Promise<void> {
    const { documents, logger } = this.#options;
    try {
      const { epoch } = await documents.store.head({ stale: true });
      if (epoch === documents.epoch || this.#closing.signal.aborted) return;
      logger.warn({ epoch }, "Reads the store anew: it was restored");
      await documents.start({ stale: true });
      this.#changed();
    } catch {
      // A store that cannot be read is looked at again.
    }
  }

  #changed(): void {
    const content = this.#contentPosition();
    if (content !== this.#content) {
      this.#content = content;
      this.#options.onContent();
    }
    this.agreement.look();
    this.#writeHosts();
    const { isLeader } = this.leadership;
    if (isLeader && !this.#wasLeader) this.#latches.record();
    this.#wasLeader = isLeader;
    this.#options.onLatches();
    const shifts = JSON.stringify(this.shifts());
    if (shifts !== this.#shifts) {
      this.#shifts = shifts;
      this.#options.onShifts();
    }
  }

  /** What the leader sees counts for all, so that all compile the same. */
  #writeHosts(): void {
    const { state, logger } = this.#options;
    const { lease } = this.leadership;
    const seen = this.#seenHosts;
    if (seen === undefined || lease === undefined || this.#isWritingHosts) return;
    const before = state.get("CompiledHosts", HOSTS);
    const text = textOfHosts(seen);
    if ((before?.text ?? "{}") === text) return;
    const ifRevision = before?.revision ?? 0;
    const write: StateWrite = { kind: "CompiledHosts", name: HOSTS, text, ifRevision };
    this.#isWritingHosts = true;
    state
      .write([write], "hosts", {}, lease)
      .catch((error: unknown) =>
        logger.warn({ reason: reasonOf(error) }, "Cannot tell what host names resolve to"),
      )
      .finally(() => {
        this.#isWritingHosts = false;
      });
  }
}

function shiftWrite(shift: Shift): StateWrite {
  return { kind: "RunningShift", name: shift.id, text: JSON.stringify(shift) };
}

/** What is committed with a step of a recovery plan that starts and ends shifts. */
export function shiftWrites(put: readonly Shift[], ended: readonly Shift[]): StateWrite[] {
  const kept = new Set(put.map(({ id }) => id));
  return [...put.map(shiftWrite), ...ended.filter(({ id }) => !kept.has(id)).map(withoutShift)];
}

function withoutShift({ id }: Shift): StateWrite {
  return { kind: "RunningShift", name: id, text: undefined };
}

function textOfHosts(hosts: ReadonlyMap<string, HostAddresses>): string {
  const rows = [...hosts]
    .filter(([, { ipv4, ipv6 }]) => ipv4.length + ipv6.length > 0)
    .map(([name, { ipv4, ipv6 }]) => [name, [...ipv4, ...ipv6].map((each) => formatAddress(each))])
    .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : Number(a > b)));
  return JSON.stringify(Object.fromEntries(rows));
}

function hostsIn(text: string): ReadonlyMap<string, HostAddresses> {
  const raw: unknown = JSON.parse(text);
  if (typeof raw !== "object" || raw === null) return new Map();
  return new Map(
    Object.keys(raw).map((name) => {
      const listed: unknown = member(raw, name);
      const all = (Array.isArray(listed) ? listed : []).flatMap((each: unknown) =>
        typeof each === "string" ? (addressBytes(each) ?? []) : [],
      );
      const ofLength = (length: number): Uint8Array[] =>
        all.filter((each) => each.length === length);
      return [name, { ipv4: ofLength(4), ipv6: ofLength(16) }];
    }),
  );
}
