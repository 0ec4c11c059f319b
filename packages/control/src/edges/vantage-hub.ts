// SPDX-License-Identifier: Apache-2.0

// The vantages that are connected: what they report goes to the verdict thread as it comes, and they are told what is probed and who
// the live ones are. Each second they hear that control is there, in as many bytes whatever happens.

import {
  encodeVantagePlan,
  type PlanSection,
  type VantagePlace,
  type VantagePlan,
} from "@meridian/snapshot";
import type { Roster } from "@meridian/health";

/** A vantage that has more than this still to be sent gets nothing until it has not. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

/** The stream to one vantage, as the hub sees it. */
export interface VantageStream {
  readonly backlogBytes: number;
  write(bytes: Uint8Array): void;
  end(): void;
}

interface Connected {
  readonly stream: VantageStream;
  readonly site: string;
  /** It has not been told of the newest list of vantages. */
  isBehind: boolean;
}

export class VantageHub {
  readonly #hear: (from: VantagePlace, payload: Uint8Array) => void;
  readonly #connected = new Map<string, Connected>();
  #plan: PlanSection | undefined;
  #isCurrent = true;
  #roster: Roster = { live: [], isSettled: false };

  constructor(hear: (from: VantagePlace, payload: Uint8Array) => void) {
    this.#hear = hear;
  }

  /** What is probed from now on. */
  planned(plan: PlanSection): void {
    this.#plan = plan;
    this.tick();
  }

  rosterChanged(roster: Roster): void {
    this.#roster = roster;
    for (const each of this.#connected.values()) each.isBehind = true;
    this.tick();
  }

  /** A vantage has come; a stream that it had before is ended. */
  join(name: string, site: string, stream: VantageStream): void {
    this.#connected.get(name)?.stream.end();
    const connected = { stream, site, isBehind: true };
    this.#connected.set(name, connected);
    this.#tell(connected);
  }

  report(name: string, stream: VantageStream, payload: Uint8Array): void {
    const connected = this.#connected.get(name);
    if (connected?.stream === stream) this.#hear({ name, site: connected.site }, payload);
  }

  leave(name: string, stream: VantageStream): void {
    if (this.#connected.get(name)?.stream === stream) this.#connected.delete(name);
  }

  /** To be called each second: whether this control knows what its store holds. */
  tick(isCurrent: boolean = this.#isCurrent): void {
    this.#isCurrent = isCurrent;
    for (const each of this.#connected.values()) this.#tell(each);
  }

  close(): void {
    for (const { stream } of this.#connected.values()) stream.end();
  }

  #tell(connected: Connected): void {
    const { stream, isBehind } = connected;
    if (stream.backlogBytes > BACKLOG_BYTES_MAX) return;
    const { live, isSettled } = this.#roster;
    const message: VantagePlan = {
      plan: this.#plan,
      isSettled,
      isCurrent: this.#isCurrent,
      ...(isBehind ? { live } : {}),
    };
    connected.isBehind = false;
    stream.write(encodeVantagePlan(message));
  }
}
