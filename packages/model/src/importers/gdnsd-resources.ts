// SPDX-License-Identifier: Apache-2.0
// Resources of gdnsd's plug-ins: what each becomes is made when a name or another resource leads to it.
import { documentName, type ImportReport } from "./imported.ts";
import { placedBranches } from "./gdnsd-places.ts";
import { emptyHash, hashAt, textAt, textsOf, type VscfHash, type VscfValue } from "./vscf.ts";

/** Where a branch of a node leads. */
export interface Leads {
  readonly pool?: string;
  readonly node?: string;
  readonly name?: string;
}

export type Nodes = Record<string, unknown>;

interface Resource {
  readonly plugin: string;
  readonly name: string;
  readonly value: VscfValue;
  /** Of the plug-in, for all its resources. */
  readonly defaults: VscfHash;
}

const DEPTH_MAX = 12;
const ANSWERS_MAX = 32;
const parameters: ReadonlySet<string> = new Set([
  ...["service_types", "up_thresh", "multi", "ignore_health"],
]);

export class GdnsdResources {
  readonly #plugins: VscfHash;
  readonly #file: string;
  readonly #checks: ReadonlyMap<string, string>;
  readonly #report: ImportReport;
  readonly #pools = new Set<string>();
  readonly #targets = new Map<string, Leads | undefined>();

  constructor(
    plugins: VscfHash,
    file: string,
    checks: ReadonlyMap<string, string>,
    report: ImportReport,
  ) {
    this.#plugins = plugins;
    this.#file = file;
    this.#checks = checks;
    this.#report = report;
  }

  /** What a Record says of `PLUGIN!RESOURCE`: a pool, or a policy that is added; undefined where it is not mapped. */
  target(text: string): { readonly pool: string } | { readonly policy: string } | undefined {
    if (!this.#targets.has(text)) this.#targets.set(text, this.#makeTarget(text));
    const leads = this.#targets.get(text);
    if (leads?.pool !== undefined) return { pool: leads.pool };
    return leads?.node === undefined ? undefined : { policy: leads.node };
  }

  #makeTarget(text: string): Leads | undefined {
    const nodes: Nodes = {};
    const leads = this.lead(text, nodes, 0);
    if (leads === undefined || leads.pool !== undefined) return leads;
    const policy = documentName(text);
    // A name elsewhere is the only branch of a node.
    const root = leads.node ?? "only";
    if (leads.name !== undefined) nodes[root] = { failover: { tiers: [{ branches: [leads] }] } };
    this.#report.document("TrafficPolicy", policy, { root, nodes });
    return { node: policy };
  }

  /** Where `PLUGIN!RESOURCE`, an address or a host name leads, with the nodes that it needs added. */
  lead(text: string, nodes: Nodes, depth: number): Leads | undefined {
    const [plugin = "", resource = ""] = text.replace(/^%/, "").split("!");
    if (!text.includes("!")) return undefined;
    const hash = hashAt(this.#plugins, plugin);
    const value = hash.entries.get(resource) ?? hashAt(hash, "resources").entries.get(resource);
    if (value === undefined || depth > DEPTH_MAX) {
      this.#skip(hash.line, text, "There is no such resource, or it leads back to itself");
      return undefined;
    }
    return this.#resource({ plugin, name: resource, value, defaults: hash }, nodes, depth);
  }

  #resource(resource: Resource, nodes: Nodes, depth: number): Leads | undefined {
    switch (resource.plugin) {
      case "multifo":
        return this.#multifo(resource);
      case "weighted":
        return this.#weighted(resource, nodes);
      case "simplefo":
        return this.#simplefo(resource, nodes);
      case "static":
        return this.#static(resource);
      case "metafo":
        return this.#metafo(resource, nodes, depth);
      case "geoip":
        return this.#geoip(resource, nodes, depth);
      default:
        this.#skip(
          resource.value.line,
          nameOf(resource),
          "There is no counterpart of that plug-in",
        );
        return undefined;
    }
  }

  #multifo(resource: Resource): Leads {
    const members = addressesOf(resource.value).map(([name, address]) => ({
      name,
      address,
      weight: 1,
    }));
    return this.#pool(resource, documentName(nameOf(resource)), members, ANSWERS_MAX);
  }

  #weighted(resource: Resource, nodes: Nodes): Leads | undefined {
    const { value } = resource;
    const families = familiesOf(value);
    const isMulti = this.#parameter(resource, "multi") === "true";
    const plain = families.flatMap((family) => weightedMembers(family));
    const groups = families.flatMap((family) => groupsOf(family));
    if (groups.length === 0) {
      if (isMulti)
        this.#skip(
          value.line,
          nameOf(resource),
          "multi: all that are healthy are answered, whatever their weights",
        );
      return this.#pool(resource, documentName(nameOf(resource)), plain, isMulti ? ANSWERS_MAX : 1);
    }
    if (isMulti) {
      this.#skip(
        value.line,
        nameOf(resource),
        "Groups with multi (one address of each) have no counterpart",
      );
      return undefined;
    }
    const branches = groups.map(([group, hash]) => {
      const members = weightedMembers(hash);
      const weight = members.reduce((sum, each) => sum + each.weight, 0);
      if (new Set(members.map((each) => each.weight)).size > 1)
        this.#skip(
          hash.line,
          `group "${group}" of ${nameOf(resource)}`,
          "All healthy members of a group are answered, whatever their weights",
        );
      return {
        ...this.#pool(resource, documentName(`${nameOf(resource)}-${group}`), members, ANSWERS_MAX),
        weight,
      };
    });
    return addNode(nodes, documentName(nameOf(resource)), { weighted: { branches } });
  }

  #simplefo(resource: Resource, nodes: Nodes): Leads {
    const families = familiesOf(resource.value);
    const tier = (which: string): object => {
      const members = families.flatMap((family) => {
        const address = textAt(family, which);
        return address === undefined ? [] : [{ name: which, address, weight: 1 }];
      });
      const name = documentName(`${nameOf(resource)}-${which}`);
      return { branches: [this.#pool(resource, name, members, ANSWERS_MAX)] };
    };
    const tiers = [tier("primary"), tier("secondary")];
    return addNode(nodes, documentName(nameOf(resource)), { failover: { tiers } });
  }

  #static(resource: Resource): Leads {
    const members = textsOf(resource.value).map((address) => ({
      name: documentName(address),
      address,
      weight: 1,
    }));
    return this.#pool(
      { ...resource, defaults: emptyHash },
      documentName(nameOf(resource)),
      members,
      ANSWERS_MAX,
    );
  }

  #metafo(resource: Resource, nodes: Nodes, depth: number): Leads | undefined {
    const { value } = resource;
    if (value.kind !== "hash") return undefined;
    const datacenters = textsOf(value.entries.get("datacenters"));
    return this.#inOrder(resource, datacenters, nodes, depth);
  }

  #geoip(resource: Resource, nodes: Nodes, depth: number): Leads | undefined {
    const { value, defaults } = resource;
    const map = value.kind === "hash" ? textAt(value, "map") : undefined;
    if (map === undefined) return undefined;
    const places = hashAt(hashAt(defaults, "maps"), map);
    const skip = (line: number, what: string, why: string): void =>
      this.#skip(line, `${what} of map "${map}"`, why);
    const order = (datacenters: readonly string[]): Leads | undefined =>
      this.#inOrder(resource, datacenters, nodes, depth);
    const placed = placedBranches(places, order, skip);
    const name = documentName(nameOf(resource));
    const geo =
      placed.geo.length === 1
        ? placed.geo[0]?.leads
        : addNode(nodes, `${name}-geo`, {
            geo: { branches: placed.geo.map(({ leads, ...rest }) => ({ ...leads, ...rest })) },
          });
    if (placed.nets.length === 0 || geo === undefined) return geo;
    const branches = [
      ...placed.nets.map(({ leads, prefixes }) => ({ ...leads, prefixes })),
      { ...geo, default: true },
    ];
    return addNode(nodes, `${name}-nets`, { subnet: { branches } });
  }

  /** A failover over datacenters in some order; one alone needs no node. */
  #inOrder(
    resource: Resource,
    datacenters: readonly string[],
    nodes: Nodes,
    depth: number,
  ): Leads | undefined {
    const { value } = resource;
    const dcmap = value.kind === "hash" ? hashAt(value, "dcmap") : emptyHash;
    const leads = datacenters.flatMap((datacenter) => {
      const place = dcmap.entries.get(datacenter);
      const found =
        place === undefined ? undefined : this.#place(resource, datacenter, place, nodes, depth);
      return found === undefined ? [] : [found];
    });
    const [first, ...others] = leads;
    if (others.length === 0) return first;
    const name = documentName(`${nameOf(resource)}-${datacenters.join("-")}`);
    return addNode(nodes, name, {
      failover: { tiers: leads.map((each) => ({ branches: [each] })) },
    });
  }

  /** An entry of a dcmap: another resource, an address, a host name, or addresses as multifo has them. */
  #place(
    resource: Resource,
    datacenter: string,
    place: VscfValue,
    nodes: Nodes,
    depth: number,
  ): Leads | undefined {
    if (place.kind !== "text" || isAddress(place.text)) {
      const members = addressesOf(place).map(([name, address]) => ({ name, address, weight: 1 }));
      return this.#pool(
        resource,
        documentName(`${nameOf(resource)}-${datacenter}`),
        members,
        ANSWERS_MAX,
      );
    }
    if (place.text.includes("!")) return this.lead(place.text, nodes, depth + 1);
    return { name: place.text.replace(/\.$/, "") };
  }

  #pool(resource: Resource, name: string, members: readonly MemberOf[], answers: number): Leads {
    if (this.#pools.has(name)) return { pool: name };
    this.#pools.add(name);
    const types = textsOf(this.#parameterValue(resource, "service_types"));
    const checks = types.flatMap((type) => this.#checks.get(type) ?? []);
    if (types.length > 1)
      this.#skip(
        resource.value.line,
        `service_types ${types.slice(1).join(", ")} of ${nameOf(resource)}`,
        "A pool has one check; calculated checks join several",
      );
    const percent = Math.ceil(Number(this.#parameter(resource, "up_thresh") ?? 0.5) * 100);
    this.#report.document("Pool", name, {
      members: memberSpecs(members),
      ...(checks[0] === undefined
        ? { evaluateHealth: false }
        : { healthCheck: checks[0], minHealthy: { percent } }),
      answers: Math.max(1, Math.min(answers, members.length)),
    });
    return { pool: name };
  }

  #parameter(resource: Resource, name: string): string | undefined {
    const value = this.#parameterValue(resource, name);
    return value?.kind === "text" ? value.text : undefined;
  }

  #parameterValue({ value, defaults }: Resource, name: string): VscfValue | undefined {
    const own = value.kind === "hash" ? value.entries.get(name) : undefined;
    return own ?? defaults.entries.get(name);
  }

  #skip(line: number, what: string, why: string): void {
    this.#report.skip(this.#file, line, what, why);
  }
}

interface MemberOf {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
}

/** Addresses of both families under one name are one member. */
function memberSpecs(members: readonly MemberOf[]): Record<string, object> {
  const specs: Record<string, { address: string; alsoAddress?: string; weight?: number }> = {};
  for (const { name, address, weight } of members) {
    const key = documentName(name);
    const plain = isAddress(address) ? address : address.replace(/\.$/, "");
    const first = specs[key];
    if (first !== undefined && isAddress(plain)) first.alsoAddress = plain;
    else specs[key] = { address: plain, ...(weight === 1 ? {} : { weight }) };
  }
  return specs;
}

function addNode(nodes: Nodes, name: string, node: object): Leads {
  nodes[name] = node;
  return { node: name };
}

function nameOf({ plugin, name }: Resource): string {
  return `${plugin}!${name}`;
}

function isAddress(text: string): boolean {
  return /^[0-9.]+$/.test(text) || text.includes(":");
}

/** Pairs of a name and an address: of a list numbered, of a hash by its keys, of both families. */
function addressesOf(value: VscfValue): [name: string, address: string][] {
  if (value.kind !== "hash")
    return textsOf(value).map((address, index) => [`member-${index + 1}`, address]);
  return familiesOf(value).flatMap((family) => [
    ...[...family.entries].flatMap(([name, each]): [string, string][] =>
      each.kind === "text" && !parameters.has(name) ? [[name, each.text]] : [],
    ),
  ]);
}

/** A resource, or the parts of it for each family. */
function familiesOf(value: VscfValue): VscfHash[] {
  if (value.kind !== "hash") return [];
  const parts = ["addrs_v4", "addrs_v6", "cnames"].flatMap((name) => {
    const part = value.entries.get(name);
    return part?.kind === "hash" ? [part] : [];
  });
  return parts.length > 0 ? parts : [value];
}

function weightedMembers(hash: VscfHash): MemberOf[] {
  return [...hash.entries].flatMap(([name, value]) => {
    const [address, weight] = value.kind === "list" ? textsOf(value) : [];
    return address === undefined || weight === undefined || parameters.has(name)
      ? []
      : [{ name, address, weight: Number(weight) }];
  });
}

function groupsOf(hash: VscfHash): [string, VscfHash][] {
  return [...hash.entries].flatMap(([name, value]): [string, VscfHash][] =>
    value.kind === "hash" ? [[name, value]] : [],
  );
}
