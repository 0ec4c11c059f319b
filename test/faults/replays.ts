// SPDX-License-Identifier: Apache-2.0

// A sample of what edges answered, asked again: each edge logs one query in fifty with the revision and the sequence that it was answered from, and is
// then asked over its own socket what these yield. An answer is right if the very bytes come out.

import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { askControl, type Member } from "./cluster.ts";

const LOOK_MS = 1000;
const ANSWER_MS_MAX = 5000;
/** Lines of an edge that is dead or held wait for it; of more the oldest are not asked. */
const WAITING_MAX = 1000;
const READ_BYTES = 1 << 16;

/** A logged answer, and what came of asking for it again. `forgotten`: the edge was killed before that state was on its disk, or has it no more. */
export interface Replay {
  readonly edge: string;
  /** Wall time of the answer. */
  readonly time: string;
  readonly position: string;
  readonly outcome: "equal" | "different" | "forgotten";
  /** Of one that is different: both answers. */
  readonly text?: string;
}

/** An edge and the file that it logs to. */
export interface LoggingEdge {
  readonly member: Member;
  readonly path: string;
}

export class Replays {
  readonly replays: Replay[] = [];
  readonly #stop = new AbortController();
  readonly #loops: Promise<unknown>;

  constructor(edges: readonly LoggingEdge[]) {
    this.#loops = Promise.all(edges.map((edge) => this.#follow(edge)));
  }

  /** Ends when every edge was asked for what it has logged by now. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  async #follow({ member, path }: LoggingEdge): Promise<void> {
    const log = new GrowingLog(path);
    let waiting: string[] = [];
    for (;;) {
      const isLast = this.#stop.signal.aborted;
      waiting.push(...(await log.lines()));
      waiting = waiting.slice(-WAITING_MAX);
      for (let line = waiting[0]; line !== undefined; line = waiting[0]) {
        const replay = await replayOf(member, line);
        if (replay === undefined) break;
        this.replays.push(replay);
        waiting.shift();
      }
      if (isLast) break;
      await sleep(LOOK_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
    await log.close();
  }
}

/** Undefined where the edge does not answer now. */
async function replayOf(edge: Member, line: string): Promise<Replay | undefined> {
  const { status, body } = await askControl(edge, {
    method: "POST",
    path: "/v1/replay",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ line }),
    timeoutMs: ANSWER_MS_MAX,
  });
  if (status === 0) return undefined;
  const logged: LoggedLine = JSON.parse(line);
  const { time, revision, sequence } = logged;
  const about = { edge: edge.name, time, position: `${revision}:${sequence}` };
  if (status === 404) return { ...about, outcome: "forgotten" };
  if (status !== 200) throw new Error(`${edge.name} does not take a line of its log: ${body}`);
  const { equal, text }: { readonly equal: boolean; readonly text: string } = JSON.parse(body);
  return equal ? { ...about, outcome: "equal" } : { ...about, outcome: "different", text };
}

interface LoggedLine {
  readonly time: string;
  readonly revision: number;
  readonly sequence: number;
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
