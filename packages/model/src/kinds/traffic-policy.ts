// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import {
  exactlyOne,
  flag,
  hostName,
  list,
  mapOf,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  prefix,
  presentMembers,
  textLike,
  textOrEmpty,
  wholeNumber,
  reference,
} from "../fields.ts";
import { limits } from "../limits.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import {
  answers,
  clientLocation,
  coarseCoordinates,
  continents,
  dial,
  minHealthy,
} from "./shared.ts";

/** The members of a node of which exactly one is there. */
export const nodeKinds = [
  "geo",
  "proximity",
  "latency",
  "subnet",
  "asn",
  "failover",
  "weighted",
  "multivalue",
  "roundRobin",
  "capacity",
  "sticky",
] as const;

export type NodeKind = (typeof nodeKinds)[number];

/** The members of a branch of which exactly one is there. */
export const branchTargets = ["node", "pool", "name"] as const;

const branchFields = {
  node: name().optional().describe("Node of this policy to go on with."),
  pool: reference().optional().describe("Pool to answer from; NAMESPACE/NAME with a Grant."),
  name: hostName()
    .optional()
    .describe(
      "Host name elsewhere, answered as a CNAME, or by what it resolves to where none may stand.",
    ),
  fence: flag()
    .default(false)
    .describe("Whether this branch is never left for another place, whatever its health."),
  dial,
  evaluateHealth: flag()
    .default(true)
    .describe("Whether the branch is left when what it leads to is unhealthy."),
};

const weight = wholeNumber(0, 1_000_000);
const defaultBranch = flag()
  .default(false)
  .describe("Whether clients that match no branch come here.");

/** A list of branches: targets with the fields of their node. */
function branches<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const branch = exactlyOne(object({ ...branchFields, ...shape }), branchTargets);
  return list(branch, 1, limits.branchesMax).describe("Where clients may go.");
}

/** As `branches`, each with at least one of some lists of places, or the default. */
function placedBranches<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  places: readonly string[],
) {
  const hasPlace = (value: object): boolean =>
    ("default" in value && value.default === true) ||
    presentMembers(value, places).some((place) => lengthOf(Reflect.get(value, place)) > 0);
  const wanted = `${places.join(", ")} or default: true`;
  const branch = exactlyOne(
    object({ ...branchFields, ...shape, default: defaultBranch }),
    branchTargets,
  ).refine(hasPlace, { error: places.length === 1 ? wanted : `one of ${wanted}` });
  return list(branch, 1, limits.branchesMax).describe("Where clients may go.");
}

const geo = object({
  dataSet: name().default("demo-country").describe("DataSet that places prefixes in countries."),
  branches: placedBranches(
    {
      continents: list(oneOf(continents), 0, 7).default([]).describe("Continent codes."),
      countries: list(textLike(/^[A-Z]{2}$/, "an ISO 3166-1 country code such as DE"), 0, 256)
        .default([])
        .describe("ISO 3166-1 alpha-2 codes."),
      subdivisions: list(
        textLike(/^[A-Z]{2}-[A-Z0-9]{1,3}$/, "an ISO 3166-2 code such as US-CA"),
        0,
        1024,
      )
        .default([])
        .describe("ISO 3166-2 codes."),
    },
    ["continents", "countries", "subdivisions"],
  ),
});

const proximity = object({
  dataSet: name().default("demo-country").describe("DataSet that gives prefixes coordinates."),
  formula: oneOf(["pair", "single"])
    .default("pair")
    .describe("How a bias acts on distance: Route 53's pair of formulas, or its newer single one."),
  branches: list(
    exactlyOne(
      object({
        ...branchFields,
        site: name().optional().describe("Site whose coordinates count."),
        coordinates: coarseCoordinates.optional().describe("Coordinates of the place."),
        bias: wholeNumber(-99, 99)
          .default(0)
          .describe("Grows (above 0) or shrinks the area that comes here, -99 to 99."),
      }),
      branchTargets,
      ["site", "coordinates"],
    ),
    1,
    limits.branchesMax,
  ).describe("Where clients may go."),
});

const latency = object({
  dataSet: name().describe("DataSet with measured round-trip times."),
  geoDataSet: name()
    .optional()
    .describe("DataSet for the distance of clients where nothing is measured."),
  branches: branches({ site: name().describe("Site whose measurements count.") }),
});

const subnet = object({
  branches: placedBranches(
    {
      prefixes: list(prefix(), 0, 65_536)
        .default([])
        .describe("Client prefixes; the longest that holds the client wins."),
    },
    ["prefixes"],
  ),
});

const asn = object({
  dataSet: name().default("demo-asn").describe("DataSet that places prefixes in networks."),
  branches: placedBranches(
    {
      asns: list(wholeNumber(1, 4_294_967_295), 0, 65_536)
        .default([])
        .describe("Numbers of autonomous systems, 1 to 4294967295."),
    },
    ["asns"],
  ),
});

const failover = object({
  tiers: list(
    object({
      branches: branches({
        weight: weight
          .optional()
          .describe("Share within the tier, 0 to 1000000; equal when no branch has one."),
      }),
    }),
    1,
    32,
  ).describe("In order: the first tier with a healthy branch serves."),
  failback: oneOf(["auto", "hold", "manual"])
    .default("auto")
    .describe("Whether a recovered tier serves again at once, after holdFor, or by command."),
  holdFor: positiveDuration()
    .optional()
    .describe("How long a tier must be healthy before failback: hold returns to it."),
})
  .refine(({ failback, holdFor }) => failback !== "hold" || holdFor !== undefined, {
    path: ["holdFor"],
    error: "a duration such as 5m with failback: hold",
  })
  .refine(({ failback, holdFor }) => failback === "hold" || holdFor === undefined, {
    path: ["holdFor"],
    error: "nothing without failback: hold",
  });

const capacity = object({
  branches: branches({
    weight: weight.default(1).describe("Multiplies the capacity, 0 to 1000000."),
  }),
  lowWatermark: numberBetween(0, 1)
    .optional()
    .describe("Load from which traffic is moved away, 0 to 1."),
  highWatermark: numberBetween(0, 1)
    .optional()
    .describe("Load from which no traffic comes, 0 to 1; above lowWatermark."),
  halfLife: positiveDuration()
    .default("10s")
    .describe("Half-life of the moving average over the load."),
  maxStep: numberBetween(0.001, 1)
    .default(0.1)
    .describe("Greatest change of a share in one step, 0.001 to 1."),
  onNoData: oneOf(["hold", "neutral", "drain"])
    .default("hold")
    .describe("After staleAfter without load: keep the share, use the weight, or none."),
  staleAfter: positiveDuration().default("1m").describe("Age from which a load no longer counts."),
}).refine(
  ({ lowWatermark, highWatermark }) =>
    lowWatermark === undefined || highWatermark === undefined || lowWatermark < highWatermark,
  { path: ["highWatermark"], error: "more than lowWatermark" },
);

const sticky = object({
  branches: branches({
    weight: weight.default(1).describe("Share of the clients, 0 to 1000000."),
  }),
  salt: textOrEmpty(64).default("").describe("Text that changes who goes where."),
  stickyPrefix: object({
    ipv4: wholeNumber(8, 32).default(24).describe("Bits of IPv4 clients kept together, 8 to 32."),
    ipv6: wholeNumber(16, 128)
      .default(56)
      .describe("Bits of IPv6 clients kept together, 16 to 128."),
  })
    .prefault({})
    .describe("How much of a client's address counts."),
});

const node = exactlyOne(
  object({
    geo: geo.optional().describe("By continent, country or subdivision; the smallest place wins."),
    proximity: proximity.optional().describe("By great-circle distance, with a bias."),
    latency: latency.optional().describe("By measured round-trip time."),
    subnet: subnet.optional().describe("By client prefix."),
    asn: asn.optional().describe("By the client's autonomous system."),
    failover: failover.optional().describe("By order: tiers that stand in for one another."),
    weighted: object({
      branches: branches({
        weight: weight.describe("Share among its peers, 0 to 1000000; 0 serves as a last choice."),
      }),
    })
      .optional()
      .describe("By weight, at random."),
    multivalue: object({
      branches: branches({}),
      answers: wholeNumber(1, 32).default(8).describe("Endpoints in one answer, 1 to 32."),
    })
      .optional()
      .describe("Several at once, spread over failure domains."),
    roundRobin: object({ branches: branches({}) })
      .optional()
      .describe("Each in turn."),
    capacity: capacity.optional().describe("By free capacity."),
    sticky: sticky.optional().describe("By a hash of the client's prefix: it stays where it is."),
    onAllUnhealthy: oneOf(["parent", "open", "closed", "lastKnown", "fallback"])
      .optional()
      .describe(
        "When nothing is healthy: tell the parent (default below the root), decide as if all were healthy (default of the root), answer nothing, keep the last choice, or use fallback.",
      ),
    fallback: exactlyOne(
      object({
        pool: reference().optional().describe("Pool to answer from; NAMESPACE/NAME with a Grant."),
        name: hostName()
          .optional()
          .describe(
            "Host name elsewhere, answered as a CNAME, or by what it resolves to where none may stand.",
          ),
      }),
      ["pool", "name"],
    )
      .optional()
      .describe("Where to go with onAllUnhealthy: fallback."),
    minHealthy: minHealthy
      .optional()
      .describe("How many branches must be healthy for the node to be; 1 when not set."),
    answers,
  }),
  nodeKinds,
)
  .refine(
    ({ onAllUnhealthy, fallback }) => onAllUnhealthy !== "fallback" || fallback !== undefined,
    {
      path: ["fallback"],
      error: "a pool or name with onAllUnhealthy: fallback",
    },
  )
  .refine(
    ({ onAllUnhealthy, fallback }) => onAllUnhealthy === "fallback" || fallback === undefined,
    {
      path: ["fallback"],
      error: "nothing without onAllUnhealthy: fallback",
    },
  );

/** A graph of named nodes that picks endpoints for a client. */
export const trafficPolicySchema = document(
  "TrafficPolicy",
  namespacedMetadata,
  object({
    root: name().describe("Node that decides first."),
    nodes: mapOf(node)
      .refine((nodes) => Object.keys(nodes).length <= limits.policyNodesMax, {
        error: `at most ${limits.policyNodesMax} nodes`,
      })
      .describe("Nodes by name; the name is what counters, latches and explain use."),
    clientLocation,
  }),
);

export type TrafficPolicySpec = z.output<typeof trafficPolicySchema>["spec"];
export type NodeSpec = TrafficPolicySpec["nodes"][string];
/** What a branch of any kind of node has. */
export interface BranchSpec {
  readonly node?: string | undefined;
  readonly pool?: string | undefined;
  readonly name?: string | undefined;
  readonly fence: boolean;
  readonly dial: number;
  readonly evaluateHealth: boolean;
  readonly weight?: number | undefined;
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}
