// SPDX-License-Identifier: Apache-2.0

import {
  Edge,
  isTransferNotice,
  EdgeSigning,
  queryHandlerModule,
  SILENT_LOGGER,
  type EdgeMessage,
  type EdgeOptions,
  type EncryptedService,
  type HandlerData,
  type HandlerReport,
  type SecretsMessage,
  type SnapshotMessage,
} from "@meridian/edge";
import { OverlayWriter, type SigningMaterial } from "@meridian/snapshot";
import { loadModel, type TestModel } from "./test-server.ts";

/** The ordinary edge with the ordinary query path on a free loopback port, serving what a test gives it. */
export class RunningEdge {
  /** What was said of transfers. */
  readonly transfers: string[] = [];
  readonly #edge: Edge;
  readonly #serving = new Map<number, number>();
  readonly #signing = new EdgeSigning(SILENT_LOGGER);
  #revision = 0;
  #changed: (() => void) | undefined;

  private constructor(data: HandlerData, workers: number, more: Partial<EdgeOptions>) {
    this.#edge = new Edge({
      ...more,
      listen: ["127.0.0.1:0"],
      workers,
      transport: "auto",
      handlerModule: queryHandlerModule,
      handlerData: data,
      logger: SILENT_LOGGER,
      onMessage: (message) => this.#onReport(message),
    });
  }

  static async start(
    data: HandlerData = { kind: "query" },
    workers = 1,
    more: Partial<EdgeOptions> = {},
  ): Promise<RunningEdge> {
    const running = new RunningEdge(data, workers, more);
    await running.#edge.start();
    return running;
  }

  get address(): { readonly address: string; readonly port: number } {
    const [first] = this.#edge.addresses();
    if (first === undefined) throw new Error("The edge listens nowhere");
    return first;
  }

  /** Where an encrypted service is, in the order of the options. */
  encryptedPort(service: EncryptedService): number {
    const [first] = this.#edge.encryptedAddresses(service);
    if (first === undefined) throw new Error(`The edge does not listen for ${service}`);
    return first.port;
  }

  /** As `Edge.post`. */
  post(message: EdgeMessage): void {
    this.#edge.post(message);
  }

  /** Resolves when every worker serves the model, and signs it with what is given. */
  async serve(model: TestModel, materials: readonly SigningMaterial[] = []): Promise<void> {
    const world = loadModel(model);
    const overlay = new OverlayWriter(world.initialSlots());
    this.#revision += 1;
    this.#signing.take(materials);
    const orders = this.#signing.ordersOf(world);
    const message: SnapshotMessage = {
      kind: "snapshot",
      revision: this.#revision,
      world: world.share(),
      overlay: overlay.buffer,
      slotCount: overlay.slotCount,
      ...(orders === undefined ? {} : { orders }),
    };
    const signing = this.#signing.message(this.#revision, world);
    if (signing !== undefined) this.#edge.post(signing);
    this.#edge.post(message);
    this.#signing.follow(message);
    while (!this.#isEverywhere()) {
      const change = Promise.withResolvers<void>();
      this.#changed = change.resolve;
      await change.promise;
    }
  }

  /** Gives every worker the secrets of keys. */
  setSecrets(secrets: ReadonlyMap<string, string>): void {
    const message: SecretsMessage = { kind: "secrets", secrets };
    this.#edge.post(message);
  }

  async close(): Promise<void> {
    await this.#signing.close();
    await this.#edge.close();
  }

  #isEverywhere(): boolean {
    const { handlerCount } = this.#edge;
    return (
      [...this.#serving.values()].filter((revision) => revision === this.#revision).length ===
      handlerCount
    );
  }

  #onReport(message: unknown): void {
    if (isTransferNotice(message)) this.transfers.push(message.outcome);
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
