// SPDX-License-Identifier: Apache-2.0
// The zones file of PowerDNS's GeoIP back end: its records become Zones, its services geo and subnet nodes over the names that their patterns may
// lead to.
//
//   www: ['%co.%cn.www', '%cn.www', 'any.www']      records fin.eu.www, eu.www, any.www
//     ─► geo { FI → pool fin.eu.www, EU → pool eu.www, default → pool any.www }
import { parseMasterFile, parseName, rootName, RRType, type ZoneRecord } from "@meridian/dns";
import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Node } from "yaml";
import { continents } from "../kinds/shared.ts";
import { countryCode } from "./country-codes.ts";
import { documentName, type Imported, ImportReport } from "./imported.ts";
import { addZone } from "./zone-document.ts";

const ANSWERS_MAX = 32;
const TTL_DEFAULT = 300;

/** A value of the file with its line. */
interface Located {
  readonly node: Node | null;
  readonly line: number;
}

interface Target {
  readonly owner: string;
  readonly addresses: readonly {
    readonly type: string;
    readonly text: string;
    readonly weight: number | undefined;
  }[];
}

interface Place {
  readonly continents?: readonly string[];
  readonly countries?: readonly string[];
  readonly subdivisions?: readonly string[];
  readonly default?: true;
}

/** Reads one zones file. */
export function importPowerdnsGeoip(
  path: string,
  readFile: (path: string) => Uint8Array | undefined,
): Imported {
  const report = new ImportReport();
  const content = readFile(path);
  const lines = new LineCounter();
  const document =
    content === undefined
      ? undefined
      : parseDocument(new TextDecoder().decode(content), { lineCounter: lines });
  if (document === undefined || document.errors.length > 0 || !isMap(document.contents)) {
    const why = document?.errors[0]?.message.split("\n", 1)[0] ?? "expected a map with domains";
    report.mistakes.push(`Cannot read ${path}: ${why}`);
    return report;
  }
  const reader = new GeoipReader(path, lines, report);
  for (const [name, value] of reader.entries(document.contents)) {
    if (name !== "domains") report.skip(path, value.line, name, "It has no counterpart");
    else for (const domain of reader.items(value)) reader.domain(domain);
  }
  return report;
}

class GeoipReader {
  readonly #path: string;
  readonly #lines: LineCounter;
  readonly #report: ImportReport;
  #ttl = TTL_DEFAULT;
  #targets = new Map<string, Target>();
  #pools = new Map<string, string>();

  constructor(path: string, lines: LineCounter, report: ImportReport) {
    this.#path = path;
    this.#lines = lines;
    this.#report = report;
  }

  /** Members of a map, or of all maps in a list. */
  entries(node: Node | null): [string, Located][] {
    if (isSeq<Node>(node)) return node.items.flatMap((item) => this.entries(item));
    if (!isMap<Node, Node | null>(node)) return [];
    return node.items.flatMap((pair) =>
      isPair(pair) ? [[scalarOf(pair.key) ?? "", this.#located(pair.value, pair.key)]] : [],
    );
  }

  items({ node, line }: Located): Located[] {
    return isSeq<Node>(node)
      ? node.items.map((item) => this.#located(item, item))
      : [{ node, line }];
  }

  #located(node: Node | null, at: Node | null): Located {
    return { node, line: this.#lines.linePos(at?.range?.[0] ?? 0).line };
  }

  domain({ node, line }: Located): void {
    const fields = new Map(this.entries(node));
    const origin = scalarOf(fields.get("domain")?.node ?? null) ?? "";
    const apex = parseName(origin);
    if (origin === "" || "error" in apex) {
      this.#report.mistakes.push(`${this.#path}:${line}: A domain has no name`);
      return;
    }
    this.#ttl = Number(scalarOf(fields.get("ttl")?.node ?? null) ?? TTL_DEFAULT);
    this.#targets = new Map();
    this.#pools = new Map();
    for (const [name, value] of fields)
      if (!["domain", "ttl", "records", "services"].includes(name))
        this.#report.skip(this.#path, value.line, `${origin} ${name}`, "It has no counterpart");
    const records = this.entries(fields.get("records")?.node ?? null).flatMap(([owner, sets]) =>
      this.#records(owner, sets),
    );
    addZone(apex, records, this.#report);
    for (const { owner, addresses } of this.#targets.values())
      if (addresses.some(({ weight }) => weight !== undefined)) this.#weighted(owner);
    for (const [owner, service] of this.entries(fields.get("services")?.node ?? null))
      this.#service(owner, service);
  }

  /** The records of a name; addresses of which some have weights are those of a pool. */
  #records(owner: string, sets: Located): ZoneRecord[] {
    const found: ZoneRecord[] = [];
    const addresses: { type: string; text: string; weight: number | undefined }[] = [];
    for (const [name, { node, line }] of this.entries(sets.node)) {
      const type = name.toUpperCase();
      const fields = new Map(this.entries(node));
      const text = scalarOf(isMap(node) ? (fields.get("content")?.node ?? null) : node) ?? "";
      const ttl = Number(scalarOf(fields.get("ttl")?.node ?? null) ?? this.#ttl);
      const weight = scalarOf(fields.get("weight")?.node ?? null);
      const isAddress = type === "A" || type === "AAAA";
      if (isAddress)
        addresses.push({ type, text, weight: weight === undefined ? undefined : Number(weight) });
      const data = type === "TXT" && !text.startsWith('"') ? JSON.stringify(text) : text;
      const faults = parseMasterFile(`${owner}. ${ttl} IN ${type} ${data}\n`, {
        origin: rootName,
        fileName: this.#path,
        onRecord: (name_, type_, ttl_, rdata) =>
          found.push({ owner: name_, type: type_, ttl: ttl_, rdata, file: this.#path, line }),
      });
      for (const { message } of faults)
        this.#report.mistakes.push(`${this.#path}:${line}: ${owner} ${type}: ${message}`);
    }
    if (addresses.length > 0) this.#targets.set(owner, { owner, addresses });
    const isWeighted = addresses.some(({ weight }) => weight !== undefined);
    return found.filter(({ type }) => !isWeighted || (type !== RRType.A && type !== RRType.AAAA));
  }

  /** The pool of a name's addresses. */
  #pool(owner: string): string {
    const known = this.#pools.get(owner);
    if (known !== undefined) return known;
    const name = documentName(owner);
    const addresses = this.#targets.get(owner)?.addresses ?? [];
    const isWeighted = addresses.some(({ weight }) => weight !== undefined);
    this.#report.document("Pool", name, {
      members: Object.fromEntries(
        addresses.map(({ text, weight }) => [
          documentName(text),
          { address: text, ...(weight === undefined ? {} : { weight }) },
        ]),
      ),
      evaluateHealth: false,
      answers: isWeighted ? 1 : Math.min(addresses.length, ANSWERS_MAX),
    });
    this.#pools.set(owner, name);
    return name;
  }

  #weighted(owner: string): void {
    this.#record(owner, [owner], { pool: this.#pool(owner) });
  }

  #record(name: string, owners: readonly string[], leads: object): void {
    const found = owners.flatMap((owner) => this.#targets.get(owner)?.addresses ?? []);
    const types = ["A", "AAAA"].filter((type) => found.some((each) => each.type === type));
    this.#report.document("Record", documentName(name), {
      ...{ name, types, ...leads },
      ttl: { min: `${Math.min(5, this.#ttl)}s`, max: `${this.#ttl}s` },
    });
  }

  #service(name: string, service: Located): void {
    const isByNet = isMap(service.node);
    const parts = isByNet ? this.entries(service.node) : [["default", service] as const];
    const nets: { pool: string; prefixes: string[] }[] = [];
    const owners: string[] = [];
    let places: (Place & { pool: string })[] = [];
    for (const [net, value] of parts) {
      const skip = (what: string, why: string): void =>
        this.#report.skip(this.#path, value.line, `${name}: ${what}`, why);
      const branches = this.#branches(this.items(value), skip);
      owners.push(...branches.map(({ owner }) => owner));
      const led = branches.map(({ owner, place }) => ({ pool: this.#pool(owner), ...place }));
      if (net === "default") places = led;
      else if (led.length === 1 && led[0]?.default === true)
        nets.push({ pool: led[0].pool, prefixes: [net] });
      else skip(net, "Only a name without placeholders follows a network");
    }
    if (places.length + nets.length === 0) {
      const why = "None of its patterns leads to a name with addresses";
      this.#report.skip(this.#path, service.line, name, why);
      return;
    }
    const policy = documentName(name);
    const geo = { geo: { branches: places } };
    const branches = [...nets, ...(places.length === 0 ? [] : [{ node: "place", default: true }])];
    const nodes = nets.length === 0 ? { place: geo } : { net: { subnet: { branches } } };
    this.#report.document("TrafficPolicy", policy, {
      root: nets.length === 0 ? "place" : "net",
      nodes: places.length === 0 ? nodes : { ...nodes, place: geo },
    });
    this.#record(name, owners, { policy });
  }

  /** Where patterns may lead, the most exact places first: as a geo node looks for them. */
  #branches(
    patterns: readonly Located[],
    skip: (what: string, why: string) => void,
  ): { owner: string; place: Place }[] {
    const found = new Map<string, { owner: string; place: Place }>();
    let exactness = Infinity;
    for (const { node } of patterns) {
      const pattern = scalarOf(node) ?? "";
      const expression = expressionOf(pattern);
      if (typeof expression === "string") {
        skip(pattern, `The placeholder ${expression} has no counterpart`);
        continue;
      }
      if (expression.exactness > exactness)
        skip(pattern, "It is more exact than one before it, and comes first here");
      exactness = Math.min(exactness, expression.exactness);
      for (const owner of this.#targets.keys()) {
        const match = expression.regular.exec(owner);
        if (match === null) continue;
        const place = placeOf(match.groups ?? {}, expression.exactness);
        // Labels that are no place are never looked for.
        if (place === undefined || found.has(JSON.stringify(place))) continue;
        found.set(JSON.stringify(place), { owner, place });
      }
    }
    return [...found.values()];
  }
}

const placeholders: Readonly<Record<string, number>> = { cn: 1, co: 2, cc: 2, re: 3 };

/** A pattern as an expression over owners; the placeholder that is not known. */
function expressionOf(pattern: string): { regular: RegExp; exactness: number } | string {
  let exactness = 0;
  let text = "";
  for (const [part] of pattern.matchAll(/%%|%[a-z0-9]{2}|[^%]+|%/g)) {
    const name = part.slice(1);
    const rank = part.startsWith("%") ? placeholders[name] : undefined;
    if (rank !== undefined) {
      exactness = Math.max(exactness, rank);
      text += text.includes(`<${name}>`) ? `\\k<${name}>` : `(?<${name}>[a-z0-9]+)`;
    } else if (part.startsWith("%") && part !== "%%") return part;
    else text += part.replace("%%", "%").replaceAll(/[.*+?^$()[\]{}|\\-]/g, "\\$&");
  }
  return { regular: new RegExp(`^${text}$`, "i"), exactness };
}

/** What the labels of a name say of a place; undefined for none that documents know. */
function placeOf(groups: Readonly<Record<string, string>>, exactness: number): Place | undefined {
  const values = Object.values(groups);
  // What cannot be located is looked for under this name.
  if (exactness === 0 || values.every((value) => value.toLowerCase() === "unknown"))
    return { default: true };
  const { cn, co, cc = co === undefined ? undefined : countryCode(co), re } = groups;
  const country = cc?.toUpperCase();
  if (re !== undefined)
    return country === undefined ? undefined : { subdivisions: [`${country}-${re.toUpperCase()}`] };
  if (exactness === 2) return country === undefined ? undefined : { countries: [country] };
  const continent = continents.find((each) => each === cn?.toUpperCase());
  return continent === undefined ? undefined : { continents: [continent] };
}

/** The text of a plain value. */
function scalarOf(node: Node | null): string | undefined {
  const value: unknown = isScalar(node) ? node.value : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
