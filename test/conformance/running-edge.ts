// SPDX-License-Identifier: Apache-2.0

import {
  Edge,
  queryHandlerModule,
  SILENT_LOGGER,
  type HandlerData,
  type HandlerReport,
  type SnapshotMessage,
} from "@meridian/edge";
import { OverlayWriter } from "@meridian/snapshot";
import { loadModel, type TestModel } from "./test-server.ts";

/** The ordinary edge with the ordinary query path on a free loopback port, serving what a test gives it. */
export class RunningEdge {
  readonly #edge: Edge;
  readonly #serving = new Map<number, number>();
  #revision = 0;
  #changed: (() => void) | undefined;

  private constructor(data: HandlerData, workers: number) {
    this.#edge = new Edge({
      listen: ["127.0.0.1:0"],
      workers,
      transport: "auto",
      handlerModule: queryHandlerModule,
      handlerData: data,
      logger: SILENT_LOGGER,
      onMessage: (message) => this.#onReport(message),
    });
  }

  static async start(data: HandlerData = { kind: "query" }, workers = 1): Promise<RunningEdge> {
    const running = new RunningEdge(data, workers);
    await running.#edge.start();
    return running;
  }

  get address(): { readonly address: string; readonly port: number } {
    const [first] = this.#edge.addresses();
    if (first === undefined) throw new Error("The edge listens nowhere");
    return first;
  }

  /** Resolves when every worker serves the model. */
  async serve(model: TestModel): Promise<void> {
    const world = loadModel(model);
    const overlay = new OverlayWriter(world.initialSlots());
    this.#revision += 1;
    const message: SnapshotMessage = {
      kind: "snapshot",
      revision: this.#revision,
      world: world.share(),
      overlay: overlay.buffer,
      slotCount: overlay.slotCount,
    };
    this.#edge.post(message);
    while (!this.#isEverywhere()) {
      const change = Promise.withResolvers<void>();
      this.#changed = change.resolve;
      await change.promise;
    }
  }

  close(): Promise<void> {
    return this.#edge.close();
  }

  #isEverywhere(): boolean {
    const { handlerCount } = this.#edge;
    return (
      [...this.#serving.values()].filter((revision) => revision === this.#revision).length ===
      handlerCount
    );
  }

  #onReport(message: unknown): void {
    if (!isServing(message)) return;
    this.#serving.set(message.worker, message.revision);
    this.#changed?.();
  }
}

function isServing(message: unknown): message is Extract<HandlerReport, { kind: "serving" }> {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "serving"
  );
}
