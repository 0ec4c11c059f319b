// SPDX-License-Identifier: Apache-2.0
import type { DataSet, Model, NodeSpec } from "@meridian/model";
import { type ClassifierDraft, writeClassifier } from "@meridian/snapshot/writer";
import type { ClassifierCompiler, CompiledClassifier } from "../compile-policies.ts";
import type { ReportedLatency } from "../latency-samples.ts";
import { compileAsn } from "../policies/asn/compile.ts";
import { compileGeo } from "../policies/geo/compile.ts";
import { compileLatency } from "../policies/latency/compile.ts";
import { compileProximity } from "../policies/proximity/compile.ts";
import { compileSubnet } from "../policies/subnet/compile.ts";
import {
  type DataSets,
  type DataSetSource,
  type LoadedLatency,
  type LoadedMap,
  sourceOf,
} from "./data-sets.ts";
import type { LocationMapKind } from "./location-maps.ts";
import { unreadable } from "./unreadable.ts";

/** Where clients are of whom nothing is measured, unless a latency node names another data set. */
const DISTANCE_DATA_SET = "demo-country";

/**
 * Compiles the nodes that look at where a client is, for one load of the files. Data sets are read when the first node of a model asks for them, and once a model; a
 * data set that no policy uses is never read. `reported` adds what was reported to latency data sets.
 */
export function classifierCompiler(
  dataSets: DataSets,
  reported?: ReportedLatency,
): ClassifierCompiler {
  dataSets.startLoad();
  const loaders = new WeakMap<Model, ModelData>();
  return (model, node) => {
    let data = loaders.get(model);
    if (data === undefined || data.reportedVersion !== reported?.version) {
      data = new ModelData(model, dataSets, reported);
      loaders.set(model, data);
    }
    return data.classifierOf(node);
  };
}

/** The data sets of one model, each read once. */
class ModelData {
  /** Which reports of latency its tables may have. */
  readonly reportedVersion: number | undefined;
  readonly #model: Model;
  readonly #dataSets: DataSets;
  readonly #reported: ReportedLatency | undefined;
  readonly #maps = new Map<string, LoadedMap>();
  readonly #tables = new Map<string, LoadedLatency>();
  readonly #compiled = new Map<string, CompiledClassifier>();

  constructor(model: Model, dataSets: DataSets, reported: ReportedLatency | undefined) {
    this.reportedVersion = reported?.version;
    this.#model = model;
    this.#dataSets = dataSets;
    this.#reported = reported;
  }

  /**
   * Many policies place the same clients in front of different pools, and what is compiled here does not look at the pools: so equal places
   * are compiled once (10,000 policies of ten kinds: 0.1 s instead of 4 s).
   */
  classifierOf(node: NodeSpec): CompiledClassifier {
    const key = placesKey(node);
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      const draft = this.#draftOf(node);
      const map = draft.locations && this.#sectionOf(draft.locations.map.key);
      compiled = { classifier: writeClassifier(draft), maps: map === undefined ? [] : [map] };
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  #draftOf({ geo, proximity, latency, subnet, asn }: NodeSpec): ClassifierDraft {
    if (geo !== undefined) return compileGeo(geo.branches, this.#map(geo.dataSet));
    if (asn !== undefined) return compileAsn(asn.branches, this.#map(asn.dataSet));
    if (subnet !== undefined) return compileSubnet(subnet.branches);
    if (proximity !== undefined) {
      const branches = proximity.branches.map(({ site, coordinates, bias }) => ({
        coordinates: site === undefined ? coordinates : this.#model.coordinatesOf(site),
        bias,
      }));
      return compileProximity(branches, proximity.formula, this.#map(proximity.dataSet));
    }
    if (latency !== undefined) {
      const branches = latency.branches.map(({ site }) => ({
        site,
        coordinates: this.#model.coordinatesOf(site),
      }));
      const { table } = this.#table(latency.dataSet);
      const map = this.#map(latency.geoDataSet ?? DISTANCE_DATA_SET);
      return compileLatency({ branches, table, map });
    }
    throw new TypeError("A node without a place came to the classifier's compiler");
  }

  /** The section of a location map that a draft of this model links to. */
  #sectionOf(key: bigint): LoadedMap["section"] | undefined {
    return [...this.#maps.values()].find(({ section }) => section.key === key)?.section;
  }

  #map(name: string): LoadedMap["map"] {
    let loaded = this.#maps.get(name);
    if (loaded === undefined) {
      const { dataSet, source } = this.#source(name);
      loaded = this.#dataSets.loadMap(mapKindOf(dataSet), source);
      this.#maps.set(name, loaded);
    }
    return loaded.map;
  }

  #table(name: string): LoadedLatency {
    let loaded = this.#tables.get(name);
    if (loaded === undefined) {
      const { source } = this.#source(name);
      loaded = this.#dataSets.loadLatency(source, this.#reported?.pathOf(name));
      this.#tables.set(name, loaded);
    }
    return loaded;
  }

  #source(name: string): { dataSet: DataSet; source: DataSetSource } {
    const dataSet = this.#model.dataSet(name);
    if (dataSet === undefined) throw unreadable(`Cannot find data set "${name}"`);
    return { dataSet, source: sourceOf(dataSet) };
  }
}

/** Equal for nodes whose branches lie in the same places, whatever the branches lead to. */
function placesKey({ geo, proximity, latency, subnet, asn }: NodeSpec): string {
  return JSON.stringify({ geo, proximity, latency, subnet, asn }, (name, value: unknown) =>
    name === "node" || name === "pool" || name === "name" ? undefined : value,
  );
}

function mapKindOf({ name, kind }: DataSet): LocationMapKind {
  if (kind === "latency" || kind === "resolvers") {
    throw unreadable(`Cannot place clients by data set "${name}": its kind is ${kind}`);
  }
  return kind;
}
