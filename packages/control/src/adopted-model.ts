// SPDX-License-Identifier: Apache-2.0

// The model behind what is served, and what hangs on it: sections of resolved host names, what is probed, latches. A load of the files
// and a host name that resolves to something else each bring a revision; they take their turns.

import { reasonOf, type Clock } from "@meridian/core";
import type { DeclaredLatch, ProbePlan, VerdictThread } from "@meridian/health";
import { SectionKind } from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import { capacityRules } from "./capacity-rules.ts";
import { withAddresses, type CompileProblem } from "./compile.ts";
import { compileAddresses, knownAddresses, type ResolvedMember } from "./compile-addresses.ts";
import type { CompilerProcess } from "./compiler-process.ts";
import { declaredLatches } from "./declared-latches.ts";
import type { EmbeddedOptions } from "./embedded-options.ts";
import type { AcceptedLoad } from "./file-compiler.ts";
import { HostResolver } from "./host-resolver.ts";
import { ProbeTargets, type ResolvedHosts } from "./probe-targets.ts";
import { withChange, type ServedModel } from "./served-model.ts";
import type { LoadedSection, ServedSnapshot } from "./served-snapshot.ts";

/** What a model is adopted by. */
export interface AdoptedModelParts {
  readonly served: ServedSnapshot;
  readonly compiler: CompilerProcess;
  readonly verdicts: VerdictThread;
  /** The shifts that are running have to be brought into another overlay. */
  readonly onServed: () => void;
}

export class AdoptedModel {
  model: ServedModel | undefined;
  /** What of the model's documents is here (`PartsChange.print`). */
  held: Uint8Array | undefined;
  readonly #options: EmbeddedOptions;
  readonly #hosts: HostResolver;
  readonly #parts: AdoptedModelParts;
  readonly #targets = new ProbeTargets();
  #latches: ReadonlyMap<string, DeclaredLatch> = new Map();
  #resolvedMembers: readonly ResolvedMember[] = [];
  #zoneProblems: readonly CompileProblem[] = [];
  /** Revisions come one after the other, as each is on disk before the next is made. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: EmbeddedOptions, clock: Clock, parts: AdoptedModelParts) {
    this.#options = options;
    this.#parts = parts;
    this.#hosts = new HostResolver({
      clock,
      onChange: () => this.#hostsChanged(),
      ...(options.nameServers === undefined ? {} : { servers: options.nameServers }),
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#hosts.close();
  }

  /** What is served otherwise than declared, and why: zones kept at their last good state, host names that cannot be resolved. */
  conditions(): readonly CompileProblem[] {
    return [...this.#zoneProblems, ...this.#hosts.conditions()];
  }

  /** Active tier (from 1) of each failover node that holds a latch. */
  activeTiers(): { readonly name: string; readonly tier: number }[] {
    const { served } = this.#parts;
    const { world } = served;
    if (world === undefined) return [];
    const { overlay } = served;
    return world.failoverNodes().flatMap(({ node, slot }) => {
      const policy = world.policies.policyName(world.policies.policyOf(node));
      const name = `${policy}/${world.policies.nodeName(node)}`;
      if (!this.#latches.has(name)) return [];
      return [{ name, tier: Math.max(1, overlay.read(slot)) }];
    });
  }

  /** Serves what a load brought; false where that is what is served already. */
  async adopt(accepted: AcceptedLoad): Promise<boolean> {
    const { served } = this.#parts;
    const compiled = await served.read(accepted.sections);
    return this.#inTurn(async () => {
      const { world } = served;
      const members = accepted.resolvedMembers;
      this.#hosts.want(
        new Set(accepted.hostNames),
        world === undefined ? undefined : knownAddresses(members, world),
      );
      const sections = withAddresses(compiled, this.#addresses(members));
      const isSame = served.isSame(sections);
      if (!isSame) await served.replace(sections, "Compiled the files");
      if (this.#isClosed) return false;
      this.#resolvedMembers = members;
      this.#zoneProblems = accepted.zoneProblems;
      for (const { subject, message } of accepted.zoneProblems)
        this.#options.logger.error({ subject }, message);
      this.held = accepted.parts.print;
      this.model = withChange(this.model, accepted.parts);
      this.#follow(this.model);
      return !isSame;
    });
  }

  #addresses(members: readonly ResolvedMember[]): LoadedSection | undefined {
    const written = compileAddresses(members, this.#hosts.addresses());
    return written === undefined
      ? undefined
      : { ...manifestSection(written), buffer: written.buffer };
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  #hostsChanged(): void {
    this.#inTurn(() => this.#followHosts()).catch((error: unknown) => {
      if (this.#isClosed) return;
      const { revision } = this.#parts.served;
      this.#options.logger.error({ revision }, reasonOf(error));
    });
  }

  /** Host names have other addresses: probes go to them, and a revision with that section alone changed is served. */
  async #followHosts(): Promise<void> {
    const { model } = this;
    const { served } = this.#parts;
    if (model === undefined || served.world === undefined || this.#isClosed) return;
    const addresses = this.#addresses(this.#resolvedMembers);
    const previous = served.sections.find(({ kind }) => kind === SectionKind.addresses);
    if (addresses?.name === previous?.name) {
      this.#retarget(model);
      return;
    }
    const sections = withAddresses<LoadedSection>(served.sections, addresses);
    await served.replace(sections, "Host names resolve to other addresses");
    if (!this.#isClosed) this.#follow(model);
  }

  /** Brings what hangs on the served world in line with it. */
  #follow(model: ServedModel): void {
    this.#retarget(model);
    this.#parts.onServed();
    this.#latches = declaredLatches(model);
    this.#parts.verdicts.setLatches(this.#latches);
  }

  #retarget(model: ServedModel): void {
    const hosts = this.#hosts.probeAddresses();
    const targets = this.#targets.of(model, hosts);
    const plan = {
      targets,
      rules: [...capacityRules(model)],
      latches: [...declaredLatches(model)],
    };
    this.#parts.verdicts.setPlan(plan);
    this.#keepPlan(plan, hosts).catch((error: unknown) => {
      if (!this.#isClosed)
        this.#options.logger.error(
          { reason: reasonOf(error) },
          "Cannot keep what is probed in the state folder",
        );
    });
  }

  /** By the compiler where it is there: of 100,000 targets the text alone takes a third of a second. */
  async #keepPlan(plan: ProbePlan, hosts: ResolvedHosts): Promise<void> {
    const { persistence } = this.#options;
    const isKept =
      persistence.sectionFolder !== undefined && (await this.#parts.compiler.saveProbes(hosts));
    if (!isKept && !this.#isClosed) persistence.saveProbes(plan);
    if (!this.#isClosed) this.#options.onPlanKept?.();
  }
}
