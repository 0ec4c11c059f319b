// SPDX-License-Identifier: Apache-2.0

// What a client writes to an edge's TCP port, in the clear or over TLS, cut into segments at places that the bytes themselves decide. The twin is
// the query path asked frame by frame: the edge gives as many answers, with the same ids, and closes the connection. And requests over
// HTTPS, the status of which is known.

import assert from "node:assert/strict";
import { once } from "node:events";
import {
  connect as connectHttp,
  type ClientHttp2Session,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { after, before } from "node:test";
import { connect as connectTls } from "node:tls";
import { Pcg32 } from "@meridian/core";
import { TCP_LIMITS, Transfers } from "@meridian/edge";
import { UpdateRequests } from "../../packages/edge/src/updates/update-requests.ts";
import {
  makeCertificates,
  opensslMissing,
} from "../../packages/health/src/testing/certificates.ts";
import { RunningEdge } from "../conformance/running-edge.ts";
import { TestServer } from "../conformance/test-server.ts";
import { Choices } from "./choices.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzModel, seedQueries } from "./seed-messages.ts";

const HEADER_BYTES = 12;
const SEGMENTS_MAX = 4;

// As an edge has them: NOTIFY and UPDATE are answered, too.
const transfers = new Transfers();
const updates = new UpdateRequests(transfers, () => undefined);
const twin = new TestServer(fuzzModel, { transfers, updates });
/** The twin's answer; a second apart, as of what is let through in one there is a bound. */
function twinAnswer(query: Uint8Array): Uint8Array | undefined {
  twin.nowMs += 1000;
  return twin.askBytes(query, { isTcp: true });
}

let edge: RunningEdge;
let session: ClientHttp2Session | undefined;
before(async () => {
  const certificates = opensslMissing === false ? makeCertificates() : undefined;
  const ports = { dot: ["127.0.0.1:0"], doh: ["127.0.0.1:0"] };
  edge = await RunningEdge.start({ kind: "query" }, 1, {
    ...(certificates && { encrypted: { ...ports, certificate: certificates.good } }),
  });
  await edge.serve(fuzzModel);
});
after(async () => {
  session?.destroy();
  await edge.close();
});

/** Whole frames, up to the first that no server would take. */
function framesOf(bytes: Uint8Array, lengthMin: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const isValid = length >= lengthMin && (lengthMin === 0 || length <= TCP_LIMITS.queryBytesMax);
    if (!isValid || at + 2 + length > bytes.length) break;
    frames.push(bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return frames;
}

function frame(message: Uint8Array): Uint8Array {
  return Uint8Array.of(message.length >>> 8, message.length & 0xff, ...message);
}

const ids = (messages: readonly Uint8Array[]): string[] =>
  messages.map((bytes) => Buffer.from(bytes.subarray(0, 2)).toString("hex"));

function overTcp(): Socket {
  return connect({ host: edge.address.address, port: edge.address.port });
}

function overTls(): Socket {
  const port = edge.encryptedPort("dot");
  return connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
}

async function exchange(input: Uint8Array, open: () => Socket): Promise<Uint8Array> {
  const socket = open();
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  // The edge may close while the rest of a refused frame is on its way.
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, open === overTls ? "secureConnect" : "connect");
  const cuts = Array.from({ length: SEGMENTS_MAX - 1 }, (_, index) => (input[index] ?? 0) * 3);
  let start = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), input.length]) {
    if (cut <= start || cut > input.length) continue;
    socket.write(input.subarray(start, cut));
    start = cut;
    await new Promise(setImmediate);
  }
  socket.end();
  await closed;
  return new Uint8Array(Buffer.concat(received));
}

const queries = seedQueries();

const framed = [
  ...queries.slice(0, 8).map(frame),
  Uint8Array.from(queries.slice(0, 20).flatMap((query) => [...frame(query)])),
  frame(new Uint8Array(TCP_LIMITS.queryBytesMax)),
];

async function checkFrames(input: Uint8Array, open: () => Socket): Promise<void> {
  const expected = framesOf(input, HEADER_BYTES).flatMap((query) => twinAnswer(query) ?? []);
  const received = await exchange(input, open);
  const answers = framesOf(received, 0);
  const isWhole = answers.reduce((sum, { length }) => sum + 2 + length, 0) === received.length;
  assert.ok(isWhole, "every answer is whole");
  assert.deepEqual(ids(answers), ids(expected));
}

fuzz({ name: "tcp-framing", seeds: framed, run: (input) => checkFrames(input, overTcp) });
fuzz({
  name: "dot-framing",
  seeds: framed,
  skip: opensslMissing,
  run: (input) => checkFrames(input, overTls),
});

const MESSAGE = "application/dns-message";

/** A request over HTTPS, and the status that RFC 8484 and RFC 9110 have for it. */
interface MadeRequest {
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  readonly status: number;
}

function madeRequest(choices: Choices): MadeRequest {
  const method = choices.of(["GET", "POST", "PUT", "HEAD", "GET", "POST"]);
  const path = choices.of(["/dns-query", "/dns-query", "/dns-query", "/", "/dns-query/", "/x?dns"]);
  const accept = choices.of([
    MESSAGE,
    "*/*",
    undefined,
    "application/dns-json",
    "Application/*;q=1",
  ]);
  const type = choices.of([MESSAGE, MESSAGE, `${MESSAGE}; x=y`, "text/plain", undefined]);
  const query = madeQuery(choices);
  const text = Buffer.from(query).toString("base64url");
  const others = [`a=b&dns=${text}`, `dns=${text}=`, "dns=", "", "dns=AAAA&dns=AAAA"] as const;
  const encoded = choices.of([`dns=${text}`, ...others]);
  const headers = {
    ":method": method,
    ":path": method === "GET" ? `${path}?${encoded}` : path,
    ...(accept === undefined ? {} : { accept }),
    ...(type === undefined ? {} : { "content-type": type }),
  };
  const status = (): number => {
    if (path !== "/dns-query") return 404;
    if (method !== "GET" && method !== "POST") return 405;
    if (accept === "application/dns-json") return 406;
    if (method === "POST" && !(type ?? "").startsWith(MESSAGE)) return 415;
    if (method === "GET" && !/(?:^|&)dns=[\w-]+$/.test(encoded)) return 400;
    if (method === "GET" && encoded.startsWith("dns=AAAA&")) return 400;
    if (query.length > TCP_LIMITS.queryBytesMax) return 413;
    if (query.length < HEADER_BYTES) return 400;
    return twinAnswer(query) === undefined ? 400 : 200;
  };
  return { headers, body: method === "POST" ? query : undefined, status: status() };
}

function madeQuery(choices: Choices): Uint8Array {
  const query = Uint8Array.from(queries[choices.below(queries.length)] ?? []);
  if (choices.isOneIn(6)) return new Uint8Array(choices.of([0, 11, 12, 4096, 4097, 5000]));
  if (choices.isOneIn(4)) query[choices.below(query.length)] = choices.byte();
  return query.subarray(0, choices.isOneIn(8) ? choices.below(64) : query.length);
}

async function request({
  headers,
  body,
}: MadeRequest): Promise<{ status: number; answer: Buffer }> {
  if (session === undefined || session.destroyed || session.closed) {
    const url = `https://127.0.0.1:${edge.encryptedPort("doh")}`;
    session = connectHttp(url, { rejectUnauthorized: false });
    session.on("error", () => undefined);
  }
  const stream = session.request(headers, { endStream: body === undefined });
  const chunks: Buffer[] = [];
  let status = 0;
  stream.on("response", (response) => {
    status = Number(response[":status"]);
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (body !== undefined) stream.end(body);
  await once(stream, "close");
  return { status, answer: Buffer.concat(chunks) };
}

const random = new Pcg32(4);

fuzz({
  name: "doh-request",
  seeds: Array.from({ length: 32 }, () =>
    Uint8Array.from({ length: 16 }, () => random.next32() & 0xff),
  ),
  skip: opensslMissing,
  run: async (input) => {
    const made = madeRequest(new Choices(input));
    const { status, answer } = await request(made);
    assert.equal(status, made.status, JSON.stringify(made.headers));
    if (status !== 200) assert.equal(answer.length, 0);
    else assert.deepEqual(ids([answer]).length, 1);
  },
});
