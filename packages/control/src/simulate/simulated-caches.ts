// SPDX-License-Identifier: Apache-2.0

// Clients of the simulated world: caches that ask edges, one by one, and so many requests a second behind each.

import { Pcg32, parseDuration } from "@meridian/core";
import type { ScenarioSpec } from "@meridian/model";
import type { World } from "@meridian/snapshot";
import { Audiences } from "../traffic/audience.ts";
import { LoadBins } from "../traffic/load-bins.ts";
import {
  CacheAddresses,
  PairAnswers,
  PlaceNumbers,
  type CacheQuestion,
} from "../traffic/pair-answers.ts";
import {
  ResolverCaches,
  keptSeconds,
  type AnswerSource,
  type CacheGroup,
} from "../traffic/resolver-caches.ts";
import { usualResolvers } from "../traffic/load-course.ts";

/** Longest time that caches live before the scenario begins. */
const WARM_SECONDS_MAX = 3600;
/** Numbers kept of load to come; with more, steps are longer. */
const CELLS_MAX = 8_000_000;
const STEP_SECONDS = 0.25;

/** One kind of resolvers behind one demand. */
interface Group {
  readonly demand: number;
  readonly cache: CacheGroup;
  readonly question: CacheQuestion;
}

/** What an edge of the world answers with. */
export interface Answering {
  readonly slots: () => Uint32Array;
}

/** Stands in for an edge's answers: for comparison with what others would do. */
export type OtherAnswers = (real: AnswerSource, places: readonly string[]) => AnswerSource;

export class SimulatedCaches {
  readonly stepSeconds: number;
  readonly warmSeconds: number;
  /** Places by number; number 0 is nowhere. */
  readonly places: readonly string[];
  /** Names of the demands that ask. */
  readonly demands: readonly string[];
  readonly #caches: ResolverCaches;
  readonly #bins: LoadBins;
  readonly #rates: Float64Array;
  readonly #source: AnswerSource;
  readonly #edges: readonly { readonly answers: PairAnswers; readonly slots: () => Uint32Array }[];
  #untilSeconds = 0;

  constructor(
    spec: ScenarioSpec,
    world: World,
    edges: ReadonlyMap<string, Answering>,
    options: {
      readonly seed: number;
      readonly control: Answering;
      readonly others?: OtherAnswers | undefined;
    },
  ) {
    const asking = Object.entries(spec.demand).filter(([, { rate }]) => rate > 0);
    this.demands = asking.map(([name]) => name);
    const audiences = new Audiences([world]);
    const groups = asking.flatMap(([, own], demand) =>
      groupsOf(spec, audiences, own).map((group) => ({ demand, ...group })),
    );
    const questions = groups.map(({ question }) => question);
    const addresses = new CacheAddresses(questions);
    const places = new PlaceNumbers();
    const answering = [options.control, ...edges.values()];
    this.#edges = answering.map(({ slots }) => ({
      slots,
      answers: new PairAnswers(
        { world, slots: slots() },
        questions,
        addresses,
        places,
        (of, endpoint) => of.endpointName(endpoint),
      ),
    }));
    const edgeNames = [...edges.keys()];
    const edgeOf = asking.map(([, { edge }]) =>
      edge === undefined ? 0 : edgeNames.indexOf(edge) + 1,
    );
    this.places = places.names;
    const ttlOf = (group: number): number => this.#edges[0]?.answers.ttlMaxOf(group) ?? 1;
    const longest = Math.max(
      1,
      ...groups.map(({ cache }, group) => keptSeconds(cache, ttlOf(group))),
    );
    const durationSeconds = (parseDuration(spec.duration) ?? 0) / 1000;
    const warm = Math.min(WARM_SECONDS_MAX, Math.max(60, longest * 2));
    const cells = Math.max(1, this.demands.length) * this.places.length;
    const steps = Math.max(1, Math.floor(CELLS_MAX / cells));
    const wanted = Math.max(1, (warm + durationSeconds) / steps / STEP_SECONDS);
    this.stepSeconds = STEP_SECONDS * 2 ** Math.ceil(Math.log2(wanted));
    this.warmSeconds = Math.ceil(warm / this.stepSeconds) * this.stepSeconds;
    const binCount = Math.ceil((this.warmSeconds + durationSeconds) / this.stepSeconds);
    this.#bins = new LoadBins(cells, binCount, this.stepSeconds);
    this.#rates = new Float64Array(cells);
    const sources = this.#edges.map(({ answers }) =>
      options.others === undefined ? answers : options.others(answers, this.places),
    );
    this.#source = new EdgesAnswer(
      groups.map(({ demand }) => sources[edgeOf[demand] ?? 0] ?? sources[0]),
      groups.map(({ demand }) => demand * this.places.length),
    );
    const random = new Pcg32(options.seed);
    this.#caches = new ResolverCaches(
      groups.map(({ cache }) => cache),
      ttlOf,
      random,
    );
  }

  get count(): number {
    return this.#caches.count;
  }

  get rounds(): number {
    return this.#caches.rounds;
  }

  /** A step; rates of requests by demand and place, `demand × places + place`. Valid until the next. */
  step(): Float64Array {
    for (const { answers, slots } of this.#edges) answers.slots = slots();
    this.#untilSeconds += this.stepSeconds;
    this.#caches.run(this.#untilSeconds, this.#source, this.#bins);
    return this.#bins.next(this.#rates) ?? this.#rates;
  }
}

/** Each group asks the edge of its demand; places are told apart by demand. */
class EdgesAnswer implements AnswerSource {
  ttlSeconds = 0;
  readonly #sources: readonly (AnswerSource | undefined)[];
  readonly #first: readonly number[];

  constructor(sources: readonly (AnswerSource | undefined)[], first: readonly number[]) {
    this.#sources = sources;
    this.#first = first;
  }

  answer(group: number, index: number, nowSeconds: number): number {
    const source = this.#sources[group];
    if (source === undefined) return 0;
    const place = source.answer(group, index, nowSeconds);
    this.ttlSeconds = source.ttlSeconds;
    return place + (this.#first[group] ?? 0);
  }
}

function groupsOf(
  { resolvers }: ScenarioSpec,
  audiences: Audiences,
  { name, from, rate }: ScenarioSpec["demand"][string],
): Omit<Group, "demand">[] {
  const kinds = resolversOf(resolvers).filter(({ share }) => share > 0);
  const total = kinds.reduce((sum, { share }) => sum + share, 0);
  return kinds.map(({ share, caches, ttlFloor, ttlCap, wholeSeconds, ecs, from: at }) => ({
    cache: {
      count: caches,
      weight: 1,
      rate: (rate * share) / total / caches,
      ttlFloorSeconds: (parseDuration(ttlFloor) ?? 0) / 1000,
      ttlCapSeconds: (parseDuration(ttlCap) ?? 0) / 1000,
      wholeSeconds,
    },
    question: { name, audience: audiences.of(ecs || at === undefined ? from : at), count: caches },
  }));
}

type Resolvers = NonNullable<ScenarioSpec["resolvers"]>[string];

/** The kinds of resolvers of a scenario. */
export function resolversOf(resolvers: ScenarioSpec["resolvers"]): Resolvers[] {
  if (resolvers !== undefined) return Object.values(resolvers);
  return Object.values(usualResolvers).map((kind) => ({
    ...kind,
    wholeSeconds: false,
    ecs: true,
  }));
}
