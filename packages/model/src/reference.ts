// SPDX-License-Identifier: Apache-2.0
// The reference pages of the kinds, made from the schemas so that they cannot say anything else.
import { examples, scenarioExample } from "./examples.ts";
import { type Kind, kinds } from "./documents.ts";
import { type JsonSchema, jsonSchemaOf, scenarioJsonSchema, storeSchemaOf } from "./json-schema.ts";
import { isStoreKind, storeKinds, type StoreKind } from "./store-kinds.ts";

const summaries: Readonly<Record<Kind | StoreKind, string>> = {
  Site: "A place that serves: a zone, cluster or region. Sites form a tree by `parent`.",
  Pool: "Endpoints that can stand in for one another.",
  EndpointSet: "Members of a Pool contributed by one owner, such as a cluster.",
  HealthCheck: "How an endpoint is judged: the kind of probe, its cadence, thresholds and quorum.",
  TrafficPolicy:
    "A graph of named nodes that picks endpoints for a client. Nodes may be shared but not lead\nback; at most 16 follow one another.",
  View: "Clients that are shown zones of their own: split horizon and private zones. A client sees the first\nView that it fits.",
  Zone: "Static authoritative data of a domain, written here or in a master file.",
  Record: "A name bound to a TrafficPolicy or Pool. It lies in a Zone of the same namespace.",
  RecordSet:
    "Static records of one name and type, in a document of their own: what dynamic updates write. It lies\nin a Zone of the same namespace.",
  DataSet: "External data, such as countries by prefix.",
  Shift:
    "A temporary, expiring move of traffic away from a site, pool or endpoint. It is made by\n`meridian drain` or the API, never by a file.",
  Role: "What some may do. A request is allowed if one rule covers it whole; nothing forbids. Applied by\nadministrators, never by a file.",
  Token:
    "Whom a bearer token stands for. It is made by `meridian token create`, never applied; only the\nSHA-256 of its secret is kept.",
  Tenant:
    "Namespaces that belong together, how much they may hold, and which names they may claim. Applied by\nadministrators, never by a file.",
  Grant:
    "What documents of other namespaces may name in this one. Without it references stay within their\nnamespace. Applied by API; documents of files need none.",
  Notification:
    "Who is told what, and how. Applied by API, never by a file. Secrets are only named here.",
  Cell: "Edges that stand apart from others, and the tenants and zones that they alone serve. Applied by\nadministrators, never by a file.",
  ControlPanel:
    "Routing controls that are changed together, all or nothing. Applied by API, never by a file.",
  RoutingControl:
    "A switch that people throw: Off, what it is bound to gets no traffic, whatever its health. It begins On and is\nturned by `meridian control set` alone, never by a file or by applying this document.",
  SafetyRule:
    "What has to stay true of the routing controls of a panel: a change that breaks it is refused. Applied by API,\nnever by a file.",
  Rollout:
    "How traffic moves to something new: in steps, as measurements allow. Applied by API, never by a file; started, promoted and\nended by `meridian rollout`.",
  TrafficProfile:
    "How much is asked for, by name and by where clients are: what plans and shifts weigh against capacity. Applied by API,\nnever by a file.",
  Drill:
    "Scheduled practice of losing a target: traffic leaves it for a while, and alarms say whether what remains carries it.\nApplied by API, never by a file.",
  ChangePolicy:
    "Which acts need the approval of others than their author (four eyes), or are possible at certain times only. Applied\nby administrators, never by a file.",
  RecoveryPlan:
    "Steps that move a service from where it fails to where it works, and what begins them. Applied by API, never by\na file. What became of a run is state: `meridian recovery report`.",
};

/** The name of the page of a kind within the reference, as in `traffic-policy.md`. */
export function referenceFileOf(kind: Kind | StoreKind): string {
  return `${kind.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}.md`;
}

/** The page of a kind in Markdown. */
export function renderReference(kind: Kind | StoreKind): string {
  const schema = isStoreKind(kind) ? storeSchemaOf(kind) : jsonSchemaOf(kind);
  return renderPage(kind, summaries[kind], examples[kind], schema);
}

const scenarioSummary =
  "What `meridian simulate` plays: who asks for how much, what happens when, and what is expected of it. It stands in a file beside the\ndocuments that it is about; no server takes it.";

function renderPage(kind: string, summary: string, example: string, schema: JsonSchema): string {
  const { metadata, spec } = schema.properties ?? {};
  const variants = spec === undefined ? "" : variantText(spec).trim();
  return `# ${kind}

${summary}

\`\`\`yaml
${example.trimEnd()}
\`\`\`

A field that is not listed here is an error. A duration is a number with one of the units \`ms\`,
\`s\`, \`m\` and \`h\`, as in \`10s\`. This page is made from the schema.

## Metadata

${renderFields(metadata, "metadata")}

## Spec
${variants === "" ? "" : `\n${variants}\n`}
${renderFields(spec, "spec")}
`;
}

/** The pages of all kinds, by file name. */
export function renderReferences(): Map<string, string> {
  const pages = new Map<string, string>();
  for (const kind of [...kinds, ...storeKinds]) {
    pages.set(referenceFileOf(kind), renderReference(kind));
  }
  const scenario = renderPage("Scenario", scenarioSummary, scenarioExample, scenarioJsonSchema());
  pages.set("scenario.md", scenario);
  return pages;
}

function renderFields(schema: JsonSchema | undefined, path: string): string {
  const rows = [...fieldRows(schema ?? {}, path)];
  return ["| field | type | default | description |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function* fieldRows(schema: JsonSchema, path: string): Generator<string> {
  const isRequired = new Set(schema.required);
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = `${path}.${name}`;
    const fallback = isRequired.has(name) ? "required" : defaultText(field);
    const text = `${field.description ?? ""}${variantText(field)}`;
    const cells = [`\`${at}\``, typeText(field), fallback, text];
    yield `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    yield* innerRows(field, at);
  }
}

function* innerRows(field: JsonSchema, at: string): Generator<string> {
  yield* fieldRows({ ...field, required: field.required ?? [] }, at);
  if (field.items !== undefined) yield* innerRows(field.items, `${at}[]`);
  if (field.additionalProperties !== undefined) {
    yield* innerRows(field.additionalProperties, `${at}.NAME`);
  }
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined) {
    return schema.enum.map((word) => `\`${String(word)}\``).join(", ");
  }
  if (schema.items !== undefined) return `list of ${typeText(schema.items)}`;
  if (schema.additionalProperties !== undefined) {
    return `map of ${typeText(schema.additionalProperties)}`;
  }
  if (schema.pattern === durationPattern) return "duration";
  return typeNames[schema.type ?? ""] ?? "any";
}

const durationPattern = "^[0-9]{1,9}(ms|s|m|h)$";

const typeNames: Readonly<Record<string, string>> = {
  object: "mapping",
  string: "text",
  integer: "whole number",
  number: "number",
  boolean: "`true`, `false`",
};

function defaultText(schema: JsonSchema): string {
  return schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``;
}

/** Which fields exclude one another, of a mapping, the items of a list or the values of a map. */
function variantText(schema: JsonSchema): string {
  const inner = schema.items ?? schema.additionalProperties ?? schema;
  const rules = inner.oneOf === undefined ? (inner.allOf ?? []) : [inner];
  const texts = rules.map(({ oneOf = [] }) => {
    const members = oneOf.flatMap(({ required = [] }) => required);
    return ` Exactly one of ${members.map((member) => `\`${member}\``).join(", ")}.`;
  });
  return texts.join("");
}
