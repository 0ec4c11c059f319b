// SPDX-License-Identifier: Apache-2.0

// Where edges come in: HTTP/2 over TLS 1.3 (docs/internals/edge-protocol.md). Without a certificate of this control plane a caller may
// only read the authority's certificate and join with a token.

import { X509Certificate, createPublicKey, verify, type KeyObject } from "node:crypto";
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { TLSSocket } from "node:tls";
import { MeridianError, reasonOf } from "@meridian/core";
import {
  CONTROL_NAME,
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  TAKES_HEADER,
  TAKES_TRAFFIC,
  TAKES_UNMOVED,
  LinkPath,
  PROBE_UNIT,
  SILENCE_MS_MAX,
  UPDATE_BYTES_MAX,
  UPDATE_CLIENT_HEADER,
  decodeAcknowledgement,
  decodeAnswerCounts,
  decodeNotified,
  decodeHello,
  decodeLeaseRequest,
  decodeStatus,
  decodeTrafficCounts,
  encodeUpdateAnswer,
  joinStatement,
  type JoinRequest,
  type TrafficCounts,
  type UpdateAnswer,
} from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { EdgeHub, EdgeStream } from "./edge-hub.ts";
import type { EdgeRoster, JoinRole } from "./edge-roster.ts";
import type { EdgeRefusals } from "./edge-refusals.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { StoreCopyFile } from "./store-copy-file.ts";
import type { SigningHub } from "./signing-hub.ts";
import type { VantageHub } from "./vantage-hub.ts";
import { serveVantage } from "./vantage-stream.ts";
import { CERTIFICATE_MS, RENEWAL_GRACE_MS, SKEW_MS } from "./limits.ts";

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

interface Peer {
  /** Method and path that are asked for. */
  readonly request: string;
  readonly address: string;
  /** Whose certificate it showed; undefined without one of this control plane. */
  readonly edge: string | undefined;
  /** Of its certificate. */
  readonly key?: KeyObject | undefined;
  readonly endsAtMs?: number;
  /** The certificate itself is good for reporting alone. */
  readonly isProbe?: boolean;
  /** When the certificate was made, wall time; 0 where it is not known. */
  readonly issuedAtMs: number;
  /** Whose certificate of this control plane it showed, though it has expired: it may be renewed. */
  readonly expired?: string;
  /** Why the certificate that it showed is not taken. */
  readonly refusal: string;
}

export class EdgeListener {
  readonly #options: EdgeListenerOptions;
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
      this.#withBody(stream, peer, (body) => this.#join(body, peer));
    } else if (method === "POST" && path === LinkPath.renew) {
      const edge = peer.edge ?? peer.expired;
      if (edge === undefined || !this.#options.roster.admits(edge, peer.issuedAtMs))
        this.#refuse(stream, 403, peer, peer.refusal);
      else
        this.#withBody(stream, peer, (body) =>
          this.#sign(edge, this.#roleOf(edge, peer), publicKeyIn(body)),
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
      if (this.#options.hub.isServing) this.#link(stream, peer, peer.edge);
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

  async #join(body: string, { address }: Peer): Promise<object> {
    const { tokens, authority, roster, wallMs, logger } = this.#options;
    const request = joinRequestIn(body);
    if (request === undefined) throw refusal("the request is no join");
    const { secret, publicKey, signature } = request;
    const statement = joinStatement({ secret, fingerprint: authority.fingerprint }, publicKey);
    const key = Buffer.from(publicKey, "base64");
    if (!isSignedBy(key, statement, Buffer.from(signature, "base64")))
      throw refusal("the signature is not of the key that is to be certified");
    const used = await tokens.use(secret, wallMs());
    if (typeof used === "string") throw refusal(used);
    const { edge, role } = used;
    const answer = await this.#sign(edge, role, key);
    await roster.add(edge, role, wallMs());
    logger.info({ edge, role, address }, "An edge joined");
    return answer;
  }

  async #sign(edge: string, role: JoinRole, publicKey: Uint8Array): Promise<object> {
    const { authority, wallMs, certified } = this.#options;
    const nowMs = wallMs();
    const certificate = await authority.signEdge(edge, role, publicKey, nowMs);
    certified(edge, nowMs + CERTIFICATE_MS);
    return { edge, certificate };
  }

  #link(stream: ServerHttp2Stream, { address, key }: Peer, name: string): void {
    const { hub, signing, logger } = this.#options;
    const link: EdgeStream = {
      get backlogBytes() {
        return stream.writableLength;
      },
      write: (bytes) => void stream.write(bytes),
      end: () => stream.close(),
    };
    const decoder = new FrameDecoder([
      FrameKind.hello,
      FrameKind.acknowledgement,
      FrameKind.status,
      FrameKind.counts,
      FrameKind.traffic,
      FrameKind.notified,
      FrameKind.lease,
    ]);
    let isGreeted = false;
    const fail = (reason: string): void => {
      logger.warn({ edge: name, address, reason }, "Cut an edge off");
      stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
    };
    stream.respond({ ":status": 200, [TAKES_HEADER]: `${TAKES_TRAFFIC}, ${TAKES_UNMOVED}` });
    stream.setTimeout(SILENCE_MS_MAX * 2, () => fail("it says nothing"));
    stream.on("data", (chunk: Buffer) => {
      const frames = decoder.push(chunk);
      if (typeof frames === "string") {
        fail(frames);
        return;
      }
      for (const { kind, payload } of frames) {
        if (!isGreeted) {
          const hello = kind === FrameKind.hello ? decodeHello(payload) : undefined;
          if (hello?.protocol !== LINK_PROTOCOL) {
            fail(`its protocol is ${hello?.protocol ?? "unknown"}, expected ${LINK_PROTOCOL}`);
            return;
          }
          isGreeted = true;
          // Before the revision that is signed with it.
          signing.join(name, key, link);
          hub.join(name, hello, link, address);
          logger.info(
            { edge: name, address, revision: hello.revision, sequence: hello.sequence },
            "An edge is connected",
          );
          continue;
        }
        const status = kind === FrameKind.status ? decodeStatus(payload) : undefined;
        if (status !== undefined) {
          hub.report(name, link, status);
          continue;
        }
        const counts = kind === FrameKind.counts ? decodeAnswerCounts(payload) : undefined;
        if (counts !== undefined) {
          hub.count(name, link, counts);
          continue;
        }
        const traffic = kind === FrameKind.traffic ? decodeTrafficCounts(payload) : undefined;
        if (traffic !== undefined) {
          this.#options.traffic(name, traffic);
          continue;
        }
        const lease = kind === FrameKind.lease ? decodeLeaseRequest(payload) : undefined;
        if (lease !== undefined) {
          hub.lease(name, link, lease);
          continue;
        }
        const notified = kind === FrameKind.notified ? decodeNotified(payload) : undefined;
        if (notified !== undefined) {
          this.#options.notified(notified);
          continue;
        }
        const position =
          kind === FrameKind.acknowledgement ? decodeAcknowledgement(payload) : undefined;
        if (position === undefined) {
          fail("a message is malformed");
          return;
        }
        hub.acknowledge(name, link, position);
      }
    });
    stream.on("close", () => {
      if (!isGreeted) return;
      hub.leave(name, link);
      signing.leave(name, link);
      logger.warn({ edge: name, address }, "An edge is gone");
    });
  }
}

function peerOf(
  stream: ServerHttp2Stream,
  authority: string,
  nowMs: number,
): Omit<Peer, "request"> {
  const socket = stream.session?.socket;
  const address = `${socket?.remoteAddress ?? ""}:${socket?.remotePort ?? ""}`;
  if (!(socket instanceof TLSSocket))
    return { address, edge: undefined, issuedAtMs: 0, refusal: "it uses no TLS" };
  const { subject, valid_from: validFrom, valid_to: validTo } = socket.getPeerCertificate();
  const fromMs = Date.parse(validFrom);
  const issuedAtMs = Number.isFinite(fromMs) ? fromMs + SKEW_MS : 0;
  const name: unknown = subject?.CN;
  if (socket.authorized && typeof name === "string")
    return {
      ...{ address, edge: name, issuedAtMs, refusal: "" },
      key: socket.getPeerX509Certificate()?.publicKey,
      endsAtMs: Date.parse(validTo),
      isProbe: isProbeSubject(subject),
    };
  const expired = expiredName(socket, authority, nowMs);
  const shown = typeof name === "string" ? `of "${name}" is not taken` : "is missing";
  return {
    address,
    edge: undefined,
    issuedAtMs,
    ...(expired === undefined ? {} : { expired, isProbe: isProbeSubject(subject) }),
    refusal: `the certificate ${shown}: ${String(socket.authorizationError)}; join with a token of this control plane`,
  };
}

function isProbeSubject(subject: unknown): boolean {
  return (
    typeof subject === "object" && subject !== null && Reflect.get(subject, "OU") === PROBE_UNIT
  );
}

/** Whose certificate this is that is good but for its age. What TLS says of it names one flaw of perhaps several: it is looked at here. */
function expiredName(socket: TLSSocket, authority: string, nowMs: number): string | undefined {
  const shown = socket.getPeerX509Certificate();
  const issuer = new X509Certificate(authority);
  if (shown === undefined || !shown.checkIssued(issuer) || !shown.verify(issuer.publicKey))
    return undefined;
  const endedAtMs = Date.parse(shown.validTo);
  const name = /^CN=([a-z0-9-]+)$/m.exec(shown.subject)?.[1];
  return endedAtMs <= nowMs && nowMs - endedAtMs < RENEWAL_GRACE_MS ? name : undefined;
}

function reply(stream: ServerHttp2Stream, status: number, body: string | Uint8Array): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": status });
  stream.end(body);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof MeridianError ? error.code : undefined;
}

function refusal(reason: string): MeridianError {
  return new MeridianError("EDGE_JOIN_REFUSED", "user", `Cannot join: ${reason}`);
}

function isSignedBy(publicKey: Uint8Array, statement: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    return (
      key.asymmetricKeyDetails?.namedCurve === "prime256v1" &&
      verify("sha256", statement, key, signature)
    );
  } catch {
    return false;
  }
}

function memberIn(body: string, name: string): string | undefined {
  try {
    const raw: unknown = JSON.parse(body);
    const value: unknown =
      typeof raw === "object" && raw !== null ? Reflect.get(raw, name) : undefined;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function joinRequestIn(body: string): JoinRequest | undefined {
  const [secret, publicKey, signature] = ["secret", "publicKey", "signature"].map((name) =>
    memberIn(body, name),
  );
  return secret === undefined || publicKey === undefined || signature === undefined
    ? undefined
    : { secret, publicKey, signature };
}

/** Who renews has shown a certificate, and signs with the key of the connection: only the new key is named. */
function publicKeyIn(body: string): Uint8Array {
  return Buffer.from(memberIn(body, "publicKey") ?? "", "base64");
}
