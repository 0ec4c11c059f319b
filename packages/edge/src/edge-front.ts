// SPDX-License-Identifier: Apache-2.0

// What an edge does about who asks, whatever it answers: cookies, limits and encryption. The main thread reads files and watches them; workers are
// given what they hold, at the start and after a change.

import { randomInt } from "node:crypto";
import { reasonOf } from "@meridian/core";
import { cookieSecretOf, ownCookieSecret, readCookieSecrets } from "./cookie-secrets.ts";
import { readCertificate } from "./certificate-files.ts";
import type { Edge, EdgeOptions, EncryptedListens } from "./edge.ts";
import type { EdgeLogger } from "./edge-logger.ts";
import type { CookiesMessage, HandlerData, HandlerReport } from "./handler.ts";
import { LIMIT_RATE_MAX } from "./response-limiter.ts";
import type { CertificateMessage } from "./tcp-encryption.ts";
import { watchFiles } from "./watched-files.ts";

export interface FrontOptions {
  /** A file of secrets that the servers of an anycast set share; where left out those of control, before one of this process's own. */
  readonly cookieSecrets?: string | undefined;
  /** Responses a second over UDP for a client prefix (/24, /56) without a good cookie; no limit where left out. */
  readonly rateLimit?: number | undefined;
  /** Prefixes whose clients are never limited. */
  readonly rateExempt?: readonly string[];
  /** Prefixes of proxies that state the client (PROXY protocol, version 2). */
  readonly proxies?: readonly string[];
  /** Where DNS is spoken inside TLS. */
  readonly encrypted?: EncryptedOptions | undefined;
}

/** As `EncryptedListens`, with the files of the certificate. */
export interface EncryptedOptions {
  readonly dot: readonly string[];
  readonly doh: readonly string[];
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities of the certificates that clients are asked for; they are asked for none where left out. */
  readonly clientCaFile?: string | undefined;
}

/** The highest rate that may be asked for. */
export const RATE_LIMIT_MAX: number = LIMIT_RATE_MAX;

export class EdgeFront {
  readonly #options: FrontOptions;
  readonly #logger: EdgeLogger;
  readonly #secrets: readonly Uint8Array[];
  readonly #encrypted: EncryptedListens | undefined;
  readonly #stopWatching: (() => void)[] = [];

  /** Throws where a file cannot be read. */
  constructor(options: FrontOptions, logger: EdgeLogger) {
    this.#options = options;
    this.#logger = logger;
    this.#secrets =
      options.cookieSecrets === undefined
        ? [ownCookieSecret()]
        : readCookieSecrets(options.cookieSecrets);
    const { encrypted } = options;
    this.#encrypted =
      encrypted === undefined
        ? undefined
        : { dot: encrypted.dot, doh: encrypted.doh, certificate: readCertificate(encrypted) };
  }

  /** Of `EdgeOptions`. */
  get edgeOptions(): Pick<EdgeOptions, "encrypted" | "proxies"> {
    const proxies = this.#options.proxies ?? [];
    return this.#encrypted === undefined ? { proxies } : { proxies, encrypted: this.#encrypted };
  }

  /** What `workers` UDP workers are started with. */
  handlerData(workers: number): Pick<HandlerData, "cookieSecrets" | "limit"> {
    const { rateLimit, rateExempt = [] } = this.#options;
    // Clients' ports spread their queries evenly over the workers.
    const rate = Math.max(1, Math.ceil((rateLimit ?? 0) / workers));
    return {
      cookieSecrets: this.#secrets,
      ...(rateLimit === undefined
        ? {}
        : { limit: { rate, exempt: rateExempt, seed: randomInt(2 ** 31) } }),
    };
  }

  /** From now on the workers of `edge` are told of files that change. */
  start(edge: Edge): void {
    const { cookieSecrets: path, encrypted } = this.#options;
    if (path !== undefined) this.#watch("cookie secrets", [path], () => renewSecrets(edge, path));
    if (encrypted !== undefined)
      this.#watch("certificate", filesOf(encrypted), () => renewCertificate(edge, encrypted));
  }

  /** The workers of `edge` go on with these secrets for cookies (hexadecimal digits), unless a file has them. */
  setCookieSecrets(edge: Edge, secrets: readonly string[]): void {
    if (this.#options.cookieSecrets !== undefined) return;
    edge.post(cookiesMessage(secrets.map(cookieSecretOf)));
  }

  #watch(what: string, paths: readonly string[], renew: () => void): void {
    const stop = watchFiles(paths, () => {
      try {
        renew();
        this.#logger.info(`Goes on with the new ${what}`);
      } catch (error) {
        this.#logger.error(`Goes on with the ${what} of before`, { reason: reasonOf(error) });
      }
    });
    this.#stopWatching.push(stop);
  }

  /** Says in the log who is limited, and what the kernel refuses. */
  take(report: HandlerReport): void {
    if (report.kind === "unfiltered") {
      this.#logger.warn(
        "The kernel takes no packet filter: under overload packets are read before they are left out",
        {
          worker: report.worker,
          remedy: "raise net.core.optmem_max",
        },
      );
    }
    if (report.kind !== "limited") return;
    const { prefix, others } = report;
    this.#logger.warn("Limits responses to clients past their rate", {
      prefix,
      others,
      rate: this.#options.rateLimit,
    });
  }

  /** Idempotent. */
  close(): void {
    for (const stop of this.#stopWatching.splice(0)) stop();
  }
}

function filesOf({ certFile, keyFile, clientCaFile }: EncryptedOptions): string[] {
  return [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
}

function renewSecrets(edge: Edge, path: string): void {
  edge.post(cookiesMessage(readCookieSecrets(path)));
}

function cookiesMessage(secrets: readonly Uint8Array[]): CookiesMessage {
  return { kind: "cookies", secrets };
}

function renewCertificate(edge: Edge, files: EncryptedOptions): void {
  const message: CertificateMessage = { kind: "certificate", ...readCertificate(files) };
  edge.post(message);
}
