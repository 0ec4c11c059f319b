// SPDX-License-Identifier: Apache-2.0

// The vantages that are connected: what they report goes to the verdict thread as it comes, and they are told what is probed and who
// the live ones are. Each second they hear that control is there, in as many bytes whatever happens.

import type { KeyObject } from "node:crypto";
import {
  encodeSecrets,
  encodeVantagePlan,
  type PlanSection,
  type VantagePlace,
  type VantagePlan,
} from "@meridian/snapshot";
import type { Roster } from "@meridian/health";
import type { JoinRole } from "./edge-roster.ts";

/** A vantage that has more than this still to be sent gets nothing until it has not. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

const NO_SECRETS: ReadonlyMap<string, string> = new Map();

/** Who is connected. */
export interface ConnectedVantage {
  readonly name: string;
  /** Of its certificate; who has none is sent no secrets. */
  readonly key: KeyObject | undefined;
  /** What it is besides: a probe alone is not sent secrets of zones. */
  readonly role: JoinRole;
}

/** Secrets by reference that a vantage of a role needs; the same map for as long as they are the same. */
export type SecretsOf = (role: JoinRole) => ReadonlyMap<string, string>;

/** The stream to one vantage, as the hub sees it. */
export interface VantageStream {
  readonly backlogBytes: number;
  write(bytes: Uint8Array): void;
  end(): void;
}

interface Connected {
  readonly stream: VantageStream;
  readonly site: string;
  readonly place: ConnectedVantage;
  /** That it was sent last. */
  secrets: ReadonlyMap<string, string> | undefined;
  /** It has not been told of the newest list of vantages. */
  isBehind: boolean;
}

export class VantageHub {
  readonly #hear: (from: VantagePlace, payload: Uint8Array) => void;
  readonly #connected = new Map<string, Connected>();
  readonly #secrets: SecretsOf;
  #plan: PlanSection | undefined;
  #isCurrent = true;
  #roster: Roster = { live: [], isSettled: false };

  constructor(
    hear: (from: VantagePlace, payload: Uint8Array) => void,
    secrets: SecretsOf = () => NO_SECRETS,
  ) {
    this.#hear = hear;
    this.#secrets = secrets;
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
  join(place: ConnectedVantage, site: string, stream: VantageStream): void {
    const { name } = place;
    this.#connected.get(name)?.stream.end();
    const connected = { stream, site, place, secrets: undefined, isBehind: true };
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
    // Before the plan that may need them.
    this.#tellSecrets(connected);
    stream.write(encodeVantagePlan(message));
  }

  #tellSecrets(connected: Connected): void {
    const { stream, place, secrets: told = NO_SECRETS } = connected;
    const secrets = this.#secrets(place.role);
    if (secrets === told || place.key === undefined) return;
    connected.secrets = secrets;
    stream.write(encodeSecrets(place.name, place.key, secrets));
  }
}
