// SPDX-License-Identifier: Apache-2.0

// Which routing controls are On: one state document a panel, changed by compare-and-set against everything that its rules look at.

import { randomUUID } from "node:crypto";
import { MeridianError } from "@meridian/core";
import { limits } from "@meridian/model";
import type { Caller } from "../access/caller.ts";
import { denied } from "../documents/change-plan.ts";
import { accessTargetOf } from "../documents/document-access.ts";
import type { Act } from "../approvals/act.ts";
import { formatKey, member } from "../documents/document-key.ts";
import type { ChangeGate } from "../documents/document-service.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { SwitchedOff } from "../shift-effects.ts";
import { storeWrites, type StateDocuments, type StateWrite } from "../state/state-documents.ts";
import {
  changeControls,
  unset,
  type ControlStanding,
  type ControlState,
  type Standings,
} from "./control-change.ts";
import {
  bindingsPrint,
  fencedChange,
  formatFence,
  isRunning,
  noFence,
  parseFence,
  settledChange,
  wantedStandings,
  type Bindings,
  type ControlFence,
} from "./control-fence.ts";
import type { HandOverWait } from "./hand-over-waits.ts";
import { controlsOf, panelsOf, rulesOf, type KnownControl } from "./routing-documents.ts";

/** Times a change is decided anew because another writer was first. */
const ATTEMPTS_MAX = 20;
const REASON_LENGTH_MAX = 1024;

/** A routing control as it is shown. */
export interface RoutingControlView extends ControlStanding {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly panel: string;
  readonly targets: readonly string[];
  /** Names of the rules that look at it or guard it. */
  readonly rules: readonly string[];
  /** Where its panel hands over fenced, and that is not done. */
  readonly handover?: HandOverView;
}

/** A hand-over that is under way, as it is shown with each control that it is about. */
export interface HandOverView {
  /** What the control is to be when it is done. */
  readonly wanted: ControlState;
  /** Unix milliseconds. */
  readonly startedAtMs: number;
  /** Who is waited for; empty where that is looked for. */
  readonly waitsFor: readonly HandOverWait[];
}

/** A panel with fenced hand-over. */
export interface FencedPanel {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly bindings: Bindings;
  readonly fence: ControlFence;
  /** Revision of the store that last changed what the panel remembers; 0 for none. */
  readonly fenceRevision: number;
}

/** A change as it is asked for. */
export interface SetRequest {
  readonly namespace: string;
  readonly states: ReadonlyMap<string, ControlState>;
  readonly override: readonly string[];
  readonly reason: string;
  /** As `ActOptions`. */
  readonly breakGlass?: boolean;
}

/** What a change comes to. */
export interface PreparedChange {
  /** Names of those that are another then. */
  readonly changed: readonly string[];
  /** What those that it names were. */
  readonly before: ReadonlyMap<string, ControlState>;
  /** To be committed while nothing else has changed. */
  readonly writes: readonly StateWrite[];
  /** The panel whose hand-over is under way then, as `NAMESPACE/NAME`. */
  readonly handsOver?: string;
}

export class RoutingControls {
  readonly #state: StateDocuments;
  readonly #nowMs: () => number;
  readonly #onSwitched: (text: string) => Promise<boolean>;
  readonly #gate: ChangeGate;
  #documents: DocumentSet | undefined;
  #off: readonly SwitchedOff[] = [];
  #fencedTargets: readonly string[] = [];
  #fencedPanels: readonly FencedPanel[] = [];
  /** Who is waited for, by panel. */
  #waits: ReadonlyMap<string, readonly HandOverWait[]> = new Map();
  /** What `onSwitched` was told of last. */
  #told = "[[],[]]";
  #switched: Promise<boolean> = Promise.resolve(true);

  /** `gate` is asked before each change. `onSwitched` is told when `off()` is another, in words; it resolves when answers follow, and with false where they do not. */
  constructor(
    state: StateDocuments,
    nowMs: () => number,
    onSwitched: (text: string) => Promise<boolean>,
    gate: ChangeGate = () => Promise.resolve([]),
  ) {
    this.#state = state;
    this.#nowMs = nowMs;
    this.#onSwitched = onSwitched;
    this.#gate = gate;
  }

  /** Controls that are Off and what they are bound to, as the store was last seen. */
  off(): readonly SwitchedOff[] {
    this.#see();
    return this.#off;
  }

  /** What the controls of panels with fenced hand-over are bound to, On or Off. */
  fencedTargets(): readonly string[] {
    this.#see();
    return this.#fencedTargets;
  }

  /** Panels with fenced hand-over. */
  fencedPanels(): readonly FencedPanel[] {
    this.#see();
    return this.#fencedPanels;
  }

  /** Whether what a panel has Off is answered nowhere, and nothing of it waits to be On. */
  isSettled(panel: string): boolean {
    const found = this.fencedPanels().find(({ name }) => name === panel);
    return found === undefined || !isRunning(found.fence);
  }

  /** Who hand-overs wait for, by panel: what is shown. */
  setWaits(waits: ReadonlyMap<string, readonly HandOverWait[]>): void {
    this.#waits = waits;
  }

  #see(): void {
    const { documents } = this.#state;
    if (documents === this.#documents) return;
    this.#documents = documents;
    const controls = controlsOf(documents);
    const panels = this.#readPanels(controls);
    this.#fencedPanels = panels;
    const names = new Set(panels.map(({ name }) => name));
    this.#fencedTargets = [
      ...new Set(
        controls.flatMap(({ document: { metadata, spec } }) =>
          names.has(`${metadata.namespace}/${spec.panel}`) ? spec.targets : [],
        ),
      ),
    ].toSorted();
    this.#off = controls.flatMap((control) => {
      const { metadata, spec } = control.document;
      const isPending = this.#fence(control)?.pending.has(metadata.name) === true;
      return this.#standing(control).state === "Off" && spec.targets.length > 0
        ? [
            {
              control: `${metadata.namespace}/${metadata.name}`,
              targets: spec.targets,
              ...(isPending ? { isPending } : {}),
            },
          ]
        : [];
    });
  }

  #readPanels(controls: readonly KnownControl[]): FencedPanel[] {
    return panelsOf(this.#state.documents)
      .filter(({ document }) => document.spec.handover === "fenced")
      .map((panel): FencedPanel => {
        const { namespace, name: inside } = panel.document.metadata;
        const name = `${namespace}/${inside}`;
        const members = controls
          .filter(({ document }) => document.metadata.namespace === namespace)
          .filter(({ document }) => document.spec.panel === inside)
          .map(({ document, uid }) => ({
            ...{ name: document.metadata.name, uid, targets: document.spec.targets },
          }));
        const stored = this.#state.get("ControlFence", name);
        const bound = members.filter(({ targets }) => targets.length > 0);
        return {
          name,
          bindings: {
            print: bindingsPrint(panel, members),
            bound: new Set(bound.map((each) => each.name)),
          },
          fence: parseFence(stored?.text),
          fenceRevision: stored?.revision ?? 0,
        };
      });
  }

  /** What the panel of a control remembers; undefined where its hand-over is not fenced. */
  #fence({ document }: KnownControl): ControlFence | undefined {
    const panel = `${document.metadata.namespace}/${document.spec.panel}`;
    return this.#fencedPanels.find(({ name }) => name === panel)?.fence;
  }

  /** To be called when the store may have changed. Resolves when answers follow; with false where they do not. */
  look(): Promise<boolean> {
    const now = JSON.stringify([this.off(), this.fencedTargets()]);
    if (now === this.#told) return this.#switched;
    this.#told = now;
    const names = this.#off.map(({ control }) => control);
    const text =
      names.length === 0
        ? "every routing control is On"
        : `routing controls Off: ${names.join(", ")}`;
    this.#switched = this.#onSwitched(text).then((isDone) => {
      // It is tried again.
      if (!isDone && this.#told === now) this.#told = "";
      return isDone;
    });
    return this.#switched;
  }

  /** All of them, by name. */
  views(): RoutingControlView[] {
    this.#see();
    const { documents } = this.#state;
    const rules = rulesOf(documents);
    return controlsOf(documents)
      .map((control) => {
        const { metadata, spec } = control.document;
        const { namespace, name } = metadata;
        return {
          ...this.#standing(control),
          ...{ name: `${namespace}/${name}`, panel: spec.panel, targets: spec.targets },
          ...this.#handOverOf(control),
          rules: rules
            .filter((rule) => rule.metadata.namespace === namespace)
            .filter(({ spec: { assertion, gating } }) =>
              [assertion?.controls, gating?.gates, gating?.targets].some((names) =>
                names?.includes(name),
              ),
            )
            .map((rule) => rule.metadata.name),
        };
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #handOverOf(control: KnownControl): { readonly handover?: HandOverView } {
    const { namespace, name } = control.document.metadata;
    const fence = this.#fence(control);
    const wanted = fence?.pending.get(name)?.state;
    if (fence === undefined || (wanted === undefined && !fence.settling.includes(name))) return {};
    const waitsFor = this.#waits.get(`${namespace}/${control.document.spec.panel}`) ?? [];
    const { startedAtMs } = fence;
    return { handover: { wanted: wanted ?? "Off", startedAtMs, waitsFor } };
  }

  /** Does a change as a whole, durable and followed here when it resolves, or throws with every rule that objects. Resolves with what has changed. */
  async set(request: SetRequest, caller: Caller): Promise<readonly string[]> {
    for (let attempt = 1; ; attempt++) {
      await this.#state.refresh();
      try {
        return await this.#change(request, caller);
      } catch (error) {
        const isLost = error instanceof MeridianError && error.code === "STORE_CONFLICT";
        if (!isLost || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  async #change(request: SetRequest, caller: Caller): Promise<readonly string[]> {
    const { documents, store } = this.#state;
    const { changed, writes } = this.prepare(request, caller);
    if (changed.length === 0) return [];
    const approved = await this.#gate(controlAct(request, controlsOf(documents)), caller, request);
    await store.commit({
      id: randomUUID(),
      writes: storeWrites([...writes, ...approved]),
      ifHead: documents.revision,
      cause: causeText(request, caller, changed),
    });
    await this.#state.refresh();
    await this.look();
    return changed.map((each) => `${request.namespace}/${each}`);
  }

  /**
   * What a change would write, decided by the documents as they were last seen: it holds as long as head is their revision. Throws with every rule
   * that objects.
   */
  prepare(request: SetRequest, caller: Caller): PreparedChange {
    const { documents } = this.#state;
    const { namespace, states, override, reason } = request;
    const controls = controlsOf(documents).filter(
      ({ document }) => document.metadata.namespace === namespace,
    );
    const panel = panelOf(request, controls);
    for (const { document } of controls)
      if (states.has(document.metadata.name)) refuseOther(document, caller);
    const members = controls.filter(({ document }) => document.spec.panel === panel);
    const rules = rulesOf(documents).filter(
      ({ metadata, spec }) => metadata.namespace === namespace && spec.panel === panel,
    );
    const unknown = override.find((name) => !rules.some(({ metadata }) => metadata.name === name));
    if (unknown !== undefined)
      throw refused(`override names "${unknown}", expected rules of panel ${namespace}/${panel}`);
    this.#see();
    const name = `${namespace}/${panel}`;
    const fenced = this.#fencedPanels.find((each) => each.name === name);
    const fence = fenced?.fence ?? noFence;
    const present: Standings = new Map(
      members.map((control) => [control.document.metadata.name, this.#standing(control)]),
    );
    // Rules are about what is wanted: that nobody answers meanwhile is what fencing is.
    const standings = wantedStandings(present, fence);
    const nowMs = this.#nowMs();
    const outcome = changeControls(standings, rules, {
      ...{ states, override: new Set(override), reason },
      ...{ actor: caller.subject, nowMs },
    });
    if ("objections" in outcome)
      throw new RequestRefusal(
        "SAFETY_RULE_OBJECTS",
        `Cannot set routing controls of ${namespace}/${panel}: ${outcome.objections
          .map(({ rule, why }) => `SafetyRule "${rule}" ${why}`)
          .join("; ")}`,
      );
    const { changed } = outcome;
    const before = new Map(
      [...states.keys()].map((each) => [each, (standings.get(each) ?? unset).state]),
    );
    if (changed.length === 0)
      return { changed, before, writes: [], ...(isRunning(fence) ? { handsOver: name } : {}) };
    if (fenced === undefined) {
      const text = statesText(members, outcome.standings);
      return { changed, before, writes: [{ kind: "ControlStates", name, text }] };
    }
    const next = fencedChange(present, fence, outcome.standings, fenced.bindings, nowMs);
    const writes = [
      { kind: "ControlStates", name, text: statesText(members, next.standings) },
      { kind: "ControlFence", name, text: formatFence(next.fence) },
    ] as const;
    const isOn = isRunning(next.fence);
    return { changed, before, writes, ...(isOn ? { handsOver: name } : {}) };
  }

  /** What writes that the hand-over of a panel is over; by the documents as they were last seen. */
  settledWrites(panel: FencedPanel): readonly StateWrite[] {
    const { name, bindings, fence } = panel;
    const members = controlsOf(this.#state.documents).filter(
      ({ document: { metadata, spec } }) => `${metadata.namespace}/${spec.panel}` === name,
    );
    const present: Standings = new Map(
      members.map((control) => [control.document.metadata.name, this.#standing(control)]),
    );
    const next = settledChange(present, fence, bindings.print);
    const states = this.#state.get("ControlStates", name);
    const text = formatFence(next.fence);
    const write = { kind: "ControlFence", name, text, ifRevision: panel.fenceRevision } as const;
    if (fence.pending.size === 0) return [write];
    const stated = statesText(members, next.standings);
    const ifRevision = states?.revision ?? 0;
    return [write, { kind: "ControlStates", name, text: stated, ifRevision }];
  }

  #standing({ document, uid }: KnownControl): ControlStanding {
    const { namespace, name } = document.metadata;
    const stored = this.#state.get("ControlStates", `${namespace}/${document.spec.panel}`);
    const raw: unknown = stored === undefined ? undefined : JSON.parse(stored.text);
    const entry = member(raw, name);
    if (member(entry, "uid") !== uid) return unset;
    const state = member(entry, "state") === "Off" ? "Off" : "On";
    return {
      state,
      changedAtMs: Number(member(entry, "changedAtMs")),
      actor: String(member(entry, "actor")),
      reason: String(member(entry, "reason")),
    };
  }
}

function controlAct(
  { namespace, states, override }: SetRequest,
  controls: readonly KnownControl[],
): Act {
  const named = controls.filter(({ document }) => states.has(document.metadata.name));
  return {
    verb: "set",
    targets: named.map(({ document }) => {
      const key = { kind: "RoutingControl", namespace, name: document.metadata.name };
      return { ...accessTargetOf(key, document), verbs: ["set"], name: formatKey(key) };
    }),
    content: { namespace, states: Object.fromEntries(states), override },
    changes: [{ states: Object.fromEntries(states), override }],
  };
}

function refuseOther(document: KnownControl["document"], caller: Caller): void {
  const { namespace, name } = document.metadata;
  const key = { kind: "RoutingControl", namespace, name };
  if (!caller.may("set", accessTargetOf(key, document))) throw denied(caller, "set", key);
}

/** The one panel that all controls named are of. */
function panelOf({ namespace, states }: SetRequest, controls: readonly KnownControl[]): string {
  if (states.size === 0 || states.size > limits.controlsMax)
    throw refused(`${states.size} are named, expected 1 to ${limits.controlsMax}`);
  const panels = new Set(
    [...states.keys()].map((name) => {
      const found = controls.find(({ document }) => document.metadata.name === name);
      if (found === undefined)
        throw new RequestRefusal(
          "DOCUMENT_NOT_FOUND",
          `There is no RoutingControl/${namespace}/${name}`,
        );
      return found.document.spec.panel;
    }),
  );
  const [panel = "", other] = panels;
  if (other !== undefined)
    throw refused(`they are of panels ${panel} and ${other}, expected controls of one panel`);
  return panel;
}

function statesText(members: readonly KnownControl[], standings: Standings): string {
  const entries = members.flatMap(({ document, uid }) => {
    const { name } = document.metadata;
    const standing = standings.get(name);
    return standing === undefined || standing.changedAtMs === 0
      ? []
      : [[name, { ...standing, uid }] as const];
  });
  return JSON.stringify(Object.fromEntries(entries));
}

function causeText(
  { states, override, reason, breakGlass }: SetRequest,
  { subject, token, address }: Caller,
  changed: readonly string[],
): string {
  return JSON.stringify({
    verb: "set",
    who: {
      subject,
      ...(token === undefined ? {} : { token }),
      ...(address === "" ? {} : { address }),
    },
    reason,
    controls: Object.fromEntries(changed.map((name) => [name, states.get(name)])),
    ...(override.length === 0 ? {} : { override }),
    ...(breakGlass === true ? { breakGlass } : {}),
  });
}

function refused(what: string): RequestRefusal {
  return new RequestRefusal("REQUEST_INVALID", `Cannot set routing controls: ${what}`);
}

/** Reads the body of a request; throws what is wrong with it. */
export function parseSetRequest(body: unknown): SetRequest {
  const namespace = member(body, "namespace") ?? "default";
  const states = member(body, "states");
  const override = member(body, "override") ?? [];
  const reason = member(body, "reason");
  if (typeof namespace !== "string") throw refused("namespace is no text, expected a namespace");
  if (typeof states !== "object" || states === null || Array.isArray(states))
    throw refused('states is no object, expected as in {"NAME": "Off"}');
  const wanted = Object.entries(states).map(([name, state]: [string, unknown]) => {
    if (state === "On" || state === "Off") return [name, state] as const;
    throw refused(`state of ${name} is ${JSON.stringify(state)}, expected "On" or "Off"`);
  });
  if (!Array.isArray(override) || !override.every((each) => typeof each === "string"))
    throw refused("override is no list of names, expected names of safety rules");
  if (typeof reason !== "string" || reason.trim() === "" || reason.length > REASON_LENGTH_MAX)
    throw refused(`reason is missing, expected text of 1 to ${REASON_LENGTH_MAX} characters`);
  const breakGlass = member(body, "breakGlass") === true;
  return { namespace, states: new Map(wanted), override, reason, breakGlass };
}
