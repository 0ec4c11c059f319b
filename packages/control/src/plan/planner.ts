// SPDX-License-Identifier: Apache-2.0

// Plans: what a change of documents, a drain or a switch would do, as things are now. Nothing is changed by one.

import {
  isStoreKind,
  parseStoreDocument,
  parseTarget,
  type TrafficProfileDocument,
} from "@meridian/model";
import type { VersionedLoad } from "../adopted-model.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { member } from "../documents/document-key.ts";
import { plainDocument } from "../documents/document-text.ts";
import type { Embedded } from "../embedded.ts";
import { RequestRefusal } from "../request-refusal.ts";
import { changeControls, type Objection } from "../routing/control-change.ts";
import type { RoutingControls } from "../routing/routing-controls.ts";
import { TERM_MS } from "../routing/hand-over-waits.ts";
import { rulesOf } from "../routing/routing-documents.ts";
import { shiftChanges, type ShiftEffect, type SwitchedOff } from "../shift-effects.ts";
import { shiftEffects } from "../shift-precedence.ts";
import { measuredProfile, measuredText } from "../traffic/weighed-profiles.ts";
import { filePlan, type FilePlan } from "./file-plan.ts";
import { plannedEffect, type NamedProfile, type PlannedEffect, type PlannedPair } from "./plan.ts";
import { startOf } from "../shift-request.ts";

const PARTS_MAX = 100;

/** What is to be planned besides documents. */
export interface PlanRequest {
  /** What the documents would bring; undefined where they change nothing that is compiled. */
  readonly trial: VersionedLoad | undefined;
  /** As they are applied, for a profile among them. */
  readonly documents: readonly unknown[];
  /** `NAMESPACE/NAME` of the profile; the only one there is where left out. */
  readonly profile: string | undefined;
  /** `TARGET` or `TARGET:PERCENT`, separated by commas. */
  readonly drain: string | undefined;
  /** When the drains would begin, RFC 3339; at once where left out. */
  readonly startsAt: string | undefined;
  /** `NAMESPACE/NAME` of routing controls, separated by commas. */
  readonly off: string | undefined;
}

/** TTLs that are lowered before a drain begins. Unix milliseconds, and seconds. */
export interface PlannedLowering {
  readonly target: string;
  readonly fromMs: number;
  readonly startsAtMs: number;
  /** The longest that answers of before may have. */
  readonly ttl: number;
  /** The least TTLs of their names. */
  readonly least: { readonly from: number; readonly to: number };
}

export interface PlanAnswer extends PlannedEffect {
  /** Of drains that begin later. */
  readonly lowerings: readonly PlannedLowering[];
  /** Safety rules that object to what is to be switched. */
  readonly objections: readonly Objection[];
  /** Panels with fenced hand-over of which something is to be switched: for how long what goes over may be answered by nobody. */
  readonly handovers: readonly { readonly panel: string; readonly upToMs: number }[];
}

export interface PlanFilesRequest extends Omit<PlanRequest, "trial" | "documents"> {
  /** They may leave much less than is served. */
  readonly allowShrink: boolean;
}

export interface PlannerParts {
  readonly embedded: Embedded;
  readonly documents: () => DocumentSet;
  readonly routing: Pick<RoutingControls, "views" | "off" | "fencedPanels">;
  readonly nowMs: () => number;
}

export class Planner {
  readonly #parts: PlannerParts;

  constructor(parts: PlannerParts) {
    this.#parts = parts;
  }

  /** Throws a RequestRefusal where the request is wrong, or something else is served by now. */
  async plan(request: PlanRequest): Promise<PlanAnswer> {
    const { embedded, routing, nowMs } = this.#parts;
    const drains = drainsOf(request.drain);
    const lowerings = this.#lowerings(drains, request.startsAt);
    const controls = listOf(request.off).map((name) =>
      name.includes("/") ? name : `default/${name}`,
    );
    const profile = await this.#profile(request);
    const before = this.#present();
    const candidate =
      request.trial === undefined ? before : await embedded.candidate(request.trial);
    if (candidate === undefined)
      throw new RequestRefusal(
        "DOCUMENT_CONFLICT",
        "Cannot plan: something else was published meanwhile; ask again",
      );
    const leadOf = (target: string): number => embedded.shiftReach(target)?.leadMs ?? 0;
    const effects = [...shiftEffects(embedded.shifts(), nowMs(), leadOf), ...drains];
    const off = [...routing.off(), ...this.#switched(controls)];
    const after = withEffects(candidate, effects, off);
    const effect = await plannedEffect(before, after, profile);
    const handovers = this.#handOvers(controls);
    return { ...effect, lowerings, objections: this.#objections(controls), handovers };
  }

  /** From when TTLs of what is drained are the least, where that begins later; as the names are that are served now. */
  #lowerings(drains: readonly ShiftEffect[], startsAt: string | undefined): PlannedLowering[] {
    const { embedded, nowMs } = this.#parts;
    const createdAtMs = nowMs();
    const startsAtMs = startOf(startsAt, createdAtMs);
    const wrong =
      startsAt !== undefined && drains.length === 0 ? "startsAt is for drains alone" : startsAtMs;
    if (typeof wrong === "string")
      throw new RequestRefusal("REQUEST_INVALID", `Cannot plan: ${wrong}`);
    if (typeof startsAtMs !== "number") return [];
    return drains.flatMap(({ target }) => {
      const { ttlMs = 0, leadMs = 0, least } = embedded.shiftReach(target) ?? {};
      if (leadMs === 0 || least === undefined) return [];
      const fromMs = Math.max(createdAtMs, startsAtMs - leadMs);
      return { target, fromMs, startsAtMs, ttl: ttlMs / 1000, least };
    });
  }

  #handOvers(controls: readonly string[]): PlanAnswer["handovers"] {
    return this.#parts.routing
      .fencedPanels()
      .filter(({ name, bindings }) => {
        const [namespace = ""] = name.split("/");
        return controls.some((each) =>
          [...bindings.bound].some((bound) => each === `${namespace}/${bound}`),
        );
      })
      .map(({ name }) => ({ panel: name, upToMs: TERM_MS }));
  }

  /** The same for other files in the place of those that are watched; `paths` has one in each line. */
  async planFiles(
    paths: string,
    { allowShrink, ...request }: PlanFilesRequest,
  ): Promise<PlanAnswer & Omit<FilePlan, "trial"> & { readonly revision: number }> {
    const { trial, ...changes } = await filePlan(this.#parts.embedded, paths, allowShrink);
    const { revision } = this.#parts.documents();
    return { revision, ...changes, ...(await this.plan({ ...request, trial, documents: [] })) };
  }

  #present(): PlannedPair {
    const { embedded } = this.#parts;
    const { world, model } = embedded;
    if (world === undefined || model === undefined)
      throw new RequestRefusal("DOCUMENT_CONFLICT", "Cannot plan: nothing is served yet");
    return { world, model, slots: embedded.overlay.moment().slots.slice() };
  }

  async #profile({ documents, profile }: PlanRequest): Promise<NamedProfile | undefined> {
    const stored = [...this.#parts.documents().ofKind("TrafficProfile")].map(({ text }): unknown =>
      JSON.parse(text),
    );
    // One that is applied stands for the stored one of its name.
    const all = new Map<string, NamedProfile>();
    for (const raw of [...stored, ...documents]) {
      const found = profileOf(raw);
      if (found !== undefined) all.set(found.name, found);
    }
    const isMeasured = profile === "measured" && !all.has("default/measured");
    if (isMeasured || (profile === undefined && all.size === 0)) return this.#measured();
    if (profile === undefined) return all.size === 1 ? [...all.values()][0] : undefined;
    const name = profile.includes("/") ? profile : `default/${profile}`;
    const found = all.get(name);
    if (found === undefined)
      throw new RequestRefusal(
        "DOCUMENT_NOT_FOUND",
        `Cannot plan: there is no TrafficProfile/${name}, expected one of ${[...all.keys()].join(", ") || "none here"}`,
      );
    return found;
  }

  /** What edges have counted, where nothing is declared. */
  async #measured(): Promise<NamedProfile | undefined> {
    const found = await measuredProfile(this.#parts.embedded, this.#parts.nowMs());
    return found && { name: measuredText(found), spec: found.spec, isUnweighed: !found.isWeighed };
  }

  #switched(controls: readonly string[]): SwitchedOff[] {
    const views = this.#parts.routing.views();
    return controls.map((name) => {
      const view = views.find((each) => each.name === name);
      if (view === undefined)
        throw new RequestRefusal("DOCUMENT_NOT_FOUND", `There is no RoutingControl/${name}`);
      return { control: name, targets: view.targets };
    });
  }

  /** What the rules of each panel say, in the same step that would switch. */
  #objections(controls: readonly string[]): Objection[] {
    const { routing, documents, nowMs } = this.#parts;
    const views = routing.views().map((view) => {
      const [namespace = "", name = ""] = view.name.split("/");
      return { ...view, namespace, name, isMeant: controls.includes(view.name) };
    });
    const rules = rulesOf(documents());
    const panels = Map.groupBy(views, ({ namespace, panel }) => `${namespace}/${panel}`);
    return [...panels.values()].flatMap((members) => {
      const [{ namespace, panel } = { namespace: "", panel: "" }] = members;
      const meant = members.filter(({ isMeant }) => isMeant);
      const outcome = changeControls(
        new Map(members.map((each) => [each.name, each])),
        rules.filter(
          ({ metadata, spec }) => metadata.namespace === namespace && spec.panel === panel,
        ),
        {
          states: new Map(meant.map(({ name }) => [name, "Off"])),
          override: new Set(),
          actor: "",
          reason: "",
          nowMs: nowMs(),
        },
      );
      return "objections" in outcome ? outcome.objections : [];
    });
  }
}

/** The pair with what shifts and switches say of each endpoint. */
function withEffects(
  pair: PlannedPair,
  effects: readonly ShiftEffect[],
  off: readonly SwitchedOff[],
): PlannedPair {
  const slots = pair.slots.slice();
  const overlay = { read: (slot: number): number => slots[slot] ?? 0 };
  for (const { slot, mask, value } of shiftChanges(pair.model, pair.world, overlay, effects, off))
    slots[slot] = (((slots[slot] ?? 0) & ~mask) | value) >>> 0;
  return { ...pair, slots };
}

function profileOf(raw: unknown): NamedProfile | undefined {
  const kind = member(raw, "kind");
  if (kind !== "TrafficProfile" || !isStoreKind(kind)) return undefined;
  if (typeof raw !== "object" || raw === null) return undefined;
  const parsed = parseStoreDocument(kind, plainDocument(raw));
  if (!("document" in parsed) || parsed.document.kind !== "TrafficProfile") return undefined;
  const { metadata, spec }: TrafficProfileDocument = parsed.document;
  return { name: `${metadata.namespace}/${metadata.name}`, spec };
}

function drainsOf(text: string | undefined): ShiftEffect[] {
  return listOf(text).map((part) => {
    const [target = "", share = "100"] = part.split(":");
    const percent = Number(share);
    if (parseTarget(target) !== undefined && percent > 0 && percent <= 100)
      return { target, percent };
    throw new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot plan: drain is "${part}", expected site/NAME, pool/NAMESPACE/NAME or endpoint/NAMESPACE/POOL/NAME, with a share of 1 to 100 as in site/eu:50`,
    );
  });
}

function listOf(text: string | undefined): string[] {
  const parts = (text ?? "").split(",").filter((part) => part !== "");
  if (parts.length <= PARTS_MAX) return parts;
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot plan: ${parts.length} are named, expected at most ${PARTS_MAX}`,
  );
}
