// SPDX-License-Identifier: Apache-2.0

import { formatDuration } from "@meridian/core";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { memberOf, type ApiClient } from "../api-client.ts";
import { clientOf } from "../api-target.ts";
import {
  ageField,
  field,
  hasColours,
  print,
  printJson,
  rowsOf,
  tableLines,
  type Column,
  type Row,
} from "../output.ts";

const COUNT_MAX = 10_000;

/** Prints one kind of thing as a table or as the API's own JSON. */
export async function get(input: CommandInput): Promise<ExitCode> {
  if (/^[A-Z]/.test(input.argument(0))) return (await import("./documents.ts")).getDocuments(input);
  const api = clientOf(input);
  const { answer, columns } = await ask(api, input);
  if (input.isJson()) {
    printJson(answer);
    return ExitCode.done;
  }
  const rows = rowsOf(answer);
  if (rows.length === 0) print("There are none");
  else for (const line of tableLines(rows, columns, hasColours())) print(line);
  return ExitCode.done;
}

async function ask(
  api: ApiClient,
  input: CommandInput,
): Promise<{ answer: unknown; columns: readonly Column[] }> {
  const kind = input.argument(0);
  if (input.text("top") === "names") {
    const count = input.wholeNumber("count", 1, COUNT_MAX) ?? 20;
    const columns = [field("NAME", "name"), field("QUERIES", "queries", true)];
    return { answer: await api.get("/v1/top/names", { count: String(count) }), columns };
  }
  const columns = columnsOf(kind, Date.now());
  const path = listPaths.find((each) => each === `/v1/${kind}`);
  if (columns === undefined || path === undefined)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot get: ${kind === "" ? "nothing is named" : `"${kind}" is no kind that is listed`}, expected ${listPaths.map((each) => each.slice("/v1/".length)).join(", ")}, a kind of document such as Pool, or --top names`,
    );
  return { answer: await api.list(path), columns };
}

const listPaths = [
  "/v1/endpoints",
  "/v1/sites",
  "/v1/pools",
  "/v1/records",
  "/v1/policies",
  "/v1/health",
  "/v1/vantages",
  "/v1/recoveryplans",
  "/v1/recoveryruns",
  "/v1/shifts",
  "/v1/approvals",
  "/v1/drills",
  "/v1/latches",
  "/v1/rollouts",
  "/v1/notifications",
  "/v1/controls",
  "/v1/edges",
  "/v1/shards",
  "/v1/secondaries",
] as const;

/** How each kind is shown; ages count from `nowMs`. */
function columnsOf(kind: string, nowMs: number): readonly Column[] | undefined {
  const columns: Readonly<Record<string, readonly Column[]>> = {
    endpoints: [
      field("ENDPOINT", "endpoint"),
      field("ADDRESS", "address"),
      field("SITE", "site"),
      field("VERDICT", "verdict"),
      ageField("SINCE", "sinceMs", nowMs),
      field("STATE", "admin"),
      percent("DIAL", "dial", 1),
      percent("CAPACITY", "capacityFactor", 100),
      field("ANSWERS", "answers", true),
      field("REASON", "reason"),
    ],
    sites: [
      field("SITE", "site"),
      field("PARENT", "parent"),
      field("ENDPOINTS", "endpoints", true),
      field("HEALTHY", "healthy", true),
      field("DRAINED", "drained", true),
      field("ANSWERS", "answers", true),
    ],
    pools: [
      field("POOL", "pool"),
      field("MEMBERS", "members", true),
      field("HEALTHY", "healthy", true),
      field("DRAINED", "drained", true),
      field("CHECK", "healthCheck"),
      field("ANSWERS", "answers", true),
    ],
    records: [
      field("NAME", "name"),
      field("TYPES", "types"),
      field("TARGET", "target"),
      field("TTL", "ttl"),
      seconds("FAILOVER", "failoverBudgetMs"),
      seconds("OBJECTIVE", "objectiveMs"),
      field("VIEW", "view"),
    ],
    policies: [
      field("POLICY", "policy"),
      field("ROOT", "root"),
      field("NODES", "nodes", true),
      field("QUERIES", "queries", true),
    ],
    health: [
      field("ENDPOINT", "endpoint"),
      field("CHECK", "check"),
      field("KIND", "kind"),
      field("VERDICT", "verdict"),
      ageField("SINCE", "sinceMs", nowMs),
      field("REASON", "reason"),
      ageField("PROBED", "lastProbeMs", nowMs),
      field("LAST", "lastReason"),
      field("CONDITION", "condition"),
      { title: "VANTAGES", value: (row) => witnessesOf(row["vantages"]) },
    ],
    vantages: [
      field("VANTAGE", "name"),
      field("SITE", "site"),
      field("STATE", "state"),
      { title: "HEARD", value: (row) => `${Math.round(Number(row["ageMs"]) / 100) / 10} s ago` },
      field("CHOSEN FOR", "chosenCount", true),
      field("HEALTHY", "healthyCount", true),
      field("UNHEALTHY", "unhealthyCount", true),
      field("REPORTS", "reports", true),
    ],
    recoveryplans: [
      field("PLAN", "name"),
      field("STEPS", "steps", true),
      field("TRIGGERS", "triggers", true),
      { title: "FINDINGS", value: (row) => findingsText(row["findings"]) },
      seconds("OBJECTIVE", "objectiveMs"),
      field("LAST RUN", "lastRun"),
      field("STATE", "lastState"),
      ageField("AGE", "lastAtMs", nowMs),
      field("DESCRIPTION", "description"),
    ],
    recoveryruns: [
      field("RUN", "name"),
      field("STATE", "state"),
      field("KIND", "mode"),
      { title: "STEPS", value: (row) => `${String(row["done"])} of ${String(row["steps"])}` },
      ageField("AGE", "createdAtMs", nowMs),
      seconds("RECOVERY TIME", "recoveryMs"),
      field("BY", "actor"),
      field("REASON", "reason"),
      field("NOW", "current"),
    ],
    shifts: [
      field("ID", "id"),
      field("TARGET", "target"),
      percent("AWAY", "percent", 1),
      timeField("TTL LOW FROM", "ttlLoweredAtMs"),
      timeField("STARTS", "startsAtMs"),
      timeField("ENDS", "expiresAtMs"),
      { title: "RETURNS BY", value: returnText },
      field("PRECEDENCE", "precedence"),
      percent("MOVES NOW", "moves", 1),
      { title: "PROGRESS", value: (row) => textIn(row["progress"], "state") },
      { title: "STILL ANSWERED", value: (row) => shareIn(row["progress"], "share") },
      { title: "EMPTY FROM", value: (row) => timeIn(row["progress"], "emptyAtMs") },
      { title: "LOAD", value: (row) => shareIn(memberOf(row["progress"], "reported"), "load") },
      field("OVERRULED BY", "overruledBy"),
      field("ACTOR", "actor"),
      field("REASON", "reason"),
    ],
    drills: [
      field("DRILL", "name"),
      field("TARGET", "target"),
      field("STATE", "state"),
      timeField("NEXT", "nextAtMs"),
      field("WAITS", "waits"),
      { title: "LAST", value: (row) => textIn(row["last"], "outcome") },
      { title: "REASON", value: (row) => textIn(row["last"], "reason") },
    ],
    approvals: [
      field("ID", "id"),
      field("STATE", "state"),
      field("AUTHOR", "author"),
      field("WANTS TO", "verb"),
      field("ABOUT", "about"),
      field("APPROVED", "approved", true),
      field("NEEDED", "needed", true),
      timeField("UNTIL", "expiresAtMs"),
      field("REASON", "reason"),
    ],
    notifications: [
      field("NOTIFICATION", "name"),
      field("RECEIVER", "receiver"),
      field("STATE", "state"),
      field("HOLDS", "holds", true),
      field("WAITING", "waiting", true),
      field("SENT", "sent", true),
      field("FAILED", "failed", true),
      ageField("LAST SENT", "lastSentMs", nowMs),
      field("LAST ERROR", "lastError"),
    ],
    latches: [field("NODE", "name"), field("TIER", "tier", true)],
    rollouts: [
      field("ROLLOUT", "name"),
      field("TARGET", "target"),
      field("PHASE", "phase"),
      field("WAVE", "wave", true),
      field("STEP", "step", true),
      percent("WEIGHT", "weight", 1),
      ageField("SINCE", "changedAtMs", nowMs),
      field("REASON", "reason"),
    ],
    controls: [
      field("CONTROL", "name"),
      field("ROLE", "role"),
      field("STATE", "standing"),
      field("REVISION", "revision", true),
      field("STORE", "storeRevision", true),
      seconds("STORE AGE", "storeAgeMs"),
      field("VERSION", "version"),
      field("ADDRESS", "address"),
      timeField("API CERT ENDS", "certificateEndsMs"),
      timeField("AUTHORITY ENDS", "authorityEndsMs"),
    ],
    edges: [
      field("EDGE", "name"),
      field("CONTROL", "control"),
      field("CONNECTED", "connected"),
      field("STATE", "standing"),
      field("CELL", "cell"),
      field("REVISION", "revision", true),
      field("SEQUENCE", "sequence", true),
      ageField("LAST WORD", "lastWordMs", nowMs),
      seconds("STALE", "staleMs"),
      answered("QUERIES/S", "queriesPerSecond", String),
      answered("SERVFAIL", "servfailShare", shareText),
      answered("EMPTY", "emptyShare", shareText),
      { title: "DISK", value: (row) => diskText(row["disk"]) },
      field("VERSION", "version"),
      field("ADDRESS", "address"),
      timeField("CERT ENDS", "certificateEndsMs"),
    ],
    shards: [
      field("CELL", "cell"),
      field("SERVED", "unit"),
      field("ZONES", "zones", true),
      { title: "EDGES", value: (row) => textsOf(row["edges"]) },
      { title: "LEAVING", value: (row) => textsOf(row["leaving"]) },
      field("MOST IN COMMON", "overlap", true),
    ],
    secondaries: [
      field("ZONE", "name"),
      field("STATE", "state"),
      field("SERIAL", "serial", true),
      field("PRIMARY", "primary"),
      ageField("TRANSFERRED", "takenMs", nowMs),
      ageField("REFRESHED", "refreshedMs", nowMs),
      timeField("EXPIRES", "expiresMs"),
      field("FAILURES", "failures", true),
      field("ERROR", "error"),
    ],
  };
  return columns[kind];
}

/** A text of an object that may be missing. */
function textIn(raw: unknown, name: string): string {
  const value = memberOf(raw, name);
  return typeof value === "string" ? value : "";
}

function shareIn(raw: unknown, name: string): string {
  const value = memberOf(raw, name);
  return typeof value === "number" ? shareText(value) : "";
}

function timeIn(raw: unknown, name: string): string {
  const ms = memberOf(raw, name);
  return typeof ms === "number" ? `${new Date(ms).toISOString().slice(0, 19)}Z` : "";
}

/** A column of times; empty where none is known. */
/** `10%/1m`, of a shift that comes back by steps. */
function returnText(row: Row): string {
  const share = memberOf(row["return"], "percent");
  const everyMs = memberOf(row["return"], "everyMs");
  return typeof everyMs === "number" ? `${String(share)}%/${formatDuration(everyMs)}` : "";
}

function timeField(title: string, name: string): Column {
  return { title, value: (row) => timeIn(row, name) };
}

/** Names with what they say, in brackets those that do not count. */
function witnessesOf(value: unknown): string {
  if (!Array.isArray(value)) return "";
  return value
    .map((each: unknown) => {
      const member = (name: string): unknown =>
        typeof each === "object" && each !== null ? Reflect.get(each, name) : undefined;
      const text = `${String(member("vantage"))} ${String(member("verdict"))}`;
      return member("counts") === true ? text : `(${text})`;
    })
    .join(", ");
}

/** What a disk does not take, and why. */
function diskText(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  return `does not take ${String(Reflect.get(value, "what"))}: ${String(Reflect.get(value, "reason"))}`;
}

function textsOf(value: unknown): string {
  return Array.isArray(value) ? value.join(" ") : "";
}

/** A column of shares; `scale` brings the value to percent. */
function percent(title: string, name: string, scale: number): Column {
  const value = (row: Row): string => `${Math.round(Number(row[name]) * scale)} %`;
  return { title, isNumber: true, value };
}

/** A column of what an edge said of its answers. */
function answered(title: string, name: string, shown: (value: number) => string): Column {
  const value = ({ answers }: Row): string => {
    const found: unknown =
      typeof answers === "object" && answers !== null ? Reflect.get(answers, name) : undefined;
    return typeof found === "number" ? shown(found) : "";
  };
  return { title, isNumber: true, value };
}

function shareText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** What is wrong with a plan; of what could be better only how much. */
function findingsText(findings: unknown): string {
  const all = rowsOf(findings);
  const errors = all.filter(({ severity }) => severity === "error");
  const texts = errors.map(({ step, message }) =>
    step === "" ? String(message) : `${String(step)}: ${String(message)}`,
  );
  const warnings = all.length - errors.length;
  return [...texts, ...(warnings === 0 ? [] : [`${warnings} warnings`])].join("; ");
}

function seconds(title: string, name: string): Column {
  const value = (row: Row): string => {
    const ms = row[name];
    return typeof ms === "number" ? `${(ms / 1000).toFixed(1)} s` : "";
  };
  return { title, isNumber: true, value };
}
