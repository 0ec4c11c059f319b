// SPDX-License-Identifier: Apache-2.0

// A whole Meridian in the test's process: control plane, edge with real sockets, state folder. What a test changes goes in through the
// ordinary doors (files, probes), except where it calls `toggle` to make change sets faster than any probe could.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DiskPersistence,
  Embedded,
  StateDir,
  type Logger,
  type Publication,
} from "@meridian/control";
import { decodeMessage, encodeMessage, makeQuery, parseName, type Message } from "@meridian/dns";
import {
  Edge,
  FixedCounter,
  QueryLogReader,
  SILENT_LOGGER,
  formatLogLine,
  queryHandlerModule,
  type HandlerData,
  type HandlerReport,
} from "@meridian/edge";
import type { Transition } from "@meridian/health";
import type { World } from "@meridian/snapshot";

export interface SystemOptions {
  /** Documents; `reload` writes others. */
  readonly documents: string;
  readonly workers?: number;
  readonly listen?: readonly string[];
  readonly probing?: boolean;
  /** Log every query, addresses cut as by default or whole. */
  readonly logs?: "cut" | "whole";
  /** A module that wraps the ordinary handler. */
  readonly handlerModule?: URL;
  readonly workerHeapMaxMb?: number;
  /** State of an earlier system that was closed with `keep`. */
  readonly folder?: string;
}

/** What the query log keeps of an address. */
const logPrivacy = {
  cut: { prefixIpv4: 24, prefixIpv6: 56 },
  whole: { prefixIpv4: 32, prefixIpv6: 128 },
} as const;
const LOG_RING_BYTES = 8 * 1024 * 1024;
const SERVING_MS_MAX = 60_000;

const silent: Logger = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface WorkerView {
  readonly counters: Uint32Array;
  readonly log: QueryLogReader | undefined;
  revision: number;
}

export class System {
  readonly embedded: Embedded;
  readonly edge: Edge;
  readonly persistence: DiskPersistence;
  readonly transitions: Transition[] = [];
  readonly folder: string;
  readonly #directory: StateDir;
  readonly #workers = new Map<number, WorkerView>();
  readonly #worlds = new Map<number, World>();
  readonly #refused: string[] = [];
  #published = 0;

  private constructor(options: SystemOptions) {
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "meridian-proof-"));
    mkdirSync(join(this.folder, "files"), { recursive: true });
    this.#write(options.documents);
    this.#directory = new StateDir(join(this.folder, "state"));
    this.#directory.lock();
    this.persistence = new DiskPersistence(this.#directory, silent, () => Date.now());
    const handlerData: HandlerData = {
      kind: "query",
      ...(options.logs === undefined
        ? {}
        : { log: { every: 1, ringBytes: LOG_RING_BYTES, ...logPrivacy[options.logs] } }),
    };
    this.edge = new Edge({
      listen: options.listen ?? ["127.0.0.1:0", "[::1]:0"],
      workers: options.workers ?? 3,
      transport: "auto",
      handlerModule: options.handlerModule ?? queryHandlerModule,
      handlerData,
      logger: SILENT_LOGGER,
      onMessage: (message) => this.#take(message),
      onWorkerExit: (worker) => this.embedded.forgetWorker(worker),
      ...(options.workerHeapMaxMb === undefined
        ? {}
        : { workerHeapMaxMb: options.workerHeapMaxMb }),
    });
    this.embedded = new Embedded({
      files: [join(this.folder, "files")],
      edge: { publish: (publication) => this.#publish(publication) },
      logger: silent,
      persistence: this.persistence,
      mapsFolder: join(this.folder, "state", "maps"),
      probing: options.probing ?? false,
      allowEmpty: false,
      vantage: "proof",
      onTransitions: (batch) => this.transitions.push(...batch),
    });
  }

  /** Resolves when every worker serves the first revision. */
  static async start(options: SystemOptions): Promise<System> {
    const system = new System(options);
    try {
      await Promise.all([system.edge.start(), system.embedded.start()]);
      await system.everywhere();
    } catch (error) {
      await system.close();
      throw error;
    }
    return system;
  }

  get world(): World {
    assert.ok(this.embedded.world !== undefined);
    return this.embedded.world;
  }

  /** Where the edge listens, by family. */
  port(family: 4 | 6): number {
    const address = this.edge.addresses().find((one) => one.family === family);
    assert.ok(address !== undefined, `the edge listens on IPv${family}`);
    return address.port;
  }

  /** Writes other documents and reads them at once. */
  async reload(documents: string): Promise<void> {
    this.#write(documents);
    const { problems, errors } = await this.embedded.reload();
    assert.deepEqual([...errors, ...problems.filter(({ severity }) => severity === "error")], []);
  }

  /** Publishes one change set of endpoint slots, all bits of each; resolves when it is published. */
  async toggle(
    changes: readonly { readonly slot: number; readonly value: number }[],
  ): Promise<void> {
    const whole = changes.map((change) => ({ ...change, mask: 0xffff_ffff }));
    await this.embedded.overlay.apply(whole, { kind: "health", text: "toggled by a test" });
  }

  /** Resolves when every worker serves what was published last. */
  async everywhere(): Promise<void> {
    const deadline = performance.now() + SERVING_MS_MAX;
    while (performance.now() < deadline) {
      assert.deepEqual(this.#refused, []);
      const serving = [...this.#workers.values()].filter(
        ({ revision }) => revision === this.#published,
      );
      if (serving.length === this.edge.handlerCount) return;
      await pause(2);
    }
    assert.fail(`Not every worker serves revision ${this.#published} after ${SERVING_MS_MAX} ms`);
  }

  /** Queries that each UDP worker has taken since it began. */
  queriesByWorker(): number[] {
    return Array.from(
      { length: this.edge.handlerCount - 1 },
      (_, index) => this.#workers.get(index)?.counters[FixedCounter.udpQueries] ?? 0,
    );
  }

  /** Log lines that workers wrote since the last call, with the worker that wrote each. */
  logLines(): { readonly worker: number; readonly line: string }[] {
    const lines: { worker: number; line: string }[] = [];
    for (const [worker, { log }] of this.#workers) {
      log?.drain((record) => {
        const world = this.#worlds.get(record.revision);
        assert.ok(world !== undefined, `revision ${record.revision} was published`);
        lines.push({
          worker,
          line: formatLogLine(record, {
            endpoint: (index) => world.endpointName(index),
            view: (index) => world.views?.names[index] ?? "",
          }),
        });
      });
      assert.equal(log?.dropped ?? 0, 0, "the log lost nothing");
    }
    return lines;
  }

  async close(keep = false): Promise<void> {
    await this.embedded.close();
    await this.edge.close();
    this.persistence.close();
    this.#directory.unlock();
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  #write(documents: string): void {
    writeFileSync(join(this.folder, "files", "proof.yaml"), documents);
  }

  #publish(publication: Publication): void {
    if (this.embedded.world !== undefined)
      this.#worlds.set(publication.revision, this.embedded.world);
    this.#published = publication.revision;
    this.edge.post({ kind: "snapshot", ...publication });
  }

  #take(message: unknown): void {
    if (!isReport(message)) return;
    if (message.kind === "buffers") {
      this.#workers.set(message.worker, {
        counters: new Uint32Array(message.counters),
        log: message.log === undefined ? undefined : new QueryLogReader(message.log),
        revision: 0,
      });
    } else if (message.kind === "serving") {
      const worker = this.#workers.get(message.worker);
      if (worker !== undefined) worker.revision = message.revision;
    } else if (message.kind === "refused") {
      this.#refused.push(message.error);
    }
  }
}

function isReport(message: unknown): message is HandlerReport {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    (message.kind === "buffers" || message.kind === "serving" || message.kind === "refused")
  );
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Resolves when `isSo` holds; fails after `msMax`. */
export async function until(isSo: () => boolean, msMax: number, what: string): Promise<void> {
  const deadline = performance.now() + msMax;
  while (!isSo()) {
    if (performance.now() > deadline) assert.fail(`${what}: not within ${msMax} ms`);
    await pause(2);
  }
}

export function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, `"${text}" is a name`);
  return name;
}

/** A query packet with id 0, which clients replace. */
export function query(
  name: string,
  type: number,
  options: Parameters<typeof makeQuery>[2] = {},
): Uint8Array {
  return encodeMessage(makeQuery(wire(name), type, { id: 0, ...options }));
}

export function decode(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message), JSON.stringify(message));
  return message;
}

/** Documents of one YAML stream. `specs` are "KIND NAME {spec as flow YAML}". */
export function documents(...specs: readonly string[]): string {
  return specs
    .map((text) => {
      const [, kind = "", name = "", spec = ""] = /^(\S+) (\S+) ([^]*)$/.exec(text) ?? [];
      return `apiVersion: meridian.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: ${JSON.stringify(name)} }\nspec: ${spec}\n`;
    })
    .join("---\n");
}
