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
import { controlsOf, rulesOf, type KnownControl } from "./routing-documents.ts";

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
}

export class RoutingControls {
  readonly #state: StateDocuments;
  readonly #nowMs: () => number;
  readonly #onSwitched: (text: string) => Promise<void>;
  readonly #gate: ChangeGate;
  #documents: DocumentSet | undefined;
  #off: readonly SwitchedOff[] = [];
  /** What `onSwitched` was told of last. */
  #told = "[]";
  #switched: Promise<void> = Promise.resolve();

  /** `gate` is asked before each change. `onSwitched` is told when `off()` is another, in words; it resolves when answers follow. */
  constructor(
    state: StateDocuments,
    nowMs: () => number,
    onSwitched: (text: string) => Promise<void>,
    gate: ChangeGate = () => Promise.resolve([]),
  ) {
    this.#state = state;
    this.#nowMs = nowMs;
    this.#onSwitched = onSwitched;
    this.#gate = gate;
  }

  /** Controls that are Off and what they are bound to, as the store was last seen. */
  off(): readonly SwitchedOff[] {
    const { documents } = this.#state;
    if (documents === this.#documents) return this.#off;
    this.#documents = documents;
    this.#off = controlsOf(documents).flatMap((control) => {
      const { metadata, spec } = control.document;
      return this.#standing(control).state === "Off" && spec.targets.length > 0
        ? [{ control: `${metadata.namespace}/${metadata.name}`, targets: spec.targets }]
        : [];
    });
    return this.#off;
  }

  /** To be called when the store may have changed. */
  look(): void {
    const now = JSON.stringify(this.off());
    if (now === this.#told) return;
    this.#told = now;
    const names = this.#off.map(({ control }) => control);
    this.#switched = this.#onSwitched(
      names.length === 0
        ? "every routing control is On"
        : `routing controls Off: ${names.join(", ")}`,
    );
  }

  /** All of them, by name. */
  views(): RoutingControlView[] {
    const { documents } = this.#state;
    const rules = rulesOf(documents);
    return controlsOf(documents)
      .map((control) => {
        const { metadata, spec } = control.document;
        const { namespace, name } = metadata;
        return {
          ...this.#standing(control),
          ...{ name: `${namespace}/${name}`, panel: spec.panel, targets: spec.targets },
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
    this.look();
    await this.#switched;
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
    const standings: Standings = new Map(
      members.map((control) => [control.document.metadata.name, this.#standing(control)]),
    );
    const outcome = changeControls(standings, rules, {
      ...{ states, override: new Set(override), reason },
      ...{ actor: caller.subject, nowMs: this.#nowMs() },
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
    const name = `${namespace}/${panel}`;
    const text = changed.length === 0 ? undefined : statesText(members, outcome.standings);
    const writes = text === undefined ? [] : [{ kind: "ControlStates", name, text } as const];
    return { changed, before, writes };
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
