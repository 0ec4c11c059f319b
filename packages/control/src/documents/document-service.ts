// SPDX-License-Identifier: Apache-2.0

// Changes of documents: planned against the store, tried against the files, committed, served. One change at a time; all of it or nothing.
//
//   documents ─► plan ─► compile with the files ─► commit to the store (durable) ─► serve ─► acknowledge

import { setTimeout as sleep } from "node:timers/promises";
import { MeridianError } from "@meridian/core";
import { FIRST_EPOCH } from "@meridian/snapshot";
import { isKind, type InputFile, type TokenDocument } from "@meridian/model";
import { Caller, builtinRoles } from "../access/caller.ts";
import type { Act, ActOptions } from "../approvals/act.ts";
import { documentAct, tokenAct } from "../approvals/document-act.ts";
import type {
  ChangeSetRequest,
  DocumentKey,
  Head,
  ReadOptions,
  Store,
  StoredDocument,
  Write,
} from "../store/store.ts";
import {
  changeKindOf,
  DOCUMENTS_MAX,
  notFound,
  planApply,
  planDelete,
  refuseOther,
  type Plan,
} from "./change-plan.ts";
import {
  documentProblem,
  ownedByFile,
  ReferencedRefusal,
  refusalOf,
  refuseClaims,
  shrunk,
} from "./change-refusals.ts";
import { accessTargetOf } from "./document-access.ts";
import { causeOf, ownId, type Applied, type ChangeOptions } from "./document-change.ts";
import { formatKey } from "./document-key.ts";
import { DocumentSet, isContent } from "./document-set.ts";
import { storedText } from "./document-text.ts";
import { refuseUngranted } from "./grants.ts";
import { refuseRollouts } from "../rollouts/rollout-state.ts";
import { refuseRouting } from "../routing/routing-documents.ts";
import { refuseRecovery } from "../recovery/recovery-documents.ts";
import { refuseCells } from "../cells/wanted-cells.ts";
import type { FileDocument, Proposal, Publisher } from "./publisher.ts";
import { documentsAt, planRollback } from "./rollback-plan.ts";
import { storeWrites, type StateWrite } from "../state/state-documents.ts";
import type { ShrinkAllowance } from "./shrink-allowance.ts";
import { Tenancy } from "./tenants.ts";

/** Times a change is planned anew because another writer was first. */
const ATTEMPTS_MAX = 5;
/** Rounds in which a cascade finds referrers of referrers. */
const CASCADE_ROUNDS_MAX = 32;
const WARNINGS_MAX = 100;
/** Pause before a store that cannot be watched on is read again. */
const AGAIN_MS = 500;

/** What is to be committed with a change that may go ahead now, as `Approvals.admit()`. */
export type ChangeGate = (
  act: Act,
  caller: Caller,
  options: ActOptions,
) => Promise<readonly StateWrite[]>;

export class DocumentService {
  /** Of the store, when it was last read as a whole. */
  epoch: number = FIRST_EPOCH;
  readonly #open: () => Store;
  readonly #publisher: Publisher;
  readonly #tenancy = new Tenancy();
  readonly #allowance: ShrinkAllowance | undefined;
  readonly #onSeen: () => void;
  readonly #gate: ChangeGate;
  #set: DocumentSet = DocumentSet.empty;
  #last: Promise<unknown> = Promise.resolve();
  /** The revision of the store before the first change that not all edges have yet. */
  #unsettled: number | undefined;

  /**
   * `open` gives the store, which may be another one after a handover; `onSeen` is told when `documents` is another set; `gate` is asked before
   * each change.
   */
  constructor(
    open: () => Store,
    publisher: Publisher,
    allowance?: ShrinkAllowance,
    onSeen: () => void = () => undefined,
    gate: ChangeGate = () => Promise.resolve([]),
  ) {
    this.#open = open;
    this.#publisher = publisher;
    this.#allowance = allowance;
    this.#onSeen = onSeen;
    this.#gate = gate;
  }

  get store(): Store {
    return this.#open();
  }

  /** Looks at the store now, and sees what others have committed. */
  async refresh(): Promise<void> {
    this.#see(await this.#set.refreshed(this.store));
  }

  /**
   * Sees what others commit, as they do, until `signal` aborts; `onSeen` is told of each set. Where the store cannot be watched on, as it was restored or
   * compacted, `onLost` is told why, and all of it is read again.
   */
  async follow(
    signal: AbortSignal,
    onSeen: (set: DocumentSet) => void,
    onLost: (reason: unknown) => void,
  ): Promise<void> {
    let { store } = this;
    while (!signal.aborted) {
      try {
        for await (const changeSet of store.watch(this.#set.revision, signal)) {
          if (changeSet.revision === this.#set.revision + 1)
            this.#see(this.#set.after([changeSet]));
          onSeen(this.#set);
        }
      } catch (error) {
        if (signal.aborted) return;
        onLost(error);
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
        if (signal.aborted) return;
        store = this.store;
        await this.start({ stale: true });
        onSeen(this.#set);
      }
    }
  }

  /** Somebody else may have looked later meanwhile. */
  #see(set: DocumentSet): void {
    if (set.revision <= this.#set.revision) return;
    this.#set = set;
    this.#onSeen();
  }

  /** Reads the store. Rejects where it cannot be read. */
  async start(options: ReadOptions = {}): Promise<void> {
    const { epoch } = await this.store.head({ stale: true });
    this.#set = await DocumentSet.load(this.store, options);
    this.epoch = epoch;
  }

  /** What the compiler reads beside the files. */
  get compilerFiles(): readonly InputFile[] {
    return this.#set.compilerFiles().files;
  }

  /** What the store held when it was last looked at. */
  get documents(): DocumentSet {
    return this.#set;
  }

  /** Writes whole documents. Throws a RequestRefusal with everything that is wrong. */
  apply(documents: readonly unknown[], options: ChangeOptions): Promise<Applied> {
    const { caller, owner = "api", isDiff = false } = options;
    const verb = isDiff ? "diff" : "apply";
    return this.#inTurn("apply", options, (set) =>
      planApply(documents, set, { caller, owner, verb }),
    );
  }

  /**
   * Writes state of Meridian's own that is compiled, as documents are: tried first, and committed where it can be served. Throws a
   * RequestRefusal where it cannot be.
   */
  applyState(
    writes: readonly StateWrite[],
    verb: string,
    lease: ChangeSetRequest["lease"],
  ): Promise<Applied> {
    const caller = new Caller("control", undefined, "", builtinRoles["admin"] ?? []);
    const plan = { changes: [], writes: storeWrites(writes), lease };
    return this.#inTurn(verb, { caller, isOwn: true }, () => plan);
  }

  /** Deletes documents; what names them is deleted too with `isCascade`, and keeps them from it otherwise. */
  async delete(
    keys: readonly DocumentKey[],
    options: ChangeOptions & { readonly isCascade?: boolean; readonly resourceVersion?: string },
  ): Promise<Applied> {
    const { caller, owner = "api", resourceVersion } = options;
    await this.#refuseFiles(keys, caller);
    let all = keys;
    for (let round = 0; ; round++) {
      try {
        return await this.#inTurn("delete", options, (set) => {
          const [key] = keys;
          if (key !== undefined) refuseOther(key, set, resourceVersion);
          return planDelete(all, set, caller, owner);
        });
      } catch (error) {
        const found = error instanceof ReferencedRefusal ? error.stored : [];
        const more = found.filter((key) => !all.some((each) => isSameKey(each, key)));
        const isBounded = round < CASCADE_ROUNDS_MAX && all.length + more.length <= DOCUMENTS_MAX;
        if (options.isCascade !== true || more.length === 0 || !isBounded) throw error;
        all = all.concat(more);
      }
    }
  }

  /** A change that is worked out when its turn comes, from what the store holds then; again where another writer was first. */
  changeBy(
    verb: string,
    options: ChangeOptions,
    plan: (set: DocumentSet) => Promise<Plan>,
  ): Promise<Applied> {
    return this.#inTurn(verb, options, plan);
  }

  /** Writes a token that was just made, to last for `lengthMs`. */
  writeToken(document: TokenDocument, lengthMs: number, options: ChangeOptions): Promise<Applied> {
    const { name } = document.metadata;
    const key = { kind: document.kind, namespace: "", name };
    const text = storedText(document, { owner: "api", uid: name, generation: 1 });
    return this.#inTurn("token", options, () => ({
      changes: [{ key, change: "created" }],
      writes: [{ key, text, ifRevision: 0 }],
      act: tokenAct(document, lengthMs),
    }));
  }

  /** Deletes a token. */
  revokeToken(key: DocumentKey, options: ChangeOptions): Promise<Applied> {
    return this.#inTurn("token", options, (set) => {
      const before = set.get(key);
      if (before === undefined) throw notFound(key);
      const write = { key, text: undefined, ifRevision: before.revision };
      return { changes: [{ key, change: "deleted" }], writes: [write] };
    });
  }

  /** Makes the documents what they were at a revision, as a new one. Roles and tokens stay as they are. */
  async rollback(revision: number, options: ChangeOptions): Promise<Applied> {
    const { caller } = options;
    const then = await documentsAt(this.store, revision);
    return this.#inTurn("rollback", options, (set) => planRollback(then, set, caller));
  }

  /** Whether a process before this one has committed a change that may leave much less, and ended before that was served. */
  async isShrinkingMeant(): Promise<boolean> {
    const id = this.#allowance?.id;
    if (id === undefined) return false;
    const [committed] = await this.store.history({ id, stale: true });
    if (committed === undefined) this.#allowance?.clear();
    return committed !== undefined;
  }

  /** What `isShrinkingMeant` told of is served. */
  shrunk(): void {
    this.#allowance?.clear();
  }

  /** What was changed goes to all edges: nothing of it is undone any more. */
  settled(): void {
    this.#unsettled = undefined;
  }

  /** The revision of the store before the first change that not all edges have; undefined where files alone have changed. */
  get unsettled(): number | undefined {
    return this.#unsettled;
  }

  /** A process before this one has changed documents since `revision`, and not all edges have it. */
  resumeUnsettled(revision: number): void {
    if (this.#set.contentRevision > revision) this.#unsettled ??= revision;
  }

  /** Makes the documents what they were at `before`, on behalf of control itself, unless somebody has changed them since `seen`. */
  async undo(before: number, seen: number, reason: string): Promise<void> {
    const caller = new Caller("meridian", undefined, "", builtinRoles["admin"] ?? []);
    await this.refresh();
    if (this.#set.contentRevision > seen) return;
    await this.rollback(before, {
      ...{ caller, reason, publish: "immediate", allowShrink: true, isOwn: true },
    });
  }

  /** A document of the store as it is now or was; of a file where the store has none. */
  async get(key: DocumentKey, revision?: number): Promise<StoredDocument | FileDocument> {
    const stored = await this.store.get(key, revision === undefined ? {} : { revision });
    if (stored !== undefined) return stored;
    const found = revision === undefined ? await this.#publisher.documentOfFile(key) : undefined;
    if (found === undefined) throw notFound(key);
    return found;
  }

  /** What a file holds is deleted there. */
  async #refuseFiles(keys: readonly DocumentKey[], caller: Caller): Promise<void> {
    for (const key of keys) {
      if (this.#set.get(key) !== undefined || !isKind(key.kind)) continue;
      const found = await this.#publisher.documentOfFile(key);
      // Who may not delete it is not told where it is, nor that it is.
      const mayKnow =
        found !== undefined && caller.may("delete", accessTargetOf(key, found.document));
      if (mayKnow) throw ownedByFile(key, found.file, found.line);
    }
  }

  async #inTurn(
    verb: string,
    options: ChangeOptions,
    plan: (set: DocumentSet) => Plan | Promise<Plan>,
  ): Promise<Applied> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    try {
      await before;
      return await this.#attempts(verb, options, plan);
    } finally {
      resolve();
    }
  }

  /** Another writer may be first: the change is planned anew, so that it never undoes what it has not seen. */
  async #attempts(
    verb: string,
    options: ChangeOptions,
    plan: (set: DocumentSet) => Plan | Promise<Plan>,
  ): Promise<Applied> {
    for (let attempt = 1; ; attempt++) {
      await this.refresh();
      const done = options.id === undefined ? undefined : await this.#doneBefore(ownId(options));
      if (done !== undefined) return done;
      try {
        return await this.#change(verb, options, await plan(this.#set));
      } catch (error) {
        const isLost = error instanceof MeridianError && error.code === "STORE_CONFLICT";
        if (!isLost || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** What a repeated request did when it came first. What others have written since then is not looked at, and stays. */
  async #doneBefore(id: string): Promise<Applied | undefined> {
    const [done] = await this.store.history({ id, stale: true });
    if (done === undefined) return undefined;
    const changes = done.writes.flatMap(({ key, text, before }) =>
      isKind(key.kind) ? [{ key, change: changeKindOf(text, before) }] : [],
    );
    return this.#applied({ writes: [], changes }, done.revision);
  }

  async #change(verb: string, options: ChangeOptions, plan: Plan): Promise<Applied> {
    const { isDryRun = false } = options;
    const set = this.#set;
    const unsettled = this.#unsettled;
    if (plan.writes.length === 0) return this.#applied(plan, set.revision, { dryRun: isDryRun });
    let committed = set.revision;
    const wanted = set.with(plan.writes, set.revision + 1);
    this.#tenancy.refuse(plan.writes, set, wanted);
    refuseUngranted(plan.writes, set, wanted);
    refuseCells(plan.writes, wanted);
    refuseRouting(plan.writes, set, wanted, options.caller);
    refuseRecovery(plan.writes, wanted, options.caller);
    refuseRollouts(plan.writes, set);
    const id = ownId(options);
    const candidate = wanted.compilerFiles();
    // A cluster that scales in takes endpoints away as it should.
    const allowShrink = options.allowShrink === true || isOperator(options);
    const commit = async (compiled: readonly Write[]): Promise<number> => {
      const state = [...compiled, ...(await this.#admitted(verb, options, plan, set))];
      if (allowShrink || candidate.files.length === 0) this.#allowance?.keep(id);
      const { revision } = await this.#commitAfter(verb, options, plan, { set, state, id });
      if (plan.writes.some(({ key }) => isKind(key.kind))) this.#unsettled ??= set.revision;
      const seen = revision === wanted.revision ? wanted : this.#set.with(plan.writes, revision);
      this.#see(state.length === 0 ? seen : seen.with(state, revision));
      committed = revision;
      return revision;
    };
    if (plan.writes.every(({ key }) => !isContent(key.kind))) {
      if (!isDryRun) await commit([]);
      return this.#applied(plan, committed, { dryRun: isDryRun });
    }
    const check = (proposal: Proposal): void => refuseClaims(proposal.claims, plan, options);
    const { newestRevision: served } = this.#publisher;
    const proposal = await this.#publisher.propose(
      candidate.files,
      isDryRun
        ? undefined
        : async (proposed) => {
            check(proposed);
            return commit(proposed.state);
          },
      { publish: options.publish, allowShrink },
    );
    this.#allowance?.clear();
    // It changed nothing that edges see.
    if (this.#publisher.newestRevision === served) this.#unsettled = unsettled;
    if (proposal.shrinking !== undefined) throw shrunk(proposal.shrinking);
    if (!proposal.isAccepted) throw refusalOf(proposal, candidate, plan, options.caller);
    check(proposal);
    if (proposal.trial !== undefined) options.onTrial?.(proposal.trial);
    const warnings = proposal.problems
      .map((problem) => documentProblem(problem, candidate))
      .filter(({ document }) => plan.writes.some(({ key }) => formatKey(key) === document));
    const said = { dryRun: isDryRun, warnings: warnings.slice(0, WARNINGS_MAX) };
    return this.#applied(plan, committed, said);
  }

  /** Throws where the change may not go ahead now. Asked last, so that nobody approves what cannot be done. */
  async #admitted(
    verb: string,
    options: ChangeOptions,
    plan: Plan,
    set: DocumentSet,
  ): Promise<readonly Write[]> {
    if (options.isOwn === true) return [];
    const act = plan.act ?? documentAct(verb, plan.writes, set);
    return storeWrites(await this.#gate(act, options.caller, options));
  }

  #applied(plan: Plan, revision: number, said: Partial<Applied> = {}): Applied {
    const changes = plan.changes.map(({ key, change }) => ({ ...key, change }));
    const { newestRevision: snapshot } = this.#publisher;
    return { revision, snapshot, dryRun: false, changes, warnings: [], ...said };
  }

  /** Where only what is no document has changed meanwhile, such as what was published, the plan is as good as before. */
  async #commitAfter(
    verb: string,
    options: ChangeOptions,
    plan: Plan,
    {
      set,
      state,
      id,
    }: { readonly set: DocumentSet; readonly state: readonly Write[]; readonly id: string },
  ): Promise<Head> {
    let seen = set;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#commit(
          verb,
          options,
          { ...plan, writes: [...plan.writes, ...state] },
          seen,
          id,
        );
      } catch (error) {
        const isLost = error instanceof MeridianError && error.code === "STORE_CONFLICT";
        if (!isLost || attempt >= ATTEMPTS_MAX) throw error;
        await this.refresh();
        const isUntouched =
          this.#set.contentRevision === set.contentRevision &&
          plan.writes.every(({ key }) => this.#set.get(key)?.revision === set.get(key)?.revision);
        if (!isUntouched || this.#set.revision === seen.revision) throw error;
        seen = this.#set;
      }
    }
  }

  #commit(
    verb: string,
    options: ChangeOptions,
    plan: Plan,
    set: DocumentSet,
    id: string,
  ): Promise<Head> {
    return this.store.commit({
      writes: plan.writes,
      ifHead: set.revision,
      cause: causeOf(verb, options, plan, set),
      id,
      lease: plan.lease,
    });
  }
}

function isOperator({ owner }: ChangeOptions): boolean {
  return owner?.startsWith("operator:") === true;
}

function isSameKey(a: DocumentKey, b: DocumentKey): boolean {
  return formatKey(a) === formatKey(b);
}
