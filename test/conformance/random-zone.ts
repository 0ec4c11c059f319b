// SPDX-License-Identifier: Apache-2.0

// Small random zones, legal ones, that are dense in what is hard to answer: wildcards, empty non-terminals, delegations with and without glue,
// aliases that lead to each other, to nowhere and elsewhere, DNAMEs. And questions about them, of which most hit something.

import type { Pcg32 } from "@meridian/core";

/** A zone as lines of a master file with absolute names; the SOA is the first. */
export interface RandomZone {
  /** With the last dot. */
  readonly origin: string;
  readonly text: string;
  /** Owners of records, absolute. */
  readonly owners: readonly string[];
  /** What is there, for questions that hit. */
  readonly sets: readonly RandomQuestion[];
}

export interface RandomQuestion {
  readonly name: string;
  readonly type: string;
}

const NAMES = 24;
const DEPTH = 3;
const labels = ["a", "b", "c", "d", "*"] as const;
const outside = ["www.example.net.", "ns.example.com."] as const;

/** The types that are asked for. Of ANY every server makes what it likes (RFC 8482). */
const askedTypes = [
  ...["A", "A", "A", "AAAA", "TXT", "MX", "CNAME", "NS", "SOA", "DS", "DNAME", "SRV", "HTTPS"],
  ...["CAA", "TYPE65280"],
] as const;

/** The zone of a number; `zones` are how many there are, and aliases may lead to any. */
export function randomZone(random: Pcg32, index: number, zones: number): RandomZone {
  const maker = new ZoneMaker(random, index, zones);
  return maker.make();
}

/** A question about the zone: an owner, something below or beside one, or another zone's; `more` are types besides. */
export function randomQuestion(
  random: Pcg32,
  { origin, owners, sets }: RandomZone,
  more: readonly string[] = [],
): RandomQuestion {
  if (random.next32() % 3 === 0) return pick(random, sets);
  const owner = pick(random, owners);
  const name = pick(random, [
    ...[owner, owner, owner],
    below(random, owner),
    below(random, below(random, owner)),
    beside(random, owner, origin),
  ]);
  return { name, type: pick(random, [...askedTypes, ...more]) };
}

function below(random: Pcg32, owner: string): string {
  return `${pick(random, [...labels, "zz", "A"])}.${owner}`;
}

function beside(random: Pcg32, owner: string, origin: string): string {
  return owner === origin ? origin : below(random, owner.slice(owner.indexOf(".") + 1));
}

function pick<Value>(random: Pcg32, values: readonly Value[]): Value {
  const value = values[random.next32() % values.length];
  if (value === undefined) throw new Error("There is nothing to pick from");
  return value;
}

class ZoneMaker {
  readonly #random: Pcg32;
  readonly #zones: number;
  readonly #index: number;
  readonly #origin: string;
  readonly #lines: string[] = [];
  readonly #owners = new Set<string>();
  readonly #sets: RandomQuestion[] = [];
  readonly #aliases = new Set<string>();
  /** Names below which nothing may be: delegations and DNAMEs. */
  readonly #covers = new Set<string>();

  constructor(random: Pcg32, index: number, zones: number) {
    this.#random = random;
    this.#zones = zones;
    this.#index = index;
    this.#origin = originOf(index);
  }

  make(): RandomZone {
    const origin = this.#origin;
    this.#add(
      origin,
      "SOA",
      `ns1.${origin} h.${origin} 1 7200 900 1209600 ${this.#below(200) + 1}`,
    );
    this.#add(origin, "NS", `ns1.${origin}`);
    if (this.#below(2) === 0) this.#add(origin, "NS", "ns.example.net.");
    this.#add(`ns1.${origin}`, "A", "192.0.2.53");
    if (this.#below(2) === 0) this.#add(origin, "MX", `10 ${this.#target()}`);
    this.#delegateZone();
    for (let count = 0; count < NAMES; count += 1) this.#name();
    return { origin, text: this.#lines.join(""), owners: [...this.#owners], sets: this.#sets };
  }

  /** One more name with some records, unless there is something already that does not suffer it. */
  #name(): void {
    const depth = 1 + this.#below(DEPTH);
    const path = Array.from({ length: depth }, () => pick(this.#random, labels));
    const owner = `${path.join(".")}.${this.#origin}`;
    if (this.#owners.has(owner) || this.#isCovered(owner)) return;
    const isLeaf = ![...this.#owners].some((other) => other.endsWith(`.${owner}`));
    const isWild = owner.includes("*");
    const kind = this.#below(12);
    if (kind === 0 && isLeaf && !isWild) return this.#delegate(owner);
    if (kind === 1 && isLeaf && !isWild) return this.#rename(owner);
    if (kind <= 4) {
      this.#aliases.add(owner);
      return this.#add(owner, "CNAME", this.#target());
    }
    const count = 1 + this.#below(3);
    for (let each = 0; each < count; each += 1) this.#data(owner);
  }

  /** What this zone says of a zone below it that is there, too. */
  #delegateZone(): void {
    if (this.#index % 10 !== 8) return;
    const owner = originOf(this.#index + 1);
    this.#covers.add(owner);
    this.#add(owner, "NS", `ns1.${owner}`);
    this.#line(`ns1.${owner}`, "A", "192.0.2.53");
    if (this.#below(2) === 0) this.#add(owner, "DS", `1 13 2 ${"cd".repeat(32)}`);
  }

  #delegate(owner: string): void {
    this.#covers.add(owner);
    const servers = [`ns.${owner}`, `ns1.${this.#origin}`, "ns.example.com."];
    const server = pick(this.#random, servers);
    this.#add(owner, "NS", server);
    if (this.#below(2) === 0) this.#add(owner, "NS", `deep.ns.${owner}`);
    if (this.#below(2) === 0) this.#add(owner, "DS", `1 13 2 ${"ab".repeat(32)}`);
    if (server === `ns.${owner}`) {
      this.#line(server, "A", "192.0.2.99");
      if (this.#below(2) === 0) this.#line(server, "AAAA", "2001:db8::99");
    }
    if (this.#lines.some((line) => line.includes(` deep.ns.${owner}\n`)))
      this.#line(`deep.ns.${owner}`, "A", "192.0.2.98");
  }

  #rename(owner: string): void {
    this.#covers.add(owner);
    this.#add(owner, "DNAME", this.#target());
    if (this.#below(2) === 0) this.#add(owner, "TXT", '"beside a DNAME"');
  }

  #data(owner: string): void {
    const byte = this.#below(250) + 1;
    const made: readonly (readonly [string, string])[] = [
      ["A", `192.0.2.${byte}`],
      ["A", `192.0.2.${byte}`],
      ["AAAA", `2001:db8::${byte}`],
      ["TXT", `"text ${byte}" "a\\"b\\000"`],
      ["MX", `${byte} ${this.#target()}`],
      ["SRV", `1 ${byte} 443 ${this.#target()}`],
      ["HTTPS", `1 ${this.#below(2) === 0 ? "." : this.#target()} alpn=h2`],
      ["CAA", '0 issue "ca.example.net"'],
      ["TYPE65280", "\\# 3 00ff01"],
    ];
    const [type, data] = pick(this.#random, made);
    this.#add(owner, type, data);
  }

  /** Somewhere: here, in another zone, outside all, or nowhere. */
  #target(): string {
    const known = [...this.#owners].filter((owner) => !owner.includes("*"));
    return pick(this.#random, [
      pick(this.#random, known.length === 0 ? [this.#origin] : known),
      `${pick(this.#random, ["a", "b", "x"])}.${pick(this.#random, ["b", "c"])}.${this.#origin}`,
      `a.${originOf(this.#below(this.#zones))}`,
      pick(this.#random, outside),
    ]);
  }

  #add(owner: string, type: string, data: string): void {
    this.#owners.add(owner);
    this.#sets.push({ name: owner, type });
    this.#line(owner, type, data);
  }

  #line(owner: string, type: string, data: string): void {
    const line = `${owner} ${300 + type.length} IN ${type} ${data}\n`;
    if (!this.#lines.includes(line)) this.#lines.push(line);
  }

  #isCovered(owner: string): boolean {
    return [...this.#covers].some((cover) => owner.endsWith(`.${cover}`));
  }

  #below(bound: number): number {
    return this.#random.next32() % bound;
  }
}

/** Zones of which one is below another are among them. */
function originOf(index: number): string {
  return index % 10 === 9 ? `sub.z${index - 1}.test.` : `z${index}.test.`;
}
