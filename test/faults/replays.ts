// SPDX-License-Identifier: Apache-2.0

// What edges answered, asked again: each edge logs its answers with the revision and the sequence that they were made from, and is asked over its
// own socket what these yield. An answer is right if the very bytes come out. Asked for are a sample and every answer that looks wrong, while the run goes
// on: edges keep revisions that change as fast for some minutes.

import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { hash32 } from "@meridian/core";
import { addressesIn } from "../e2e/ask.ts";
import { askControl, type Member } from "./cluster.ts";
import type { Answer } from "./judgement.ts";

const LOOK_MS = 1000;
const ANSWER_MS_MAX = 5000;
/** One logged answer in so many is of the sample. */
const SAMPLE = 50;
/** Lines of an edge that is dead or held wait for it; of more the oldest are not asked. */
const WAITING_MAX = 1000;
const READ_BYTES = 1 << 16;
/** Logged answers of an edge that can be found again by their ids, which do not come again as soon: those of some minutes. */
const RECENT_MAX = 10_000;
/** An edge that has not answered for so long is not asked any more. */
const PATIENCE_MS = 60_000;
const MESSAGE_ID = /"query":"(\w{4})/;
const MESSAGE_ID_CHARACTERS = 4;

/**
 * An answer, and what came of asking for it again. `forgotten`: the edge was killed before that state was on its disk, or has it no more;
 * `unlogged`: it was killed before it had logged the answer.
 */
export interface Replay {
  readonly edge: string;
  /** Wall time of the answer. */
  readonly time: string;
  readonly position: string;
  readonly outcome: "equal" | "different" | "forgotten" | "unlogged";
  /** Of one that is different: both answers. */
  readonly text?: string;
  /** The answer that looked wrong; none of the sample. */
  readonly answer?: Answer;
  /** Of an answer of the counter: its value, and the revision that it was made from. */
  readonly value?: number;
  readonly revision?: number;
}

/** An edge and the file that it logs to. */
export interface LoggingEdge {
  readonly edge: Pick<Member, "name" | "stateDir">;
  readonly path: string;
}

/** Which answers say what the counter is, and how. */
interface Counter {
  readonly counterName: string;
  readonly valueOf: (addresses: readonly string[]) => number;
}

interface FollowedEdge extends LoggingEdge {
  /** Lines of its log by the ids of their messages, the oldest first. */
  readonly recent: Map<number, string>;
}

export class Replays {
  readonly replays: Replay[] = [];
  readonly #edges: readonly FollowedEdge[];
  readonly #counter: Counter;
  readonly #stop = new AbortController();
  readonly #loops: Promise<unknown>;
  /** Answers that were asked for. */
  readonly #asked = new Set<string>();

  constructor(edges: readonly LoggingEdge[], counter: Counter) {
    this.#edges = edges.map((edge) => ({ ...edge, recent: new Map() }));
    this.#counter = counter;
    this.#loops = Promise.all(this.#edges.map((edge) => this.#follow(edge)));
  }

  /** Ends when every edge was asked for the sample of what it has logged by now. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  /** Asks edges for answers that look wrong, each once. One that does not run is waited for. */
  async ask(answers: readonly Answer[]): Promise<void> {
    const fresh = answers.filter((answer) => !this.#asked.has(keyOf(answer)));
    for (const answer of fresh) this.#asked.add(keyOf(answer));
    const ofEdge = Map.groupBy(fresh, ({ edge }) => edge);
    await Promise.all(
      this.#edges.map((followed) => this.#askOne(followed, ofEdge.get(followed.edge.name) ?? [])),
    );
  }

  async #askOne({ edge, recent }: FollowedEdge, answers: readonly Answer[]): Promise<void> {
    const lines = answers.map(({ id }) => recent.get(id));
    /** What a moment yields it always yields. */
    const known = new Map<string, Replay>();
    for (const [index, answer] of answers.entries()) {
      const text = lines[index];
      if (text === undefined) {
        const time = new Date(performance.timeOrigin + answer.askedMs).toISOString();
        this.replays.push({ answer, edge: edge.name, time, position: "?", outcome: "unlogged" });
        continue;
      }
      const line: LoggedLine = JSON.parse(text);
      const key = `${positionOf(line)} ${line.answer.slice(MESSAGE_ID_CHARACTERS)}`;
      const replay = known.get(key) ?? (await this.#patiently(edge, text));
      known.set(key, replay);
      const given = hashOf(Buffer.from(line.answer, "hex"));
      this.replays.push(
        given === answer.hash
          ? { ...replay, answer, time: line.time }
          : { ...replay, answer, outcome: "different", text: `logged as ${line.answer}` },
      );
    }
  }

  async #patiently(edge: LoggingEdge["edge"], text: string): Promise<Replay> {
    for (const untilMs = performance.now() + PATIENCE_MS; ;) {
      const replay = await this.#replayOf(edge, text);
      if (replay !== undefined) return replay;
      if (performance.now() > untilMs) return { ...this.#about(edge, text), outcome: "forgotten" };
      await sleep(LOOK_MS);
    }
  }

  async #follow({ edge, path, recent }: FollowedEdge): Promise<void> {
    const log = new GrowingLog(path);
    let waiting: string[] = [];
    let count = 0;
    for (;;) {
      const isLast = this.#stop.signal.aborted;
      for (const line of await log.lines()) {
        remember(recent, line);
        if (count++ % SAMPLE === 0) waiting.push(line);
      }
      waiting = waiting.slice(-WAITING_MAX);
      for (let line = waiting[0]; line !== undefined; line = waiting[0]) {
        const replay = await this.#replayOf(edge, line);
        if (replay === undefined) break;
        this.replays.push(replay);
        waiting.shift();
      }
      if (isLast) break;
      await sleep(LOOK_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
    await log.close();
  }

  /** Undefined where the edge does not answer now. */
  async #replayOf(edge: LoggingEdge["edge"], line: string): Promise<Replay | undefined> {
    const { status, body } = await askControl(edge, {
      method: "POST",
      path: "/v1/replay",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ line }),
      timeoutMs: ANSWER_MS_MAX,
    });
    if (status === 0) return undefined;
    const about = this.#about(edge, line);
    if (status === 404) return { ...about, outcome: "forgotten" };
    if (status !== 200) throw new Error(`${edge.name} does not take a line of its log: ${body}`);
    const { equal, text }: { readonly equal: boolean; readonly text: string } = JSON.parse(body);
    return equal ? { ...about, outcome: "equal" } : { ...about, outcome: "different", text };
  }

  #about({ name: edge }: LoggingEdge["edge"], text: string): Omit<Replay, "outcome"> {
    const line: LoggedLine = JSON.parse(text);
    const { time, revision } = line;
    const { counterName, valueOf } = this.#counter;
    const value = valueOf(addressesIn(Buffer.from(line.answer, "hex")));
    const isCounter = line.name.replace(/\.$/, "") === counterName && value >= 0;
    const counted = isCounter ? { value, revision } : {};
    return { edge, time, position: positionOf(line), ...counted };
  }
}

/** The id of a message. */
export function idOf(message: Uint8Array): number {
  return ((message[0] ?? 0) << 8) | (message[1] ?? 0);
}

/** Tells messages from one another. */
export function hashOf(message: Uint8Array): number {
  return hash32(message, 0, message.length, 0);
}

interface LoggedLine {
  readonly time: string;
  readonly revision: number;
  readonly sequence: number;
  readonly name: string;
  readonly query: string;
  readonly answer: string;
}

function positionOf({ revision, sequence }: LoggedLine): string {
  return `${revision}:${sequence}`;
}

/** An answer among those of a run. */
export function keyOf({ edge, askedMs, id }: Answer): string {
  return `${edge} ${askedMs} ${id}`;
}

function remember(recent: Map<number, string>, line: string): void {
  const [, id = ""] = MESSAGE_ID.exec(line) ?? [];
  recent.delete(Number.parseInt(id, 16));
  recent.set(Number.parseInt(id, 16), line);
  const [oldest] = recent.keys();
  if (recent.size > RECENT_MAX && oldest !== undefined) recent.delete(oldest);
}

/** Whole lines of a file that grows, and that may not be there yet. */
class GrowingLog {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #rest = "";

  constructor(path: string) {
    this.#path = path;
  }

  async lines(): Promise<string[]> {
    this.#handle ??= await open(this.#path).catch(() => undefined);
    const bytes = Buffer.alloc(READ_BYTES);
    for (;;) {
      const bytesRead = (await this.#handle?.read(bytes))?.bytesRead ?? 0;
      if (bytesRead === 0) break;
      this.#rest += bytes.toString("latin1", 0, bytesRead);
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    // A process that is killed may leave half a line, and the next one goes on behind it.
    return lines.filter(isWhole);
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
