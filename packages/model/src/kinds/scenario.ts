// SPDX-License-Identifier: Apache-2.0

// What `meridian simulate` plays: who asks for how much, what the places can do, what happens when, and what is expected of it. It is read by
// that command alone: no store keeps it and no compiler looks at it. Documents that it is about lie beside it, in its file or in a folder.

import { parseDuration } from "@meridian/core";
import type * as z from "zod";
import {
  amount,
  domainName,
  duration,
  exactlyOne,
  flag,
  list,
  mapOf,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  reference,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { type Finding, findingsOf } from "../issues.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { targetForm, targetWanted } from "./shift.ts";
import { demandSource } from "./traffic-profile.ts";

const DAY_MS = 86_400_000;
const EVENTS_MAX = 1000;
const TARGETS_MAX = 256;
const NAMES_MAX = 64;

const target = () => textLike(targetForm, targetWanted);
const targets = () => list(target(), 1, TARGETS_MAX).describe("What it happens to.");
const percent = () => numberBetween(0, 100);

const side = () =>
  object({
    sites: list(name(), 0, NAMES_MAX).default([]).describe("Sites, with those in them."),
    edges: list(name(), 0, NAMES_MAX).default([]).describe("Edges, which probe as well."),
    demand: list(name(), 0, NAMES_MAX)
      .default([])
      .describe("Clients, by the name of their demand."),
    control: flag().default(false).describe("Whether the control plane is on this side."),
  });

const eventKinds = [
  "fail",
  "heal",
  "flap",
  "brownOut",
  "partition",
  "lie",
  "demand",
  "shift",
  "unshift",
  "control",
  "weights",
] as const;

const event = exactlyOne(
  object({
    at: duration().describe("When, from the start."),
    for: positiveDuration()
      .optional()
      .describe(
        "How long a fail, flap, brownOut, partition, lie, demand, control or weights lasts; for good when not set.",
      ),
    name: name().optional().describe("What `expect` calls it."),
    fail: object({
      targets: targets(),
      as: oneOf(["refuse", "hang"])
        .default("refuse")
        .describe("Whether connections are refused at once or nothing ever answers."),
    })
      .optional()
      .describe("Endpoints die."),
    heal: object({ targets: targets() })
      .optional()
      .describe("Ends every fail, flap and brownOut of these targets, written alike."),
    flap: object({
      targets: targets(),
      every: positiveDuration().describe("From one death to the next."),
      down: positiveDuration().describe("How long each lasts, less than `every`."),
    })
      .refine(({ every, down }) => (parseDuration(down) ?? 0) < (parseDuration(every) ?? 0), {
        error: "down shorter than every",
      })
      .optional()
      .describe("Endpoints die and come back, again and again."),
    brownOut: object({
      targets: targets(),
      capacity: percent().default(100).describe("Share of capacity that is left, 0 to 100 %."),
      slow: numberBetween(1, 10_000).default(1).describe("Answers take so many times as long."),
      errors: percent().default(0).describe("Share of answers that are errors, 0 to 100 %."),
    })
      .optional()
      .describe("Endpoints serve badly."),
    partition: object({
      between: side().describe("One side."),
      and: side().describe("The other side."),
    })
      .optional()
      .describe("Nothing gets from one side to the other; both reach everything else."),
    lie: object({
      edges: list(name(), 1, NAMES_MAX).describe("Whose probes lie; `control` is one too."),
      targets: targets(),
      say: oneOf(["healthy", "unhealthy"]).describe("What they say, whatever is so."),
    })
      .optional()
      .describe("Probes report what is not so."),
    demand: object({
      names: list(name(), 0, NAMES_MAX)
        .default([])
        .describe("Demand that changes, all of it when empty."),
      times: numberBetween(0, 1000).describe("So many times as much as declared, 0 to 1000."),
    })
      .optional()
      .describe("Clients ask for more, or less."),
    shift: object({
      target: target().describe("What traffic leaves."),
      percent: numberBetween(0.1, 100).default(100).describe("Share that leaves; 100 drains."),
      startsIn: duration()
        .default("0s")
        .describe("When it leaves, from `at` on; TTLs are lowered before."),
      expiresIn: positiveDuration()
        .default("1h")
        .describe("When traffic comes back, after it has left."),
      return: object({
        percent: numberBetween(1, 99).describe("Share of all traffic that comes back, 1 to 99 %."),
        every: positiveDuration().describe("How often."),
      })
        .optional()
        .describe("Traffic comes back step by step; all of it at once unless given."),
      override: flag()
        .default(false)
        .describe("Whether it is done though what remains cannot carry the load."),
    })
      .optional()
      .describe("An operator moves traffic away."),
    unshift: object({ target: target().describe("Whose shifts end.") })
      .optional()
      .describe("An operator ends a shift; one with a return comes back by steps."),
    control: object({
      set: list(
        object({
          control: reference().describe("RoutingControl."),
          state: oneOf(["On", "Off"]).describe("What it is set to."),
        }),
        1,
        100,
      ).describe("Controls of one panel, changed together."),
      override: list(name(), 0, 100).default([]).describe("Safety rules that are not to object."),
    })
      .optional()
      .describe("An operator switches routing controls."),
    weights: object({
      policy: reference().describe("TrafficPolicy."),
      node: name().describe("Its node."),
      branches: list(
        object({
          target: text(300).describe("pool/NAMESPACE/NAME, node/NAME or name/HOST."),
          weight: wholeNumber(0, 1_000_000).describe("0 to 1000000."),
        }),
        0,
        256,
      ).describe("Weights in place of the document's; none gives all of them back."),
    })
      .optional()
      .describe("A rollout or plan gives branches other weights."),
  }),
  eventKinds,
);

const expectation = object({
  errors: percent()
    .optional()
    .describe("Share of all requests that fail in the end, 0 to 100 % at most."),
  withheld: percent()
    .optional()
    .describe("Share of all requests that get no endpoint, 0 to 100 % at most."),
  overload: duration()
    .optional()
    .describe("How long, all told, places may be asked for more than they can."),
  recovery: duration()
    .optional()
    .describe("After each fail, flap, brownOut, partition and lie, errors are over so soon."),
  verdictChanges: wholeNumber(0, 1_000_000)
    .optional()
    .describe("How often verdicts may change, all told."),
  turns: wholeNumber(0, 1_000_000)
    .optional()
    .describe("How often the load of a site may turn round, by 10 points or more, at most."),
  refused: list(name(), 0, EVENTS_MAX)
    .default([])
    .describe("Events that are refused; all others are done."),
  shares: list(
    object({
      target: text(300).describe("site/NAME, pool/NAMESPACE/NAME, name/HOST or an endpoint."),
      from: duration().describe("Begin of a span of time."),
      to: duration().describe("Its end."),
      min: percent().default(0).describe("Least share of the load in it, in percent."),
      max: percent().default(100).describe("Most."),
    }),
    0,
    NAMES_MAX,
  )
    .default([])
    .describe("Where load is at a time."),
});

/** A scenario of `meridian simulate`. */
export const scenarioSchema = document(
  "Scenario",
  namespacedMetadata,
  object({
    description: text(4096).optional().describe("What it shows."),
    duration: positiveDuration()
      .refine((value) => (parseDuration(value) ?? 0) <= DAY_MS, { error: "at most 24h" })
      .describe("How long it lasts, at most 24h."),
    seed: wholeNumber(0, 4_294_967_295)
      .default(1)
      .describe("Everything random follows from it, 0 to 4294967295."),
    unit: text(32).default("requests/s").describe("What demand and capacity are counted in."),
    demand: mapOf(
      object({
        name: domainName().describe("Name of a Record that these clients look up."),
        from: demandSource.prefault({ everywhere: {} }).describe("Where the clients are."),
        rate: amount().describe("How much they ask for together, 0 or more, in `unit`."),
        edge: name()
          .optional()
          .describe("Edge that answers them; the control plane's own when not set."),
      }),
    ).describe("Demand by names of your choice; all of it adds up."),
    resolvers: mapOf(
      object({
        share: amount().default(1).describe("Part of each demand behind them."),
        caches: wholeNumber(1, 1_000_000)
          .default(100)
          .describe("How many caches the part of each demand is spread over, 1 to 1000000."),
        ttlFloor: duration().default("0s").describe("Answers are kept at least so long."),
        ttlCap: positiveDuration().default("24h").describe("Answers are kept at most so long."),
        wholeSeconds: flag()
          .default(false)
          .describe(
            "Whether answers are kept to the end of the second in which their TTL ends, as Unbound does.",
          ),
        ecs: flag()
          .default(true)
          .describe("Whether they tell whose question it is; else edges see where they are."),
        from: demandSource
          .optional()
          .describe("Where resolvers without ECS are; where their clients are when not set."),
      }),
    )
      .optional()
      .describe(
        "Caches between clients and edges, by names of your choice; when not set, 100 a demand, of which 15 keep answers 30 s and 5 keep them 60 s at least.",
      ),
    edges: mapOf(
      object({
        site: name().optional().describe("Site that it is in."),
        isolation: oneOf(["local", "freeze"])
          .default("local")
          .describe("What it does cut off from control: judge by itself, or keep what it knows."),
      }),
    )
      .default({})
      .describe("Edges by name; each probes, and reports what it sees to control."),
    places: list(
      object({
        target: target().describe("Endpoints that this is about; the last one that names counts."),
        capacity: amount()
          .optional()
          .describe("What each endpoint can serve; what its document says when not set."),
        queue: amount()
          .optional()
          .describe("Requests that wait at each; those of one second when not set."),
        latency: duration().default("20ms").describe("Time of an answer without a queue."),
      }),
      0,
      TARGETS_MAX,
    )
      .default([])
      .describe("What endpoints do under load, where it differs."),
    clients: object({
      timeout: positiveDuration().default("2s").describe("Clients wait no longer."),
      retries: wholeNumber(0, 10).default(1).describe("How often a client tries again, 0 to 10."),
    })
      .prefault({})
      .describe("How clients behave."),
    events: list(event, 0, EVENTS_MAX).default([]).describe("What happens, in any order."),
    expect: expectation.optional().describe("What has to be true in the end."),
  }),
);

export type ScenarioDocument = z.output<typeof scenarioSchema>;
export type ScenarioSpec = ScenarioDocument["spec"];
export type ScenarioEvent = ScenarioSpec["events"][number];
export type ScenarioEventKind = (typeof eventKinds)[number];

/** What happens in an event. */
export function eventKindOf(event: ScenarioEvent): ScenarioEventKind {
  return eventKinds.find((kind) => event[kind] !== undefined) ?? "heal";
}

/** Reads a scenario; findings say what is wrong with it. */
export function parseScenario(
  raw: unknown,
): { readonly document: ScenarioDocument } | { readonly findings: readonly Finding[] } {
  const result = scenarioSchema.safeParse(raw);
  if (result.success) return { document: result.data };
  return { findings: findingsOf(result.error, scenarioSchema, raw, "Cannot read Scenario") };
}
