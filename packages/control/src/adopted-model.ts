// SPDX-License-Identifier: Apache-2.0

// The model behind what is served, and what hangs on it: sections of resolved host names, what is probed, latches. A load of the files
// and a host name that resolves to something else each bring a revision; they take their turns.

import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { reasonOf, type Clock } from "@meridian/core";
import {
  secretsIn,
  withSecrets,
  type DeclaredLatch,
  type ProbePlan,
  type VerdictThread,
} from "@meridian/health";
import {
  SectionKind,
  isLater,
  makeManifest,
  type Manifest,
  type ManifestSection,
} from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import { capacityRules } from "./capacity-rules.ts";
import { withAddresses, type CompileProblem } from "./compile.ts";
import { compileAddresses, knownAddresses, type ResolvedMember } from "./compile-addresses.ts";
import type { CompilerProcess } from "./compiler-process.ts";
import { declaredLatches } from "./declared-latches.ts";
import type { EmbeddedOptions, LatchPosition, PublishMode } from "./embedded-options.ts";
import type { AcceptedLoad } from "./file-load.ts";
import { PoolLoads } from "./prometheus/pool-loads.ts";
import { HostResolver } from "./host-resolver.ts";
import type { HostAddresses } from "./host-state.ts";
import { ProbeSecrets, secretsAt } from "./secrets/probe-secrets.ts";
import { ProbeTargets, type ResolvedHosts } from "./probe-targets.ts";
import type { Pool } from "@meridian/model";
import {
  heldAfter,
  withChange,
  type HeldParts,
  type PartsChange,
  type ServedModel,
} from "./served-model.ts";
import type { LoadedSection, ServedSnapshot } from "./served-snapshot.ts";

/** How long after a change of what is probed it is written to the state folder: of 100,000 targets that takes the compiler half a second. */
const KEEP_PLAN_MS = 2000;

/** How long a load waits for other controls to agree on the one before: it takes two commits of the store. */
const AGREEMENT_MS_MAX = 500;
const NO_SECRETS: ReadonlyMap<string, string> = new Map();

/** What a model is adopted by. */
export interface AdoptedModelParts {
  readonly served: ServedSnapshot;
  readonly compiler: CompilerProcess;
  readonly verdicts: VerdictThread;
  /** The shifts that are running have to be brought into another overlay. */
  readonly onServed: () => void;
  /** What was to be adopted has to be compiled anew. */
  readonly onOvertaken: () => void;
}

/** A load, and what it was made for. */
export interface VersionedLoad extends AcceptedLoad {
  /** Of the stored documents, where several controls publish them. */
  readonly revision?: number | undefined;
  /** What was held of the model when it was asked for. */
  readonly base: HeldParts | undefined;
  /** As who changed the documents wishes. */
  readonly publish?: PublishMode | undefined;
}

/** A model with what hangs on it. */
interface Adoption {
  readonly model: ServedModel | undefined;
  readonly resolvedMembers: readonly ResolvedMember[];
  readonly zoneProblems: readonly CompileProblem[];
  readonly sections: readonly ManifestSection[];
}

export class AdoptedModel {
  model: ServedModel | undefined;
  /** What of the model's documents is here. */
  held: HeldParts | undefined;
  /** The newest revision of stored documents that was compiled. */
  newestOffered: Pick<Manifest, "epoch" | "revision"> = { epoch: 0, revision: 0 };
  readonly #options: EmbeddedOptions;
  readonly #hosts: HostResolver;
  readonly #parts: AdoptedModelParts;
  readonly #targets = new ProbeTargets();
  readonly #loads: PoolLoads;
  #latches: ReadonlyMap<string, DeclaredLatch> = new Map();
  /** The same as the verdict thread has them. */
  #judged: ReadonlyMap<string, DeclaredLatch> = new Map();
  #resolvedMembers: readonly ResolvedMember[] = [];
  #zoneProblems: readonly CompileProblem[] = [];
  /** What was adopted before, where edges find bad what is. */
  #before: Adoption | undefined;
  /** What edges found bad, as long as the documents say so. */
  #withdrawn:
    | {
        readonly revision: number;
        readonly reason: string;
        readonly sections: readonly ManifestSection[];
      }
    | undefined;
  /** Revisions come one after the other, as each is on disk before the next is made. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  /** What other controls have to agree on before it is served. */
  #agreeing: Promise<unknown> | undefined;
  readonly #firstServed: PromiseWithResolvers<void> = Promise.withResolvers();
  #hasRules = false;
  #keepTimer: NodeJS.Timeout | undefined;
  readonly #secrets: ProbeSecrets | undefined;
  /** The secrets of probes among others. */
  #probed:
    | {
        readonly of: ReadonlyMap<string, string>;
        readonly plan: ProbePlan | undefined;
        readonly values: ReadonlyMap<string, string>;
      }
    | undefined;
  /** Those of zones. */
  #zoneSecrets: ReadonlySet<string> = new Set();
  #plan: ProbePlan | undefined;
  #isClosed = false;

  constructor(options: EmbeddedOptions, clock: Clock, parts: AdoptedModelParts) {
    this.#options = options;
    this.#parts = parts;
    this.#secrets =
      options.secrets === undefined
        ? undefined
        : new ProbeSecrets(options.secrets, options.logger, () => this.#secretsChanged());
    this.#loads = new PoolLoads({
      secrets: secretsAt(options.secrets),
      onLoads: (loads) => parts.verdicts.read(loads),
      logger: options.logger,
    });
    this.#hosts = new HostResolver({
      clock,
      onChange: () => this.#hostsChanged(),
      ...(options.nameServers === undefined ? {} : { servers: options.nameServers }),
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#keepTimer);
    this.#hosts.close();
    this.#loads.close();
    this.#secrets?.close();
    this.#firstServed.resolve();
  }

  /** Resolves when something that was compiled is served, at once where something is; and when all is closed. */
  async whenServed(isServing: boolean): Promise<void> {
    if (!isServing) await this.#firstServed.promise;
  }

  /**
   * What is served otherwise than declared, and why: zones kept at their last good state, host names that cannot be resolved, loads that
   * cannot be read.
   */
  conditions(): readonly CompileProblem[] {
    const withdrawn = this.#withdrawn;
    const refused =
      withdrawn === undefined
        ? []
        : [
            {
              subject: "publication",
              message: `Revision ${withdrawn.revision} was taken back: ${withdrawn.reason}`,
            },
          ];
    return [
      ...refused,
      ...this.#zoneProblems,
      ...this.#hosts.conditions(),
      ...this.#loads.conditions(),
    ];
  }

  /** As `Embedded.loadProblem`. */
  loadProblem(pool: string): string | undefined {
    return this.#loads.problemOf(pool);
  }

  /** The latches that are declared, with what is recorded of them for all controls. */
  followLatches(): void {
    const { shared } = this.#options;
    const latches = new Map(
      [...this.#latches].map(([name, latch]) => [
        name,
        { ...latch, ...shared?.latch(name, latch.declared) },
      ]),
    );
    if (this.#isClosed || isDeepStrictEqual(latches, this.#judged)) return;
    this.#judged = latches;
    this.#parts.verdicts.setLatches(latches);
  }

  /** Where the latches that are declared are now. */
  latchPositions(): LatchPosition[] {
    return this.activeTiers().flatMap(({ name, tier }) => {
      const latch = this.#latches.get(name);
      return latch === undefined ? [] : [{ name, tier, declared: latch.declared }];
    });
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

  /** Serves what a load brought; false where that is what is served already. With other controls it is served when they agree, which is not waited for. */
  async adopt(accepted: VersionedLoad): Promise<boolean> {
    const { shared } = this.#options;
    if (shared === undefined) return this.#serve(accepted);
    const { revision = 0, serials } = accepted;
    const { served } = this.#parts;
    const epoch = served.nextEpoch;
    if (isLater({ epoch, revision }, this.newestOffered)) this.newestOffered = { epoch, revision };
    const sections = withAddresses<ManifestSection>(
      accepted.sections,
      this.#addresses(accepted.resolvedMembers),
    );
    const { hash } = makeManifest(revision, served.seed, sections, epoch);
    const agreeing = shared
      .agree({ epoch, revision, hash, serials })
      .then((isAgreed) => isAgreed && this.#serve(accepted))
      .catch((error: unknown) => this.#failed(error));
    // With serials that the store does not have, it is the next load that is agreed on.
    this.#agreeing = serials.length === 0 ? agreeing : undefined;
    return Promise.resolve(true);
  }

  /** Waits for other controls to agree, though not for long: a small change is compiled from what is served. */
  async whenAgreed(): Promise<void> {
    const pause = sleep(AGREEMENT_MS_MAX, undefined, { ref: false });
    if (this.#agreeing !== undefined) await Promise.race([this.#agreeing, pause]);
  }

  async #serve(accepted: VersionedLoad): Promise<boolean> {
    const { served } = this.#parts;
    const compiled = await served.read(accepted.sections);
    return this.#inTurn(async () => {
      const { world } = served;
      // Compiled against a model that is not held any more.
      if (accepted.parts.isRelative && accepted.base !== this.held) {
        this.#parts.onOvertaken();
        return false;
      }
      const members = accepted.resolvedMembers;
      this.#hosts.want(
        new Set(accepted.hostNames),
        world === undefined ? undefined : knownAddresses(members, world),
      );
      const sections = withAddresses(compiled, this.#addresses(members));
      const { publish, revision } = accepted;
      if (publish === undefined && isListed(sections, this.#withdrawn?.sections)) {
        this.#options.logger.error(
          { reason: this.#withdrawn?.reason },
          "The documents are still those that edges found bad: what was served before stays",
        );
        return false;
      }
      this.#withdrawn = undefined;
      const isSame =
        served.isSame(sections) &&
        (revision ?? served.revision) === served.revision &&
        served.nextEpoch === served.epoch;
      const adoption = this.#adoption(served.sections);
      if (!isSame) await served.replace(sections, "Compiled the files", { revision, publish });
      if (this.#isClosed) return false;
      if (!isSame) this.#before = adoption;
      this.#resolvedMembers = members;
      this.#zoneProblems = accepted.zoneProblems;
      for (const { subject, message } of accepted.zoneProblems)
        this.#options.logger.error({ subject }, message);
      const isAimed = this.#isAimed(accepted.parts);
      const before = this.model;
      this.held = heldAfter(this.held, accepted.parts);
      this.model = withChange(before, accepted.parts);
      const isSettled = !this.#mayLatch(before, accepted.parts) || !this.#latch(this.model);
      this.#firstServed.resolve();
      if (!isAimed || !isSettled) this.#retarget(this.model);
      this.#parts.onServed();
      return !isSame;
    });
  }

  /** As `Embedded.withdraw`. */
  withdraw(
    revision: number,
    reason: string,
    wanted: readonly ManifestSection[] | undefined,
  ): Promise<boolean> {
    return this.#inTurn(async () => {
      const { served } = this.#parts;
      const { sections: refused } = served;
      const before =
        wanted === undefined || isListed(wanted, this.#before?.sections)
          ? this.#before
          : adoptionOf(wanted);
      // Of several controls: the documents are rolled back, and that comes to all of them.
      if (this.#options.shared !== undefined) return served.revision === revision;
      if (before === undefined || served.revision !== revision || this.#isClosed) return false;
      const sections = await served.read(before.sections);
      await served.replace(sections, `Took revision ${revision} back: ${reason}`, {
        publish: "immediate",
      });
      if (this.#isClosed) return false;
      this.#before = undefined;
      this.#withdrawn = { revision, reason, sections: refused };
      this.#resolvedMembers = before.resolvedMembers;
      this.#zoneProblems = before.zoneProblems;
      // The compiler has gone on: it sends all of the model with what comes next.
      this.held = undefined;
      this.model = before.model;
      if (before.model !== undefined) {
        this.#latch(before.model);
        this.#retarget(before.model);
      }
      this.#parts.onServed();
      return true;
    });
  }

  #adoption(sections: readonly ManifestSection[]): Adoption {
    const { model } = this;
    const [resolvedMembers, zoneProblems] = [this.#resolvedMembers, this.#zoneProblems];
    return { model, resolvedMembers, zoneProblems, sections };
  }

  #addresses(members: readonly ResolvedMember[]): LoadedSection | undefined {
    const hosts = this.#options.shared?.hosts() ?? this.#hosts.addresses();
    const written = compileAddresses(members, hosts);
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
    this.#options.shared?.hostsChanged(this.#hosts.addresses());
    this.#inTurn(() => this.#followHosts()).catch((error: unknown) => this.#failed(error));
  }

  /** What this control resolves host names to; others may see something else. */
  get seenHosts(): ReadonlyMap<string, HostAddresses> {
    return this.#hosts.addresses();
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    const { revision } = this.#parts.served;
    this.#options.logger.error({ revision }, reasonOf(error));
  }

  /** Host names have other addresses: probes go to them, and a revision with that section alone changed is served. */
  async #followHosts(): Promise<void> {
    const { model } = this;
    const { served } = this.#parts;
    if (model === undefined || served.world === undefined || this.#isClosed) return;
    if (this.#options.shared !== undefined) {
      this.#retarget(model);
      return;
    }
    const addresses = this.#addresses(this.#resolvedMembers);
    const previous = served.sections.find(({ kind }) => kind === SectionKind.addresses);
    if (addresses?.name === previous?.name) {
      this.#retarget(model);
      return;
    }
    const sections = withAddresses<LoadedSection>(served.sections, addresses);
    await served.replace(sections, "Host names resolve to other addresses");
    if (this.#isClosed) return;
    this.#retarget(model);
    this.#parts.onServed();
  }

  /** Whether a change may be one of latches: to look through ten thousand policies for them takes 4 ms. */
  #mayLatch(
    before: ServedModel | undefined,
    { isRelative, parts: { policies } }: PartsChange,
  ): boolean {
    if (before === undefined || !isRelative) return true;
    const names = [...policies.removed, ...policies.set.map(([name]) => name)];
    const gone = names.flatMap((name) => {
      const policy = before.policies.get(name);
      return policy === undefined ? [] : [[name, policy] as const];
    });
    return [gone, policies.set].some(
      (some) => declaredLatches({ policies: new Map(some) }).size > 0,
    );
  }

  /** Takes the latches that the model declares; true where they are others. */
  #latch(model: ServedModel): boolean {
    const latches = declaredLatches(model);
    const isSame = isDeepStrictEqual(latches, this.#latches);
    this.#latches = latches;
    this.followLatches();
    return !isSame;
  }

  /** Whether what is probed is the same after a change of pools that nothing judges: of 100,000 targets a comparison takes 50 ms. */
  #isAimed({ print, parts: { pools, policies } }: PartsChange): boolean {
    const { model } = this;
    if (print !== undefined || model === undefined || !this.#targets.isSteady) return false;
    const isLoose = (pool: Pool | undefined): boolean => {
      const spec = pool?.document.spec;
      return spec?.healthCheck === undefined && spec?.load === undefined;
    };
    const looksAtLoad = policies.set.length + policies.removed.length > 0 && this.#hasRules;
    if (looksAtLoad) return false;
    const removed = pools.removed.every((name) => isLoose(model.pools.get(name)));
    return (
      removed && pools.set.every(([name, pool]) => isLoose(pool) && isLoose(model.pools.get(name)))
    );
  }

  #retarget(model: ServedModel): void {
    const hosts = this.#hosts.probeAddresses();
    const targets = this.#targets.of(model, hosts);
    const plan = { targets, rules: [...capacityRules(model)], latches: [...this.#latches] };
    this.#hasRules = plan.rules.length > 0;
    this.#plan = plan;
    this.#wantSecrets();
    this.#aim();
    if (this.#options.probing && !this.#isClosed) this.#loads.follow(model.pools);
    clearTimeout(this.#keepTimer);
    // The first at once; of changes that follow each other the last one.
    const pauseMs = this.#keepTimer === undefined ? 0 : KEEP_PLAN_MS;
    this.#keepTimer = setTimeout(() => this.#keepPlanNow(plan, hosts), pauseMs);
    this.#keepTimer.unref();
  }

  /** What is served now names these secrets. */
  needSecrets(names: ReadonlySet<string>): void {
    const isSame = names.size === this.#zoneSecrets.size && names.isSubsetOf(this.#zoneSecrets);
    // Most revisions name none, and what edges are sent of one leaves after this: to look through 100,000 targets takes 8 ms.
    if (isSame) return;
    this.#zoneSecrets = names;
    this.#wantSecrets();
  }

  #wantSecrets(): void {
    const probed = this.#plan === undefined ? new Set<string>() : secretsIn(this.#plan);
    this.#secrets?.want(probed.union(this.#zoneSecrets));
  }

  #secretsChanged(): void {
    this.#aim();
    this.#options.onSecrets?.(this.secrets);
  }

  /** What is probed, with secrets that it needs; what is kept on disk has none. */
  #aim(): void {
    const plan = this.#plan;
    if (plan === undefined || this.#isClosed) return;
    this.#parts.verdicts.setPlan(withSecrets(plan, this.secrets));
  }

  /** By reference, those that checks and zones name and that are here. */
  get secrets(): ReadonlyMap<string, string> {
    return this.#secrets?.values ?? NO_SECRETS;
  }

  /** Those of them that checks name. The same map for as long as it is of the same secrets and the same plan. */
  get probeSecrets(): ReadonlyMap<string, string> {
    const { secrets } = this;
    const plan = this.#plan;
    if (this.#probed?.of !== secrets || this.#probed.plan !== plan) {
      const named = plan === undefined ? new Set<string>() : secretsIn(plan);
      const values = new Map([...secrets].filter(([reference]) => named.has(reference)));
      this.#probed = { of: secrets, plan, values };
    }
    return this.#probed.values;
  }

  #keepPlanNow(plan: ProbePlan, hosts: ResolvedHosts): void {
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

/** Of a process before this one, or of some changes ago: its model comes with the documents. */
function adoptionOf(sections: readonly ManifestSection[]): Adoption {
  return { model: undefined, resolvedMembers: [], zoneProblems: [], sections };
}

function isListed(
  sections: readonly ManifestSection[],
  others: readonly ManifestSection[] | undefined,
): boolean {
  return (
    sections.length === others?.length &&
    sections.every(({ name }, index) => name === others[index]?.name)
  );
}
