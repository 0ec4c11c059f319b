// SPDX-License-Identifier: Apache-2.0

// What this control says as a vantage goes to every other control of its store, as reports of edges and probes do: each of them judges from
// all that each of them knows. A connection to each, dialled anew each second while there is none.

import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import {
  FrameKind,
  LINK_PROTOCOL,
  LinkPath,
  SILENCE_MS_MAX,
  encodeFrame,
  encodeVantageHello,
} from "@meridian/snapshot";
import { reasonOf } from "@meridian/core";
import type { Logger } from "../embedded-options.ts";
import type { KeyPair } from "./certificate-authority.ts";
import { dialControl } from "./control-peers.ts";
import { CERTIFICATE_MS } from "./limits.ts";

/** A control that takes less than it is sent hears the next table when it has caught up. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** The certificate is made anew when a third of its life has passed. */
const RENEW_MS = CERTIFICATE_MS / 3;

export interface PeerReportsOptions {
  /** This control as a vantage. */
  readonly name: string;
  readonly site: string;
  readonly version: string;
  readonly others: () => readonly { readonly name: string; readonly address: string }[];
  readonly authority: string;
  readonly credentials: () => Promise<KeyPair>;
  readonly logger: Logger;
  readonly monotonicMs: () => number;
}

interface Link {
  readonly address: string;
  readonly session: ClientHttp2Session;
  /** Once the other one takes reports. */
  stream: ClientHttp2Stream | undefined;
}

export class PeerReports {
  readonly #options: PeerReportsOptions;
  readonly #links = new Map<string, Link>();
  #credentials: KeyPair | undefined;
  #madeAtMs = 0;
  #isDialling = false;
  #isClosed = false;
  /** Why the newest attempt failed, by control: said once. */
  readonly #reasons = new Map<string, string>();

  constructor(options: PeerReportsOptions) {
    this.#options = options;
  }

  /** Sees to the connections; to be called each second. */
  tick(): void {
    if (this.#isDialling || this.#isClosed) return;
    const others = this.#options.others();
    for (const [name, link] of this.#links)
      if (!others.some((other) => other.name === name && other.address === link.address))
        link.session.destroy();
    const missing = others.filter(({ name }) => !this.#links.has(name));
    if (missing.length === 0) return;
    this.#isDialling = true;
    this.#dial(missing)
      .catch((error: unknown) =>
        this.#options.logger.error({ reason: reasonOf(error) }, "Cannot dial other controls"),
      )
      .finally(() => {
        this.#isDialling = false;
      });
  }

  report(payload: Uint8Array): void {
    if (this.#links.size === 0) return;
    const frame = encodeFrame({ kind: FrameKind.reports, payload });
    for (const { stream } of this.#links.values())
      if (stream?.writable === true && stream.writableLength <= BACKLOG_BYTES_MAX)
        stream.write(frame);
  }

  close(): void {
    this.#isClosed = true;
    for (const { session } of this.#links.values()) session.destroy();
  }

  async #dial(missing: ReturnType<PeerReportsOptions["others"]>): Promise<void> {
    const { credentials, monotonicMs } = this.#options;
    if (this.#credentials === undefined || monotonicMs() - this.#madeAtMs > RENEW_MS) {
      this.#credentials = await credentials();
      this.#madeAtMs = monotonicMs();
    }
    if (!this.#isClosed) for (const other of missing) this.#open(other, this.#credentials);
  }

  #open(
    { name, address }: { readonly name: string; readonly address: string },
    credentials: KeyPair,
  ): void {
    const { authority, logger } = this.#options;
    const session = dialControl(address, authority, credentials);
    const link: Link = { address, session, stream: undefined };
    this.#links.set(name, link);
    let reason = "it ended the connection";
    session.on("error", (error: unknown) => {
      reason = reasonOf(error);
    });
    session.setTimeout(SILENCE_MS_MAX, () => session.destroy(new Error("it says nothing")));
    session.on("close", () => {
      if (this.#links.get(name) === link) this.#links.delete(name);
      if (this.#isClosed || this.#reasons.get(name) === reason) return;
      this.#reasons.set(name, reason);
      logger.warn({ control: name, address, reason }, "Cannot report to another control");
    });
    session.on("connect", () => this.#greet(name, link));
  }

  #greet(name: string, link: Link): void {
    const { name: own, site, version, logger } = this.#options;
    const stream = link.session.request(
      { ":method": "POST", ":path": LinkPath.vantage },
      { endStream: false },
    );
    stream.on("response", (headers) => {
      if (headers[":status"] !== 200) {
        link.session.destroy(new Error(`it answers ${String(headers[":status"])}`));
        return;
      }
      link.stream = stream;
      this.#reasons.delete(name);
      logger.info({ control: name, address: link.address }, "Reporting to another control");
    });
    // Which plan it would have probed: here it is known.
    stream.resume();
    stream.on("error", (error) => link.session.destroy(error));
    stream.on("close", () => link.session.destroy());
    stream.write(encodeVantageHello({ protocol: LINK_PROTOCOL, version, site, name: own }));
  }
}
