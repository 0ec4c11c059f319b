// SPDX-License-Identifier: Apache-2.0

// A scenario and the documents that it is about, from files: one Scenario, beside it what files hold that are applied, and of the kinds that
// only the API takes, routing controls and safety rules. Everything that it names has to be there.

import { parseDuration } from "@meridian/core";
import {
  Model,
  eventKindOf,
  formatPath,
  hasErrors,
  isStoreKind,
  locateProblems,
  parseDocuments,
  parseScenario,
  parseStoreDocument,
  parseTarget,
  readRawDocuments,
  type InputFile,
  type Problem,
  type ReadFile,
  type RoutingControlDocument,
  type SafetyRuleDocument,
  type ScenarioDocument,
  type ScenarioEvent,
} from "@meridian/model";
import { member } from "../documents/document-key.ts";
import { resolversOf } from "./simulated-caches.ts";
import type { SimulatedDocuments } from "./simulate.ts";
import { fullName } from "./simulated-control.ts";
import { CONTROL } from "./troubles.ts";

/** Caches that are looked at one by one, at most. */
const CACHES_MAX = 2_000_000;

/** What came of files: a scenario that can be played where there is no error among the problems. */
export interface ReadScenario {
  readonly simulated?: SimulatedDocuments;
  readonly problems: readonly Problem[];
}

/** Reads files; exactly one Scenario has to be among their documents. `readFile` reads master files of zones. */
export function readScenario(files: readonly InputFile[], readFile?: ReadFile): ReadScenario {
  const read = readEach(files);
  const { documents, broken, problems: unread } = parseDocuments(files);
  const problems = [
    ...locateProblems(read.problems, files),
    ...unread.filter((problem) => !isReadHere(problem)),
  ];
  const built = Model.build(documents, {
    broken,
    ...(readFile === undefined ? {} : { readFile }),
  });
  problems.push(...locateProblems(built.problems, files));
  const [first, second] = read.scenarios;
  if (first === undefined || second !== undefined) {
    const found = second === undefined ? "no Scenario" : `${read.scenarios.length} Scenarios`;
    const { file, line } = second ?? { file: files[0]?.path ?? "", line: 1 };
    if (!hasErrors(problems))
      problems.push(problemAt(file, line, "", `Cannot simulate: there is ${found}, expected one`));
    return { problems };
  }
  const { model } = built;
  if (model === undefined || hasErrors(problems)) return { problems };
  const { scenario, file, line } = first;
  const simulated = { scenario, model, controls: read.controls, rules: read.rules };
  const flaws = flawsOf(simulated).map(({ path, message }) => problemAt(file, line, path, message));
  problems.push(...locateProblems(flaws, files));
  return hasErrors(problems) ? { problems } : { simulated, problems };
}

interface Found {
  readonly scenarios: {
    readonly scenario: ScenarioDocument;
    readonly file: string;
    readonly line: number;
  }[];
  readonly controls: RoutingControlDocument[];
  readonly rules: SafetyRuleDocument[];
  readonly problems: Problem[];
}

/** Scenarios and what else is no document of files. */
function readEach(files: readonly InputFile[]): Found {
  const found: Found = { scenarios: [], controls: [], rules: [], problems: [] };
  for (const file of files)
    for (const { raw, line } of readRawDocuments(file).documents) {
      const kind = member(raw, "kind");
      const at = { file: file.path, line };
      if (kind === "Scenario") {
        const parsed = parseScenario(raw);
        if ("document" in parsed) found.scenarios.push({ scenario: parsed.document, ...at });
        else found.problems.push(...located(parsed.findings, at));
      } else if (typeof kind === "string" && isStoreKind(kind)) {
        const parsed = parseStoreDocument(kind, raw);
        if ("findings" in parsed) found.problems.push(...located(parsed.findings, at));
        else if (parsed.document.kind === "RoutingControl") found.controls.push(parsed.document);
        else if (parsed.document.kind === "SafetyRule") found.rules.push(parsed.document);
      }
    }
  return found;
}

type Findings = Extract<ReturnType<typeof parseScenario>, { findings: unknown }>["findings"];

function located(
  findings: Findings,
  { file, line }: { readonly file: string; readonly line: number },
): Problem[] {
  return findings.map(({ path, message, code, found, wanted }) => ({
    severity: "error",
    code,
    file,
    line,
    column: 1,
    path: formatPath(path),
    message,
    ...(found === undefined ? {} : { found }),
    ...(wanted === undefined ? {} : { wanted }),
  }));
}

/** What the readers of applied files refuse and this one reads. */
function isReadHere({ code, found }: Problem): boolean {
  return code === "kind-refused" ? found !== '"Shift"' : found === '"Scenario"';
}

interface Flaw {
  readonly path: string;
  readonly message: string;
}

/** What a scenario names that is not there. */
function flawsOf({ scenario, model, controls }: SimulatedDocuments): Flaw[] {
  const { spec } = scenario;
  const flaws: Flaw[] = [];
  const wants = (isThere: boolean, path: string, found: string, wanted: string): void => {
    if (!isThere)
      flaws.push({ path, message: `Cannot simulate: ${path} is "${found}", expected ${wanted}` });
  };
  const edges = new Set(Object.keys(spec.edges));
  const isTarget = (target: string): boolean => targetExists(model, target);
  wants(!edges.has(CONTROL), "spec.edges", CONTROL, "another name: control probes by itself");
  for (const [name, { site }] of Object.entries(spec.edges))
    if (site !== undefined) wants(model.sites.has(site), `spec.edges.${name}.site`, site, "a Site");
  for (const [label, { name }] of Object.entries(spec.demand))
    wants(isRecord(model, name), `spec.demand.${label}.name`, name, "the name of a Record");
  for (const [name, { edge }] of Object.entries(spec.demand))
    if (edge !== undefined)
      wants(edges.has(edge), `spec.demand.${name}.edge`, edge, "a name of spec.edges");
  for (const [at, { target }] of spec.places.entries())
    wants(isTarget(target), `spec.places[${at}].target`, target, "a target that is there");
  for (const [at, event] of spec.events.entries()) {
    const isInTime = (parseDuration(event.at) ?? 0) < (parseDuration(spec.duration) ?? 0);
    wants(isInTime, `spec.events[${at}].at`, event.at, `less than the duration, ${spec.duration}`);
    const path = `spec.events[${at}].${eventKindOf(event)}`;
    for (const target of targetsOf(event))
      wants(isTarget(target), path, target, "a target that is there");
    for (const side of [event.partition?.between, event.partition?.and]) {
      for (const site of side?.sites ?? []) wants(model.sites.has(site), path, site, "a Site");
      for (const edge of side?.edges ?? [])
        wants(edges.has(edge), path, edge, "a name of spec.edges");
      for (const demand of side?.demand ?? [])
        wants(Object.hasOwn(spec.demand, demand), path, demand, "a name of spec.demand");
    }
    for (const edge of event.lie?.edges ?? [])
      wants(edge === CONTROL || edges.has(edge), path, edge, "control or a name of spec.edges");
    for (const demand of event.demand?.names ?? [])
      wants(Object.hasOwn(spec.demand, demand), path, demand, "a name of spec.demand");
    for (const { control } of event.control?.set ?? [])
      wants(
        controls.some(
          ({ metadata }) => `${metadata.namespace}/${metadata.name}` === fullName(control),
        ),
        path,
        control,
        "a RoutingControl",
      );
    if (event.weights !== undefined)
      wants(
        model.policies.get(fullName(event.weights.policy))?.spec.nodes[event.weights.node] !==
          undefined,
        path,
        `${event.weights.policy}/${event.weights.node}`,
        "a node of a TrafficPolicy",
      );
  }
  flaws.push(...flawsOfShares(scenario, model));
  const names = new Set(spec.events.flatMap(({ name }) => name ?? []));
  for (const name of spec.expect?.refused ?? [])
    wants(names.has(name), "spec.expect.refused", name, "the name of an event");
  const perDemand = resolversOf(spec.resolvers).reduce((sum, { caches }) => sum + caches, 0);
  const caches = perDemand * Object.keys(spec.demand).length;
  wants(
    caches <= CACHES_MAX,
    "spec.resolvers",
    `${caches} caches`,
    `at most ${CACHES_MAX} over all demand`,
  );
  return flaws;
}

function flawsOfShares({ spec }: ScenarioDocument, model: Model): Flaw[] {
  const ms = (text: string): number => parseDuration(text) ?? 0;
  return (spec.expect?.shares ?? []).flatMap(({ target, from, to, min, max }, at): Flaw[] => {
    const path = `spec.expect.shares[${at}]`;
    const flaw = (field: string, found: string, wanted: string): Flaw => ({
      path: `${path}.${field}`,
      message: `Cannot simulate: ${path}.${field} is "${found}", expected ${wanted}`,
    });
    return [
      ...(target.startsWith("name/") || targetExists(model, target)
        ? []
        : [flaw("target", target, "a target that is there, or name/HOST.")]),
      ...(ms(to) <= ms(spec.duration) ? [] : [flaw("to", to, `at most ${spec.duration}`)]),
      ...(ms(from) < ms(to) ? [] : [flaw("from", from, `less than ${to}`)]),
      ...(min <= max ? [] : [flaw("min", String(min), `at most ${max}`)]),
    ];
  });
}

/** A name that a Record decides, be it by a wildcard. */
function isRecord({ records }: Model, name: string): boolean {
  const plain = name.toLowerCase().replace(/\.$/, "");
  if (records.withOwner(plain) !== undefined) return true;
  const labels = plain.split(".");
  return labels.some(
    (_, at) => at > 0 && records.withOwner(["*", ...labels.slice(at)].join(".")) !== undefined,
  );
}

function targetsOf(event: ScenarioEvent): readonly string[] {
  const { fail, heal, flap, brownOut, lie, shift, unshift } = event;
  const one = shift?.target ?? unshift?.target;
  return [
    ...((fail ?? heal ?? flap ?? brownOut ?? lie)?.targets ?? []),
    ...(one === undefined ? [] : [one]),
  ];
}

function targetExists(model: Model, text: string): boolean {
  const target = parseTarget(text);
  if (target === undefined) return false;
  if (target.kind === "site") return model.sites.has(target.name);
  if (target.kind === "pool") return model.pool(target.namespace, target.name) !== undefined;
  return model.pool(target.namespace, target.pool)?.members.has(target.name) === true;
}

function problemAt(file: string, line: number, path: string, message: string): Problem {
  return { severity: "error", code: "value-wrong", file, line, column: 1, path, message };
}
