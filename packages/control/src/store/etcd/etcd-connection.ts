// SPDX-License-Identifier: Apache-2.0

// Requests to an etcd cluster: to one member until it fails, then to the next. A member that is cut off from the others answers, too, but with an error;
// one that hangs is left after a while.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { checkServerIdentity } from "node:tls";
import {
  Client,
  credentials,
  Metadata,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from "@grpc/grpc-js";
import { MeridianError, type Clock } from "@meridian/core";
import { accessDenied, unavailable } from "../store-error.ts";
import type { EtcdLocation } from "../store-location.ts";
import { etcdMethods, type EtcdMethod } from "./etcd-messages.ts";

/** After this a request is refused with STORE_UNAVAILABLE. */
export const REQUEST_TIMEOUT_MS = 4000;
/** After this another member is asked. */
const ATTEMPT_TIMEOUT_MS = 2000;
const PAUSE_MS = 100;
const MESSAGE_BYTES_MAX = 128 * 1024 * 1024;

const channelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
};

/** A stream of requests and responses with one member. Its errors are those of gRPC. */
export interface EtcdStream<Request, Response> {
  on(event: "data", take: (response: Response) => void): unknown;
  on(event: "error", take: (error: Error) => void): unknown;
  on(event: "end", take: () => void): unknown;
  write(request: Request): unknown;
  cancel(): void;
}

/** The way to etcd: a connection, or what a simulation has in its place. */
export interface EtcdWire {
  /** Asks until a member answers, in which case the request may have been done twice. */
  repeat<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
  ): Promise<Response>;
  /** Asks one member; where that fails with STORE_UNAVAILABLE, the request may have been done, and the next one asks another member. */
  once<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
  ): Promise<Response>;
  stream<Request, Response>(
    method: EtcdMethod<Request, Response>,
  ): Promise<EtcdStream<Request, Response>>;
  /** The next request goes to another member. */
  turn(): void;
  /** After what a stream ended with: the next one logs in anew. */
  forgetToken(): void;
  /** Resolves after `ms`, or as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

export class EtcdConnection implements EtcdWire {
  readonly #clock: Clock;
  readonly #location: EtcdLocation;
  readonly #clients: readonly Client[];
  #current = 0;
  #token: Promise<string> | undefined;
  #isClosed = false;

  /** Throws where a certificate cannot be read. Connects with the first request. */
  constructor(clock: Clock, location: EtcdLocation) {
    this.#clock = clock;
    this.#location = location;
    this.#clients = location.endpoints.map((endpoint) => clientOf(location, endpoint));
  }

  async repeat<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return repeatOver(this, this.#clock, () => this.#isClosed, { method, request });
  }

  async once<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const member = this.#current;
    try {
      return await this.#withToken((metadata) => this.#ask(method, request, metadata));
    } catch (error) {
      throw this.#refusal(error, member);
    }
  }

  async stream<Request, Response>(
    method: EtcdMethod<Request, Response>,
  ): Promise<ClientDuplexStream<Request, Response>> {
    const metadata = await this.#metadata();
    // A member that loses sight of the leader ends the stream then, instead of staying silent.
    metadata.set("hasleader", "true");
    return this.#client().makeBidiStreamRequest(
      method.path,
      method.serialize,
      method.deserialize,
      metadata,
    );
  }

  turn(): void {
    this.#current = (this.#current + 1) % this.#clients.length;
  }

  forgetToken(): void {
    this.#token = undefined;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }

  close(): void {
    this.#isClosed = true;
    for (const client of this.#clients) client.close();
  }

  #client(): Client {
    const client = this.#clients[this.#current];
    if (client === undefined) throw unavailable("Cannot ask etcd: it has no endpoints");
    return client;
  }

  #ask<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    metadata: Metadata,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client().makeUnaryRequest(
        method.path,
        method.serialize,
        method.deserialize,
        request,
        metadata,
        { deadline: Date.now() + ATTEMPT_TIMEOUT_MS },
        (error, response) => {
          if (error !== null) reject(error);
          else if (response === undefined) reject(new Error("etcd answered nothing"));
          else resolve(response);
        },
      );
    });
  }

  /** A token that has run out, or that a restarted member does not know, is replaced once. */
  async #withToken<Response>(ask: (metadata: Metadata) => Promise<Response>): Promise<Response> {
    try {
      return await ask(await this.#metadata());
    } catch (error) {
      if (!isServiceError(error) || !/invalid auth token|auth store is old/.test(error.details))
        throw error;
      this.forgetToken();
      return ask(await this.#metadata());
    }
  }

  async #metadata(): Promise<Metadata> {
    const metadata = new Metadata();
    const { user } = this.#location;
    if (user === undefined) return metadata;
    this.#token ??= this.#logIn(user);
    try {
      metadata.set("token", await this.#token);
    } catch (error) {
      this.forgetToken();
      throw error;
    }
    return metadata;
  }

  async #logIn(name: string): Promise<string> {
    const password = passwordOf(this.#location);
    const request = { name, password };
    return (await this.#ask(etcdMethods.authenticate, request, new Metadata())).token;
  }

  #refusal(error: unknown, member: number): unknown {
    if (!isServiceError(error)) return error;
    const { code, details } = error;
    const endpoint = this.#location.endpoints[member] ?? "";
    if (
      code === status.PERMISSION_DENIED ||
      code === status.UNAUTHENTICATED ||
      /authentication failed|user name is empty/.test(details)
    )
      return accessDenied(`Cannot use etcd at ${endpoint}: ${details}`);
    // Its own refusals of a request: another member would say the same.
    if (code === status.INVALID_ARGUMENT || code === status.NOT_FOUND) return error;
    if (this.#current === member) this.turn();
    return unavailable(`Cannot ask etcd at ${endpoint}: ${details}`, error);
  }
}

/** `repeat` by `once`: until a member answers, the time is over or it is closed. */
export async function repeatOver<Request, Response>(
  wire: EtcdWire,
  clock: Clock,
  isClosed: () => boolean,
  asked: { readonly method: EtcdMethod<Request, Response>; readonly request: Request },
): Promise<Response> {
  const untilMs = clock.monotonicMs() + REQUEST_TIMEOUT_MS;
  for (;;) {
    try {
      return await wire.once(asked.method, asked.request);
    } catch (error) {
      const leftMs = untilMs - clock.monotonicMs();
      if (!isUnavailable(error) || leftMs < PAUSE_MS || isClosed()) throw error;
      await wire.sleep(PAUSE_MS);
    }
  }
}

function passwordOf({ passwordFile, passwordVariable }: EtcdLocation): string {
  if (passwordVariable !== undefined) {
    const password = process.env[passwordVariable];
    if (password !== undefined) return password;
    throw accessDenied(`Cannot log in to etcd: the variable ${passwordVariable} is not set`);
  }
  // Read anew each time, so that a password may change.
  return readSecret(passwordFile ?? "")
    .toString()
    .trim();
}

function clientOf({ tls }: EtcdLocation, endpoint: string): Client {
  if (tls === undefined) return new Client(endpoint, credentials.createInsecure(), channelOptions);
  const { caFile, certificateFile, keyFile } = tls;
  const read = (path: string | undefined): Buffer | null =>
    path === undefined ? null : readSecret(path);
  const files = [read(caFile), read(keyFile), read(certificateFile)] as const;
  const host = endpoint.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "");
  if (isIP(host) === 0)
    return new Client(endpoint, credentials.createSsl(...files), channelOptions);
  // TLS has no server name for an address, and Node.js refuses one; the certificate has to be the address's all the same.
  const channel = credentials.createSsl(...files, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
  const options = { ...channelOptions, "grpc.ssl_target_name_override": "address.invalid" };
  return new Client(endpoint, channel, options);
}

function readSecret(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw accessDenied(`Cannot log in to etcd: ${reason}`);
  }
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof MeridianError && error.code === "STORE_UNAVAILABLE";
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
