// SPDX-License-Identifier: Apache-2.0

// Where edges come in: HTTP/2 over TLS 1.3 (docs/internals/edge-protocol.md). Without a certificate of this control plane a caller may
// only read the authority's certificate and join with a token.

import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { MeridianError, reasonOf } from "@meridian/core";
import {
  CONTROL_NAME,
  LinkPath,
  UPDATE_BYTES_MAX,
  UPDATE_CLIENT_HEADER,
  encodeUpdateAnswer,
  type TrafficCounts,
  type UpdateAnswer,
} from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import { EdgeCertifier } from "./edge-certifier.ts";
import type { EdgeHub } from "./edge-hub.ts";
import { serveEdgeLink } from "./edge-link-stream.ts";
import { peerOf, type Peer } from "./edge-peer.ts";
import type { EdgeRoster, JoinRole } from "./edge-roster.ts";
import type { EdgeRefusals } from "./edge-refusals.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { StoreCopyFile } from "./store-copy-file.ts";
import type { SigningHub } from "./signing-hub.ts";
import type { VantageHub } from "./vantage-hub.ts";
import { serveVantage } from "./vantage-stream.ts";
import { CERTIFICATE_MS } from "./limits.ts";

const BODY_BYTES_MAX = 8192;
/** Of a path that is refused so much is kept. */
const REQUEST_LENGTH_MAX = 200;
/** Of an address. */
const CLIENT_LENGTH_MAX = 64;
const CONNECTIONS_MAX = 4096;
/** Sections on their way to one edge, four at a time: with more than this, further ones are refused. Node.js allows 10. */
const SESSION_MEBIBYTES_MAX = 256;
const STREAMS_MAX = 16;
const HANDSHAKE_MS_MAX = 10_000;
const IDLE_MS_MAX = 30_000;
const WINDOW_BYTES = 1024 * 1024;
/** The listener's own certificate is made anew when a third of its life has passed. */
const RENEW_MS = CERTIFICATE_MS / 3;

export interface EdgeListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly authority: CertificateAuthority;
  readonly tokens: JoinTokens;
  readonly roster: EdgeRoster;
  readonly hub: EdgeHub;
  readonly signing: SigningHub;
  /** What other controls are told. */
  readonly status: () => Promise<object>;
  readonly vantages: VantageHub;
  /** Does a dynamic update that an edge hands on from a client. */
  readonly update: (packet: Uint8Array, client: string, view?: string) => Promise<UpdateAnswer>;
  /** The bytes of a section that is served; undefined for any other. A probe is given what it probes alone. */
  readonly section: (name: string, role: JoinRole) => SharedArrayBuffer | undefined;
  readonly copy: StoreCopyFile;
  /** A certificate that was made for an edge, or shown by it, ends then. */
  readonly certified: (edge: string, endsAtMs: number) => void;
  /** Where an edge has sent clients. */
  readonly traffic: (edge: string, counts: TrafficCounts) => void;
  /** An edge has heard that a secondary zone has changed. */
  readonly notified: (zone: string) => void;
  readonly logger: Logger;
  readonly refusals: EdgeRefusals;
  readonly wallMs: () => number;
}

export class EdgeListener {
  readonly #options: EdgeListenerOptions;
  readonly #certifier: EdgeCertifier;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Whose those are that have asked for more than a certificate. */
  readonly #linked = new Map<
    Http2Session,
    { readonly edge: string; readonly issuedAtMs: number }
  >();
  #server: Http2SecureServer | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(options: EdgeListenerOptions) {
    this.#options = options;
    this.#certifier = new EdgeCertifier(options);
  }

  /** Listens; returns the port. Rejects with EDGE_PORT_IN_USE where another process has it. */
  async start(): Promise<number> {
    const { authority, wallMs, host, port, logger } = this.#options;
    const { key, certificate } = await authority.makeControl(wallMs());
    const server = createSecureServer({
      key,
      cert: certificate,
      ca: authority.certificate,
      requestCert: true,
      // Who joins has none yet; every other path looks at it.
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      handshakeTimeout: HANDSHAKE_MS_MAX,
      settings: { maxConcurrentStreams: STREAMS_MAX, initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: SESSION_MEBIBYTES_MAX,
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.on("session", (session) => this.#session(session));
    server.on("sessionError", (error) =>
      logger.warn({ reason: error.message }, "An edge was cut off"),
    );
    server.on("tlsClientError", (error) =>
      logger.warn({ reason: error.message }, "Refused a connection to the edge listener"),
    );
    this.#server = server;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen({ host, port }, resolve);
    await promise.catch((error: unknown) => {
      throw new MeridianError(
        "EDGE_LISTENER_FAILED",
        "user",
        `Cannot listen for edges on ${host}:${port}: ${reasonOf(error)}; give another --edges`,
        { cause: error },
      );
    });
    server.on("error", (error) =>
      logger.error({ reason: error.message }, "The edge listener failed"),
    );
    this.#renewal = setInterval(() => this.#renew(), RENEW_MS).unref();
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    for (const session of this.#sessions) session.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    await promise;
  }

  #renew(): void {
    const { authority, wallMs, logger } = this.#options;
    authority
      .makeControl(wallMs())
      .then(({ key, certificate }) =>
        this.#server?.setSecureContext({
          key,
          cert: certificate,
          ca: authority.certificate,
          minVersion: "TLSv1.3",
        }),
      )
      .catch((error: unknown) =>
        logger.error({ reason: reasonOf(error) }, "Cannot renew the edge listener's certificate"),
      );
  }

  /** Ends every connection of edges that may not be connected. */
  cutRevoked(): void {
    const { roster } = this.#options;
    for (const [session, peer] of this.#linked)
      if (!roster.admits(peer.edge, peer.issuedAtMs)) session.destroy();
  }

  #session(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on("stream", (stream, headers) => this.#stream(stream, headers));
    session.setTimeout(IDLE_MS_MAX, () => session.destroy());
    session.on("close", () => {
      this.#sessions.delete(session);
      this.#linked.delete(session);
    });
    session.on("error", () => session.destroy());
  }

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => stream.close());
    const { authority, wallMs } = this.#options;
    const path = headers[":path"] ?? "";
    const method = headers[":method"];
    const request = `${method ?? ""} ${path}`.slice(0, REQUEST_LENGTH_MAX);
    const peer = { request, ...peerOf(stream, authority.certificate, wallMs()) };
    if (method === "GET" && path === LinkPath.authority) {
      reply(stream, 200, this.#options.authority.certificate);
    } else if (method === "POST" && path === LinkPath.join) {
      this.#withBody(stream, peer, (body) => this.#certifier.join(body, peer.address));
    } else if (method === "POST" && path === LinkPath.renew) {
      const edge = peer.edge ?? peer.expired;
      if (edge === undefined || !this.#options.roster.admits(edge, peer.issuedAtMs))
        this.#refuse(stream, 403, peer, peer.refusal);
      else
        this.#withBody(stream, peer, (body) =>
          this.#certifier.renew(edge, this.#roleOf(edge, peer), body),
        );
    } else if (peer.edge === undefined) {
      this.#refuse(stream, 403, peer, peer.refusal);
    } else if (peer.edge === CONTROL_NAME && method === "GET" && path === LinkPath.status) {
      void this.#status(stream, peer);
    } else if (peer.edge === CONTROL_NAME && method === "POST" && path === LinkPath.vantage) {
      const { vantages, logger } = this.#options;
      serveVantage(
        stream,
        { name: undefined, address: peer.address, role: "probe" },
        vantages,
        logger,
      );
    } else if (!this.#options.roster.admits(peer.edge, peer.issuedAtMs)) {
      this.#refuse(
        stream,
        403,
        peer,
        `this control plane has no edge "${peer.edge}", or has revoked its certificate; join with a new token`,
      );
    } else if (
      (path === LinkPath.link || path === LinkPath.copy || path === LinkPath.update) &&
      this.#roleOf(peer.edge, peer) === "probe"
    ) {
      this.#refuse(
        stream,
        403,
        peer,
        `"${peer.edge}" joined as a probe, which reports and fetches nothing but what it probes; join with a token of --edge`,
      );
    } else if (method === "POST" && path === LinkPath.link) {
      this.#remember(stream, peer, peer.edge);
      const { edge: name, address, key } = peer;
      if (this.#options.hub.isServing) serveEdgeLink(stream, { name, address, key }, this.#options);
      else reply(stream, 503, "it has nothing to serve yet");
    } else if (method === "POST" && path === LinkPath.vantage) {
      this.#remember(stream, peer, peer.edge);
      const { vantages, logger } = this.#options;
      const { edge: name, address, key } = peer;
      serveVantage(
        stream,
        { name, address, key, role: this.#roleOf(name, peer) },
        vantages,
        logger,
      );
    } else if (method === "GET" && path.startsWith(LinkPath.sections)) {
      const name = path.slice(LinkPath.sections.length);
      const bytes = this.#options.section(name, this.#roleOf(peer.edge, peer));
      if (bytes === undefined) reply(stream, 404, "The section is not served any more");
      else reply(stream, 200, new Uint8Array(bytes));
    } else if (method === "POST" && path === LinkPath.update) {
      this.#update(stream, String(headers[UPDATE_CLIENT_HEADER] ?? ""));
    } else if (method === "POST" && path.startsWith(LinkPath.updateInView)) {
      const view = path.slice(LinkPath.updateInView.length);
      this.#update(stream, String(headers[UPDATE_CLIENT_HEADER] ?? ""), view);
    } else if (method === "GET" && path === LinkPath.copy) {
      void this.#copy(stream, headers["if-none-match"]);
    } else {
      reply(stream, 404, "There is nothing here");
    }
  }

  /** What it joined as last; a certificate of a probe stays one though its name has joined as an edge since. */
  #roleOf(name: string, { isProbe = false }: Peer): JoinRole {
    return isProbe ? "probe" : this.#options.roster.roleOf(name);
  }

  #remember({ session }: ServerHttp2Stream, peer: Peer, edge: string): void {
    const { issuedAtMs, endsAtMs } = peer;
    if (session !== undefined) this.#linked.set(session, { edge, issuedAtMs });
    if (endsAtMs !== undefined) this.#options.certified(edge, endsAtMs);
  }

  #update(stream: ServerHttp2Stream, client: string, view?: string): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > UPDATE_BYTES_MAX) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      else chunks.push(chunk);
    });
    stream.on("end", () => {
      if (stream.destroyed) return;
      void this.#options
        .update(Buffer.concat(chunks), client.slice(0, CLIENT_LENGTH_MAX), view)
        .then((answer) => reply(stream, 200, encodeUpdateAnswer(answer)));
    });
  }

  async #status(stream: ServerHttp2Stream, peer: Peer): Promise<void> {
    try {
      reply(stream, 200, JSON.stringify(await this.#options.status()));
    } catch (error) {
      this.#refuse(stream, 503, peer, reasonOf(error));
    }
  }

  /** The copy of the store, unless the edge has it. */
  async #copy(stream: ServerHttp2Stream, had: string | undefined): Promise<void> {
    try {
      const { path, tag, bytes } = await this.#options.copy.latest();
      if (stream.destroyed) return;
      if (had === tag) reply(stream, 304, "");
      else
        stream.respondWithFile(
          path,
          { ":status": 200, etag: tag, "content-length": bytes },
          { onError: () => stream.close() },
        );
    } catch (error) {
      const reason = reasonOf(error);
      this.#options.logger.warn({ reason }, "Cannot copy the store for edges");
      reply(stream, 503, reason);
    }
  }

  #refuse(
    stream: ServerHttp2Stream,
    status: number,
    peer: Peer,
    message: string,
    code = "ACCESS_DENIED",
  ): void {
    const { address, request, edge = peer.expired } = peer;
    const { logger, refusals, wallMs } = this.#options;
    const subject = edge === undefined ? "anonymous" : `edge/${edge}`;
    logger.warn({ address, reason: message }, "Refused an edge");
    refusals.add({ atMs: wallMs(), subject, address, request, code, message });
    reply(stream, status, message);
  }

  /** Answers with what `work` gives; a text thrown by it as a MeridianError is why it is refused. */
  #withBody(stream: ServerHttp2Stream, peer: Peer, work: (body: string) => Promise<object>): void {
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > BODY_BYTES_MAX) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    stream.on("end", () => {
      if (stream.destroyed || text.length > BODY_BYTES_MAX) return;
      work(text)
        .then((answer) => reply(stream, 200, JSON.stringify(answer)))
        .catch((error: unknown) => this.#refuse(stream, 403, peer, reasonOf(error), codeOf(error)));
    });
  }
}

function reply(stream: ServerHttp2Stream, status: number, body: string | Uint8Array): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": status });
  stream.end(body);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof MeridianError ? error.code : undefined;
}
