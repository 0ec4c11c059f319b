// SPDX-License-Identifier: Apache-2.0

// Random worlds with room: whatever one thing goes wrong, what is left can carry everything. So whoever lets a place be overloaded for long,
// or load swing, or a name be empty, has chosen badly.
//
//   0 s        60 s                  200 s    340 s                 480 s       620 s
//   ├── quiet ──┤ something is wrong  ├─ quiet ─┤ something is wrong  ├─ quiet ──┤

import assert from "node:assert/strict";
import { readScenario } from "@meridian/control";
import { Pcg32 } from "@meridian/core";
import { below, oneOf } from "./random-model.ts";

type Simulated = NonNullable<ReturnType<typeof readScenario>["simulated"]>;

/** When something begins to be wrong, in seconds, and for how long it is. */
const BEGINS = [60, 340] as const;
const LASTS = 140;
const DURATION = 620;

type WorldKind = "weighted" | "sticky" | "failover" | "capacity";

export interface RandomWorld {
  readonly kind: WorldKind;
  readonly simulated: Simulated;
  /** What goes wrong. */
  readonly troubles: readonly Trouble[];
  /** Clients of one cache go together: half-width of what chance does to a share. */
  readonly noise: number;
}

/** Something that goes wrong for a time. */
interface Trouble {
  readonly text: string;
  readonly begin: number;
  readonly end: number;
  /** It is the same all the time, so that load can settle. */
  readonly isSteady: boolean;
}

interface Place {
  readonly name: string;
  readonly capacity: number;
  readonly members: number;
}

/** The world of a seed. */
export function randomWorld(seed: number, only?: WorldKind): RandomWorld {
  const random = new Pcg32(seed);
  const kinds = ["weighted", "sticky", "failover", "capacity"] as const;
  const kind = only ?? oneOf(random, kinds);
  const places = Array.from({ length: 3 + below(random, 2) }, (_, at): Place => {
    const members = kind === "capacity" ? 1 + below(random, 2) : 1;
    return { name: `s${at}`, capacity: 500 + below(random, 10) * 100, members };
  });
  const room = roomOf(kind, places);
  const rate = Math.round(room * (0.5 + below(random, 36) / 100));
  const edges = below(random, 3) === 0 ? ["e1", "e2"] : [];
  const caches = 1000;
  const troubles = BEGINS.map((at) => troubleOf(random, kind, places, edges, at));
  const scenario = {
    duration: `${DURATION}s`,
    seed,
    demand: { all: { name: "www.example.org", rate, ...(edges.length > 0 ? { edge: "e1" } : {}) } },
    resolvers: {
      honest: { share: 80, caches: (caches * 8) / 10 },
      floored: {
        share: 20,
        caches: (caches * 2) / 10,
        ttlFloor: oneOf(random, ["0s", "20s", "30s"]),
      },
    },
    edges: Object.fromEntries(edges.map((name) => [name, {}])),
    events: troubles.flatMap(({ events }) => events),
  };
  const documents = [...documentsOf(random, kind, places), document("Scenario", "world", scenario)];
  const bytes = Buffer.from(documents.map((each) => JSON.stringify(each)).join("\n"));
  const { simulated, problems } = readScenario([{ path: "world.jsonl", bytes }]);
  assert.ok(simulated !== undefined, problems.map(({ message }) => message).join("\n"));
  return {
    kind,
    simulated,
    troubles: troubles.map(({ events: own, isSteady }, at) => {
      const begin = BEGINS[at] ?? 0;
      return { text: JSON.stringify(own), begin, end: begin + LASTS, isSteady };
    }),
    noise: 2 * Math.sqrt(0.25 / caches),
  };
}

/** What can be carried whatever one place is gone. */
function roomOf(kind: WorldKind, places: readonly Place[]): number {
  const capacities = places.map(({ capacity }) => capacity);
  const all = capacities.reduce((sum, each) => sum + each, 0);
  const [first = 0] = capacities;
  if (kind === "failover") return Math.min(first, all - first);
  return all - Math.max(...capacities);
}

function documentsOf(random: Pcg32, kind: WorldKind, places: readonly Place[]): object[] {
  const ttl = oneOf(random, ["5s", "10s", "20s", "30s"]);
  const check = {
    http: {},
    interval: oneOf(random, ["2s", "3s", "5s"]),
    timeout: "1s",
    unhealthyThreshold: 2 + below(random, 2),
    healthyThreshold: 2,
    flapDamping: { maxFlips: 3, window: "3m", hold: "1m" },
  };
  const branches = places.map(({ name, capacity }) =>
    kind === "capacity" ? { pool: name } : { pool: name, weight: capacity },
  );
  const first = branches.slice(0, 1);
  const failback = oneOf(random, [{ failback: "auto" }, { failback: "hold", holdFor: "20s" }]);
  const node = {
    weighted: { weighted: { branches } },
    sticky: { sticky: { branches } },
    capacity: { capacity: { branches } },
    failover: {
      failover: {
        ...failback,
        tiers: [{ branches: first.map(({ pool }) => ({ pool })) }, { branches: branches.slice(1) }],
      },
    },
  }[kind];
  return [
    ...places.map(({ name }) => document("Site", name, {})),
    document("HealthCheck", "c", check),
    ...places.map((place, at) =>
      document("Pool", place.name, {
        healthCheck: "c",
        answers: 1,
        members: membersOf(place, at),
        ...(kind === "capacity" ? { load: { orca: {} } } : {}),
      }),
    ),
    document("TrafficPolicy", "p", { root: "r", nodes: { r: node } }),
    document("Zone", "example.org", {
      origin: "example.org",
      nameServers: [{ name: "ns1.example.org", addresses: ["192.0.2.53"] }],
    }),
    document("Record", "www", {
      ...{ name: "www.example.org", types: ["A"], policy: "p" },
      ttl: { max: ttl },
    }),
  ];
}

function membersOf({ name, capacity, members }: Place, at: number): object {
  return Object.fromEntries(
    Array.from({ length: members }, (_, member) => [
      `m${member}`,
      {
        address: `192.0.2.${at * 8 + member + 1}`,
        ...{ port: 80, site: name, capacity: capacity / members },
      },
    ]),
  );
}

interface Drawn {
  readonly events: readonly object[];
  readonly isSteady: boolean;
}

/** One thing that goes wrong at a time. */
function troubleOf(
  random: Pcg32,
  kind: WorldKind,
  places: readonly Place[],
  edges: readonly string[],
  at: number,
): Drawn {
  const targets = [`site/${oneOf(random, places).name}`];
  const during = { at: `${at}s`, for: `${LASTS}s` };
  const dies = { ...during, fail: { targets, as: oneOf(random, ["refuse", "hang"]) } };
  const every = `${10 + below(random, 30)}s`;
  const steady = (...events: object[]): Drawn => ({ events, isSteady: true });
  const unsteady = (...events: object[]): Drawn => ({ events, isSteady: false });
  const choices = [
    steady(dies),
    steady({ at: `${at}s`, shift: { target: targets[0], expiresIn: `${LASTS}s` } }),
    unsteady({ ...during, flap: { targets, every, down: "8s" } }),
    unsteady({ ...during, brownOut: { targets, errors: 60 + below(random, 40), slow: 2 } }),
  ];
  // Weights know nothing of load; failover has one place that carries everything.
  if (kind === "capacity")
    choices.push(steady({ ...during, brownOut: { targets, capacity: 40 + below(random, 40) } }));
  if (edges.length > 0) {
    const liars = [oneOf(random, ["control", ...edges])];
    const isolation = { between: { control: true }, and: { edges: ["e1"] } };
    choices.push(
      steady({ ...during, lie: { edges: liars, targets, say: "unhealthy" } }),
      steady(
        { ...during, partition: isolation },
        { ...dies, at: `${at + 10}s`, for: `${LASTS - 10}s` },
      ),
    );
  }
  return oneOf(random, choices);
}

function document(kind: string, name: string, spec: object): object {
  return { apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec };
}
