// SPDX-License-Identifier: Apache-2.0

import type { ApiAccess } from "@meridian/control";
import type { FrontOptions, OpenSocket } from "@meridian/edge";
import type { Standby } from "./standby.ts";
import type { LogLevel } from "./log-level.ts";

/** What `meridian up` and `meridian control` start a server with. */
export interface ServerOptions {
  readonly files: readonly string[];
  readonly stateDir: string;
  /** None: DNS is not answered here. */
  readonly listen: readonly string[];
  /** `HOST:PORT` where edges come in; undefined for nowhere. */
  readonly edges?: string;
  /** The key that seals secrets in the store; in the state folder where left out. */
  readonly keyFile?: string | undefined;
  /** Where this process probes from, among other vantages; empty where that is not told. */
  readonly site?: string;
  /** The store in etcd that this control shares with others, as text; its own in the state folder where left out. */
  readonly store?: string | undefined;
  /** Of this control among those of its store; the host's where left out. */
  readonly name?: string | undefined;
  /** `HOST:PORT` of the HTTP listener; undefined for none. */
  readonly http: string | undefined;
  /** Who may come in there, and how. */
  readonly access: ApiAccess;
  readonly workers: number;
  readonly transport: "auto" | "native" | "dgram";
  readonly logLevel: LogLevel;
  /** Client prefixes that may ask for diagnoses; none unless given. */
  readonly diagnosis?: readonly string[];
  /** What is done about who asks. */
  readonly front?: FrontOptions;
  readonly queryLog: { readonly path: string; readonly every: number } | undefined;
  /** Sockets that a service manager passed, among those of `listen`. */
  readonly passed?: readonly OpenSocket[];
  /** Take the sockets over from the process that holds the state folder. */
  readonly replace: boolean;
  /** This process is told to end: it is not to take over any more. */
  readonly interrupted?: AbortSignal;
  /** This process started at a low weight, beside the one that it replaces. */
  readonly standby?: Standby | undefined;
  readonly allowEmpty: boolean;
  readonly probing: boolean;
  /** Another process took the sockets over: time to end. */
  readonly onReplaced?: () => void;
}
