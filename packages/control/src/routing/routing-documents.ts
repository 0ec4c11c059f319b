// SPDX-License-Identifier: Apache-2.0

// Control panels, routing controls and safety rules as the documents of a store say them.

import {
  limits,
  parseStoreDocument,
  parseTarget,
  type ControlPanelDocument,
  type RoutingControlDocument,
  type SafetyRuleDocument,
  type StoreDocument,
} from "@meridian/model";
import type { Caller } from "../access/caller.ts";
import { denied } from "../documents/change-plan.ts";
import { formatKey } from "../documents/document-key.ts";
import type { DocumentKey } from "../store/store.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument, serverMetadataOf } from "../documents/document-text.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Write } from "../store/store.ts";
import { areCompatible } from "./rule-conflicts.ts";
import { isRunning, parseFence } from "./control-fence.ts";

const routingKinds: ReadonlySet<string> = new Set(["ControlPanel", "RoutingControl", "SafetyRule"]);

/** A routing control, and which one: another of the same name that is made later is not the same. */
export interface KnownControl {
  readonly document: RoutingControlDocument;
  readonly uid: string;
}

/** Documents are values: each is looked into once. */
const parsed = new WeakMap<object, StoreDocument | undefined>();

type Stored = ReturnType<DocumentSet["ofKind"]> extends Iterable<infer Each> ? Each : never;

function documentOf(stored: Stored): StoreDocument | undefined {
  if (parsed.has(stored)) return parsed.get(stored);
  const { kind } = stored.key;
  const result =
    kind === "ControlPanel" || kind === "RoutingControl" || kind === "SafetyRule"
      ? parseStoreDocument(kind, plainDocument(JSON.parse(stored.text)))
      : { findings: [] };
  const document = "document" in result ? result.document : undefined;
  parsed.set(stored, document);
  return document;
}

/** Every routing control. */
export function controlsOf(set: DocumentSet): KnownControl[] {
  return [...set.ofKind("RoutingControl")].flatMap((stored) => {
    const document = documentOf(stored);
    return document?.kind === "RoutingControl"
      ? [{ document, uid: serverMetadataOf(stored.text).uid }]
      : [];
  });
}

/** A panel, and which one. */
export interface KnownPanel {
  readonly document: ControlPanelDocument;
  readonly uid: string;
  /** Of the store, at which it was last written. */
  readonly revision: number;
}

/** Every control panel. */
export function panelsOf(set: DocumentSet): KnownPanel[] {
  return [...set.ofKind("ControlPanel")].flatMap((stored) => {
    const document = documentOf(stored);
    return document?.kind === "ControlPanel"
      ? [{ document, uid: serverMetadataOf(stored.text).uid, revision: stored.revision }]
      : [];
  });
}

/** Every safety rule. */
export function rulesOf(set: DocumentSet): SafetyRuleDocument[] {
  return [...set.ofKind("SafetyRule")].flatMap((stored) => {
    const document = documentOf(stored);
    return document?.kind === "SafetyRule" ? [document] : [];
  });
}

/** Throws where what is written names what is not there, reaches what `caller` may not drain, or takes away what is named. */
export function refuseRouting(
  writes: readonly Write[],
  set: DocumentSet,
  wanted: DocumentSet,
  caller: Caller,
): void {
  const touched = writes.filter(({ key }) => routingKinds.has(key.kind));
  if (touched.length === 0) return;
  for (const { key } of touched) refuseRunning(key, set);
  const controls = controlsOf(wanted);
  for (const { document } of controls) refuseControl(document, set, wanted);
  for (const { document } of controls) refuseTargets(document, touched, caller);
  for (const rule of rulesOf(wanted)) refuseRule(rule, controls, wanted);
  refuseConflicts(rulesOf(wanted), touched);
  refuseFull(controls);
}

/** Assertions that cannot all be met would refuse every change, or none could be made but by overrides. */
function refuseConflicts(rules: readonly SafetyRuleDocument[], touched: readonly Write[]): void {
  const isWritten = ({ metadata: { namespace, name } }: SafetyRuleDocument): boolean =>
    touched.some(
      ({ key }) => key.kind === "SafetyRule" && key.namespace === namespace && key.name === name,
    );
  const panels = Map.groupBy(
    rules.filter(({ spec }) => spec.assertion !== undefined),
    ({ metadata, spec }) => `${metadata.namespace}/${spec.panel}`,
  );
  for (const [panel, members] of panels) {
    // Others' panels are as they are.
    if (!members.some(isWritten) || areCompatible(members.map(({ spec }) => spec))) continue;
    const names = members
      .map(({ metadata }) => `"${metadata.name}"`)
      .toSorted()
      .join(", ");
    throw new RequestRefusal(
      "DOCUMENT_CONFLICT",
      `Cannot apply SafetyRules: no states of the controls of ControlPanel/${panel} meet all of ${names}, expected rules that can hold together`,
    );
  }
}

/** What a hand-over is about stays as it is until that is done: what went away or was bound otherwise would be answered at once. */
function refuseRunning({ kind, namespace, name }: DocumentKey, set: DocumentSet): void {
  if (kind === "SafetyRule") return;
  const before = set.get({ kind, namespace, name });
  const known = before === undefined ? undefined : documentOf(before);
  const panel = known?.kind === "RoutingControl" ? known.spec.panel : name;
  if (known === undefined) return;
  const stored = set.get({ kind: "ControlFence", namespace: "", name: `${namespace}/${panel}` });
  if (stored === undefined || !isRunning(parseFence(stored.text))) return;
  throw new RequestRefusal(
    "DOCUMENT_CONFLICT",
    `Cannot change ${kind}/${namespace}/${name}: the hand-over of ControlPanel/${namespace}/${panel} is under way; meridian control get shows who it waits for`,
  );
}

function refuseControl(
  { metadata, spec }: RoutingControlDocument,
  set: DocumentSet,
  wanted: DocumentSet,
): void {
  const { namespace, name } = metadata;
  const panel = { kind: "ControlPanel", namespace, name: spec.panel };
  if (wanted.get(panel) === undefined)
    throw missing(`RoutingControl/${namespace}/${name}`, "spec.panel", formatKey(panel));
  const before = set.get({ kind: "RoutingControl", namespace, name });
  const known = before === undefined ? undefined : documentOf(before);
  if (known?.kind === "RoutingControl" && known.spec.panel !== spec.panel)
    throw new RequestRefusal(
      "DOCUMENT_CONFLICT",
      `Cannot apply RoutingControl/${namespace}/${name}: spec.panel is "${spec.panel}", expected "${known.spec.panel}" as before; delete it and make it anew`,
    );
}

/** Off, a control does what a shift does: who binds one has to be allowed that. */
function refuseTargets(
  { metadata, spec }: RoutingControlDocument,
  touched: readonly Write[],
  caller: Caller,
): void {
  const { namespace, name } = metadata;
  const isWritten = touched.some(
    ({ key }) => key.kind === "RoutingControl" && key.namespace === namespace && key.name === name,
  );
  if (!isWritten) return;
  for (const text of spec.targets) {
    const target = parseTarget(text);
    const about = target === undefined || target.kind === "site" ? "" : target.namespace;
    if (!caller.may("drain", { kind: "Shift", namespace: about }))
      throw denied(caller, `bind ${text} to`, { kind: "RoutingControl", namespace, name });
  }
}

function refuseRule(
  { metadata, spec }: SafetyRuleDocument,
  controls: readonly KnownControl[],
  wanted: DocumentSet,
): void {
  const { namespace, name } = metadata;
  const rule = `SafetyRule/${namespace}/${name}`;
  const panel = { kind: "ControlPanel", namespace, name: spec.panel };
  if (wanted.get(panel) === undefined) throw missing(rule, "spec.panel", formatKey(panel));
  const known = new Set(
    controls
      .filter(({ document }) => document.metadata.namespace === namespace)
      .filter(({ document }) => document.spec.panel === spec.panel)
      .map(({ document }) => document.metadata.name),
  );
  for (const [field, names] of [
    ["spec.assertion.controls", spec.assertion?.controls ?? []],
    ["spec.gating.gates", spec.gating?.gates ?? []],
    ["spec.gating.targets", spec.gating?.targets ?? []],
  ] as const) {
    const unknown = names.find((each) => !known.has(each));
    if (unknown !== undefined)
      throw missing(rule, field, `RoutingControl/${namespace}/${unknown} of panel ${spec.panel}`);
  }
}

function refuseFull(controls: readonly KnownControl[]): void {
  const panels = Map.groupBy(
    controls,
    ({ document: { metadata, spec } }) => `${metadata.namespace}/${spec.panel}`,
  );
  for (const [panel, members] of panels)
    if (members.length > limits.controlsMax)
      throw new RequestRefusal(
        "DOCUMENT_CONFLICT",
        `Cannot apply RoutingControls: ControlPanel/${panel} has ${members.length}, expected at most ${limits.controlsMax}`,
      );
}

function missing(document: string, field: string, wanted: string): RequestRefusal {
  return new RequestRefusal(
    "DOCUMENT_REFERENCED",
    `Cannot apply: ${field} of ${document} names what is not there, expected ${wanted}`,
  );
}
