// SPDX-License-Identifier: Apache-2.0
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import {
  EdnsOptionCode,
  Rcode,
  decodeMessage,
  encodeMessage,
  findOption,
  formatName,
  makeQuery,
  parseEde,
  typeToText,
  type Message,
} from "@meridian/dns";
import { wireName } from "./records.ts";

/** Resolvers try for some seconds. */
const ANSWER_MS_MAX = 10_000;
/** Not all of a great outage are told one by one. */
const FAILURES_MAX = 200;
/** RFC 8914 §4.7 to §4.13, with NSEC missing: what a validator says of what does not validate. */
const BOGUS_CODES: ReadonlySet<number> = new Set([6, 7, 8, 9, 10, 11, 12]);

/** What became of queries. `secure` ones have AD; `failed` ones have no answer for another reason than validation, or not known to be. */
export type Verdicts = Record<"secure" | "bogus" | "insecure" | "failed" | "unanswered", number>;

/** A query that was not answered as it should be. */
export interface Failure {
  /** Milliseconds after the clients began. */
  readonly atMs: number;
  readonly question: string;
  readonly what: string;
}

/** A question of the next query. */
export type Asking = () => readonly [name: string, type: number];

/** Clients of a resolver, each with one query at a time, which goes on with the next after a pause. */
export class Clients {
  readonly verdicts: Verdicts = { secure: 0, bogus: 0, insecure: 0, failed: 0, unanswered: 0 };
  readonly failures: Failure[] = [];
  longestMs = 0;
  readonly #startMs = performance.now();
  readonly #running: Promise<void>[] = [];
  readonly #port: number;
  readonly #asking: Asking;
  readonly #pauseMs: number;
  #isEnding = false;

  constructor(port: number, count: number, pauseMs: number, asking: Asking) {
    this.#port = port;
    this.#asking = asking;
    this.#pauseMs = pauseMs;
    for (let index = 0; index < count; index++) this.#running.push(this.#run());
  }

  /** Resolves when each has had its last answer. */
  async finish(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    const socket = createSocket("udp4");
    socket.connect(this.#port, "127.0.0.1");
    await once(socket, "connect");
    for (let id = 1; !this.#isEnding; id = (id + 1) & 0xffff) {
      await this.#askOnce(socket, id);
      await new Promise((done) => {
        setTimeout(done, this.#pauseMs * (0.5 + Math.random()));
      });
    }
    socket.close();
  }

  async #askOnce(socket: Socket, id: number): Promise<void> {
    const [name, type] = this.#asking();
    const owner = wireName(name);
    const edns = { udpSize: 1232, do: true };
    const sentMs = performance.now();
    socket.send(encodeMessage(makeQuery(owner, type, { id, rd: true, edns })));
    const message = await answerTo(socket, id);
    const tookMs = performance.now() - sentMs;
    this.longestMs = Math.max(this.longestMs, tookMs);
    const [verdict, what] = judge(message);
    this.verdicts[verdict] += 1;
    if (verdict === "secure" || this.failures.length === FAILURES_MAX) return;
    this.failures.push({
      atMs: Math.round(sentMs - this.#startMs),
      question: `${formatName(owner)} ${typeToText(type)}`,
      what: `${verdict} after ${Math.round(tookMs)} ms${what}`,
    });
  }
}

function answerTo(socket: Socket, id: number): Promise<Message | undefined> {
  const { promise, resolve } = Promise.withResolvers<Message | undefined>();
  const timer = setTimeout(() => resolve(undefined), ANSWER_MS_MAX);
  const take = (bytes: Buffer): void => {
    const message = decodeMessage(bytes);
    if (!("error" in message) && message.id === id) resolve(message);
  };
  socket.on("message", take);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off("message", take);
  });
}

function judge(message: Message | undefined): readonly [verdict: keyof Verdicts, what: string] {
  if (message === undefined) return ["unanswered", ""];
  const isFinal = message.rcode === Rcode.NOERROR || message.rcode === Rcode.NXDOMAIN;
  if (isFinal) return [message.flags.ad ? "secure" : "insecure", ""];
  const option = findOption(message.edns?.options ?? [], EdnsOptionCode.EXTENDED_ERROR);
  const error = option === undefined ? undefined : parseEde(option.data);
  const what = `: rcode ${message.rcode}, ${error === undefined ? "no extended error" : `${error.infoCode} ${error.text}`}`;
  return [error !== undefined && BOGUS_CODES.has(error.infoCode) ? "bogus" : "failed", what];
}
