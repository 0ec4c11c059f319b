// SPDX-License-Identifier: Apache-2.0

// Probes, verdicts, latches, load and the overlay's one writer, in whichever thread it is made: what happens between a probe's answer
// and the published bank happens here, in one turn of the event loop, and everything that can wait is told afterwards.
//
//   VerdictCommand ─► take() ─► VerdictDriver ─┐
//   probes, timers ───────────► LatchDriver ───┴─► OverlayDriver ─► bank published ─► KeeperReport

import type { Clock, Random } from "@meridian/core";
import { World } from "@meridian/snapshot";
import type { Dialer } from "./dial/dialer.ts";
import { LatchDriver, type DeclaredLatch } from "./latch-driver.ts";
import { STATES_PER_TURN } from "./limits.ts";
import type { ChangeSet } from "./change-set.ts";
import { OverlayDriver, type Adoption } from "./overlay-driver.ts";
import { unpackTargets } from "./packed-plan.ts";
import type { IcmpAvailability } from "./probes/icmp/icmp-sender.ts";
import { VerdictDriver, type QuorumSettings } from "./verdict-driver.ts";
import type {
  SnapshotToJudge,
  VerdictAnswers,
  VerdictCommand,
  VerdictQuestion,
  KeeperReport,
} from "./verdict-messages.ts";

export interface VerdictKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Name of the place that probes. */
  readonly vantage: string;
  readonly icmp: IcmpAvailability;
  readonly dialer: Dialer;
  /** Other vantages report to it; alone where absent. */
  readonly quorum?: QuorumSettings;
  readonly report: (report: KeeperReport) => void;
  /** A change set can be read by workers; comes before it is reported. */
  readonly onPublished?: () => void;
}

/** Does what commands say, and reports. */
export class VerdictKeeper {
  readonly #options: VerdictKeeperOptions;
  readonly #overlay: OverlayDriver;
  readonly #latches: LatchDriver;
  readonly #verdicts: VerdictDriver;
  #world: World | undefined;
  #declared: ReadonlyMap<string, DeclaredLatch> = new Map();
  #adoptionId = 0;
  /** Changes that were asked for and wait for a bank. */
  #unpublished: number[] = [];

  constructor(options: VerdictKeeperOptions) {
    this.#options = options;
    const { clock, icmp, onPublished } = options;
    this.#overlay = new OverlayDriver({
      wallMs: () => clock.wallMs(),
      onChangeSet: (changeSet) => this.#changed(changeSet),
      onAdopted: (adoption) => this.#adopted(adoption),
      ...(onPublished === undefined ? {} : { onPublished }),
    });
    this.#latches = new LatchDriver(this.#overlay, () => clock.monotonicMs());
    this.#verdicts = new VerdictDriver({
      clock,
      random: options.random,
      vantage: options.vantage,
      overlay: this.#overlay,
      ...(icmp.available ? { icmpSender: icmp.sender } : {}),
      dialer: options.dialer,
      onTransitions: (batch) => options.report({ kind: "transitions", batch }),
      ...(options.quorum === undefined ? {} : { quorum: options.quorum }),
      // The runner tells what this changed in a microtask of its own, which comes first.
      onRoster: (roster) => queueMicrotask(() => options.report({ kind: "roster", roster })),
      onReport: (payload) => options.report({ kind: "own report", payload }),
    });
    void this.#verdicts.runner.whenFirstRound().then(() => options.report({ kind: "first round" }));
  }

  take(command: VerdictCommand): void {
    // Whatever is to be done is done to slots as they are judged.
    this.#verdicts.runner.tellWaiting();
    switch (command.kind) {
      case "question":
        this.#ask(command.id, command.question);
        return;
      case "plan":
        this.#verdicts.setPlan({
          ...command.change,
          changed: unpackTargets(command.change.changed),
        });
        return;
      case "latches":
        this.#declared = command.latches;
        if (this.#world !== undefined) this.#latches.adopt(this.#world, this.#declared);
        return;
      case "hear":
        this.#verdicts.hear(command.from, command.payload);
        return;
      case "loads":
        this.#verdicts.read(command.loads);
        return;
      case "start":
        this.#verdicts.start();
        return;
    }
  }

  async close(): Promise<void> {
    this.#latches.close();
    this.#overlay.close();
    await this.#verdicts.close();
  }

  #ask(id: number, question: VerdictQuestion): void {
    switch (question.kind) {
      case "adopt":
        this.#adopt(id, question.snapshot);
        return;
      case "apply":
        this.#apply(id, question);
        return;
      case "push": {
        const { check, key, ...status } = question.status;
        const isJudged = this.#verdicts.runner.push(check, key, status);
        // The runner tells what changed in a microtask of its own, which comes first.
        queueMicrotask(() => this.#answer("push", id, isJudged));
        return;
      }
      case "failback":
        this.#answer("failback", id, this.#latches.failback(question.node));
        return;
      case "states":
        this.#tellStates(id, question.keys, 0);
        return;
      case "figures": {
        const { counters, targetCount } = this.#verdicts.runner;
        const vantages = this.#verdicts.vantages();
        this.#answer("figures", id, { counters, targetCount, vantages });
        return;
      }
      case "close":
        void this.close().then(() => this.#answer("close", id, true));
        return;
    }
  }

  #answer<Kind extends keyof VerdictAnswers>(
    _kind: Kind,
    id: number,
    value: VerdictAnswers[Kind],
  ): void {
    this.#options.report({ kind: "answer", id, value });
  }

  /** The answer leaves before the first change set of the new overlay. */
  #adopt(id: number, snapshot: SnapshotToJudge): void {
    const world = World.open(snapshot.world);
    this.#world = world;
    this.#adoptionId = id;
    this.#latches.pause();
    const { revision, resumed, lastSequence } = snapshot;
    if (resumed === undefined) this.#overlay.adopt(world, revision, undefined, lastSequence);
    else this.#overlay.resume(world, revision, resumed);
    this.#verdicts.adopt(world);
    this.#latches.adopt(world, this.#declared);
  }

  #adopted(adoption: Adoption): void {
    // What waited for a bank of the overlay before is in this one.
    this.#acknowledge();
    this.#answer("adopt", this.#adoptionId, { ...adoption, buffer: this.#overlay.buffer });
  }

  #apply(id: number, { revision, changes, cause }: VerdictQuestion & { kind: "apply" }): void {
    if (revision === this.#overlay.revision) {
      this.#unpublished.push(id);
      this.#overlay.apply(changes, cause);
      if (!this.#overlay.isWaiting) this.#acknowledge();
    } else {
      this.#answer("apply", id, true);
    }
  }

  #acknowledge(): void {
    const ids = this.#unpublished;
    this.#unpublished = [];
    for (const id of ids) this.#answer("apply", id, true);
  }

  #changed(changeSet: ChangeSet): void {
    this.#options.report({ kind: "changed", changeSet });
    if (!this.#overlay.isWaiting) this.#acknowledge();
    if (changeSet.cause.kind !== "latch") this.#latches.step();
  }

  /** A part a turn, so that a page of 10,000 states holds up no probe. */
  #tellStates(id: number, keys: readonly string[], start: number): void {
    const end = start + STATES_PER_TURN;
    const part = keys.slice(start, end).flatMap((key) => this.#verdicts.state(key) ?? []);
    this.#options.report({ kind: "states", id, part });
    if (end < keys.length) setImmediate(() => this.#tellStates(id, keys, end));
    else this.#answer("states", id, true);
  }
}
