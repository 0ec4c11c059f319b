// SPDX-License-Identifier: Apache-2.0
// A master file of PowerDNS with LUA records: those that are one call of a function that chooses among addresses become Records with Pools,
// HealthChecks and TrafficPolicies.
import { parseMasterFile, parseName, type ZoneRecord } from "@meridian/dns";
import { BOUND_TYPE, boundData, boundText } from "./bound-type.ts";
import { ownerText } from "./gdnsd-zones.ts";
import { documentName, type Imported, ImportReport } from "./imported.ts";
import {
  type LuaCall,
  type LuaTable,
  type LuaValue,
  luaTexts,
  readLuaCall,
  tableOf,
} from "./lua-call.ts";
import type { MasterSource } from "./master.ts";
import { addZone } from "./zone-document.ts";

const luaLine =
  /^(\S*\s+)(?:(\d+[smhdw]?)\s+)?(?:IN\s+)?(?:(\d+[smhdw]?)\s+)?LUA\s+(\w+)\s+(\(\s*)?("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)(?:\s*\))?/gim;
const ANSWERS_MAX = 32;

/** Reads one master file. */
export function importPowerdnsLua({ path, origin, readFile }: MasterSource): Imported {
  const report = new ImportReport();
  const apex = parseName(origin ?? "");
  const content = readFile(path);
  if (origin === undefined || "error" in apex || content === undefined) {
    report.mistakes.push(`Cannot read ${path}: expected a file, and --zone with its origin`);
    return report;
  }
  const records: ZoneRecord[] = [];
  const faults = parseMasterFile(plainText(new TextDecoder().decode(content)), {
    origin: apex,
    fileName: path,
    onRecord: (owner, type, ttl, rdata, line, file) => {
      const record = { owner, type, ttl, rdata, line, file };
      if (type === BOUND_TYPE) addLua(record, report);
      else records.push(record);
    },
  });
  report.mistakes.push(...faults.map(({ message }) => message));
  addZone(apex, records, report);
  return report;
}

/** The file with each LUA record as one of the type for private use, its lines where they were. */
function plainText(text: string): string {
  return text.replaceAll(
    luaLine,
    (
      whole,
      owner: string,
      first: string | undefined,
      second: string | undefined,
      type: string,
      _open,
      strings: string,
    ) => {
      const code = [...strings.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part = ""]) =>
        part.replaceAll(/\\(.)/g, "$1"),
      );
      const lines = "\n".repeat(whole.split("\n").length - 1);
      return `${owner}${first ?? second ?? ""} ${boundData(`${type.toUpperCase()} ${code.join("")}`)}${lines}`;
    },
  );
}

function addLua(
  { owner, ttl, rdata, line = 1, file = "" }: ZoneRecord,
  report: ImportReport,
): void {
  const text = boundText(rdata);
  const [type = ""] = text.split(" ", 1);
  const code = text.slice(type.length + 1);
  const name = ownerText(owner);
  const skip = (why: string): void => report.skip(file, line, `${name} LUA ${type} ${code}`, why);
  const call = readLuaCall(code);
  if (!["A", "AAAA", "CNAME"].includes(type))
    return skip("Only A, AAAA and CNAME follow a pool or policy");
  if (call === undefined) return skip("It is more than one call with texts, numbers and tables");
  const document = `${name}-${type.toLowerCase()}`;
  const leads = new LuaTarget(documentName(document), report, skip).lead(call);
  if (leads === undefined) return;
  report.document("Record", document, {
    name,
    types: [type],
    ...leads,
    ttl: { min: `${Math.min(5, ttl)}s`, max: `${ttl}s` },
  });
}

type Leads = { readonly pool: string } | { readonly policy: string };

class LuaTarget {
  readonly #name: string;
  readonly #report: ImportReport;
  readonly #skip: (why: string) => void;

  constructor(name: string, report: ImportReport, skip: (why: string) => void) {
    this.#name = name;
    this.#report = report;
    this.#skip = skip;
  }

  lead({ name, arguments: given }: LuaCall): Leads | undefined {
    const [first, second, third] = given;
    switch (name) {
      case "pickrandom":
        return this.#pool(this.#name, evenly(luaTexts(first)), 1);
      case "all":
        return this.#pool(this.#name, evenly(luaTexts(first)), ANSWERS_MAX);
      case "pickrandomsample":
        return this.#pool(this.#name, evenly(luaTexts(second)), Number(first));
      case "pickwrandom":
        return this.#pool(this.#name, weights(tableOf(first)), 1);
      case "pickhashed":
        return this.#sticky(evenly(luaTexts(first)));
      case "pickwhashed":
      case "pickchashed":
        return this.#sticky(weights(tableOf(first)));
      case "ifportup":
        return this.#checked({ tcp: { port: Number(first) } }, tableOf(second), tableOf(third));
      case "ifurlup":
        return this.#checked(
          urlProbe(plain(first), tableOf(third)),
          tableOf(second),
          tableOf(third),
        );
      default:
        this.#skip(`The function ${name} has no counterpart`);
        return undefined;
    }
  }

  #pool(
    name: string,
    members: readonly WeightedAddress[],
    answers: number,
    check?: string,
  ): Leads | undefined {
    if (members.length === 0) {
      this.#skip("It names no address");
      return undefined;
    }
    this.#report.document("Pool", name, {
      members: Object.fromEntries(
        members.map(({ address, weight }) => [
          documentName(address),
          { address: address.replace(/(?<=[a-z])\.$/i, ""), ...(weight === 1 ? {} : { weight }) },
        ]),
      ),
      ...(check === undefined ? { evaluateHealth: false } : { healthCheck: check }),
      answers: Math.max(1, Math.min(answers, members.length, ANSWERS_MAX)),
    });
    return { pool: name };
  }

  /** One pool an address, as what a hash chooses are branches. */
  #sticky(members: readonly WeightedAddress[]): Leads | undefined {
    const branches = members.flatMap((member) => {
      const leads = this.#pool(documentName(`${this.#name}-${member.address}`), [member], 1);
      return leads === undefined ? [] : [{ ...leads, weight: member.weight }];
    });
    if (branches.length === 0) return undefined;
    return this.#policy({ sticky: { branches } });
  }

  #checked(probe: object | undefined, sets: LuaTable, options: LuaTable): Leads | undefined {
    const option = (name: string): LuaValue | undefined => options.fields.get(name);
    const selector = option("selector") ?? "random";
    const groups = sets.items.some((item) => typeof item === "object")
      ? sets.items.map(luaTexts)
      : [luaTexts(sets)];
    if (probe === undefined || !["random", "all"].includes(plain(selector))) {
      this.#skip(
        probe === undefined
          ? "Its URL is neither http nor https"
          : `The selector ${plain(selector)} has no counterpart`,
      );
      return undefined;
    }
    for (const name of options.fields.keys())
      if (!mappedOptions.has(name)) this.#skip(`The option ${name} is left out`);
    this.#report.document("HealthCheck", this.#name, {
      ...probe,
      interval: `${Number(option("interval") ?? 5)}s`,
      timeout: `${Number(option("timeout") ?? 2)}s`,
      unhealthyThreshold: Number(option("minimumFailures") ?? 1),
      healthyThreshold: 1,
    });
    const answers = selector === "all" ? ANSWERS_MAX : 1;
    const isEmpty = option("backupSelector") === "empty";
    if (groups.length === 1 && !isEmpty)
      return this.#pool(this.#name, evenly(groups[0] ?? []), answers, this.#name);
    const tiers = groups.flatMap((addresses, index) => {
      const leads = this.#pool(
        `${this.#name}-${index + 1}`,
        evenly(addresses),
        answers,
        this.#name,
      );
      return leads === undefined ? [] : [{ branches: [leads] }];
    });
    return this.#policy({ failover: { tiers }, ...(isEmpty ? { onAllUnhealthy: "closed" } : {}) });
  }

  #policy(node: object): Leads {
    this.#report.document("TrafficPolicy", this.#name, { root: "choice", nodes: { choice: node } });
    return { policy: this.#name };
  }
}

const mappedOptions: ReadonlySet<string> = new Set([
  ...["selector", "backupSelector", "interval", "timeout", "minimumFailures"],
  ...["stringmatch", "httpcode"],
]);

interface WeightedAddress {
  readonly address: string;
  readonly weight: number;
}

/** A text or number as text. */
function plain(value: LuaValue | undefined): string {
  return typeof value === "object" ? "{…}" : String(value ?? "");
}

function evenly(addresses: readonly string[]): WeightedAddress[] {
  return addresses.map((address) => ({ address, weight: 1 }));
}

/** Of `{{10, "192.0.2.1"}, {20, "192.0.2.2"}}`. */
function weights({ items }: LuaTable): WeightedAddress[] {
  return items.flatMap((item) => {
    const [weight, address] = tableOf(item).items;
    return typeof weight === "number" && typeof address === "string" ? [{ address, weight }] : [];
  });
}

function urlProbe(text: string, { fields }: LuaTable): object | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, port, pathname, search, hostname } = new URL(text);
  if (protocol !== "http:" && protocol !== "https:") return undefined;
  const body = fields.get("stringmatch");
  const probe = {
    port: Number(port === "" ? (protocol === "http:" ? 80 : 443) : port),
    path: `${pathname}${search}`,
    host: hostname,
    expectedStatus: [plain(fields.get("httpcode") ?? 200)],
    ...(typeof body === "string" ? { bodyContains: body } : {}),
  };
  return protocol === "http:" ? { http: probe } : { https: { ...probe, serverName: hostname } };
}
