// SPDX-License-Identifier: Apache-2.0

// What was measured of the demo (simulate-demo.ts) beside what `meridian simulate` foretells of it, second by second; the file gets both, and
// a picture. By hand: node test/proof/demo-agreement.ts FILE [PICTURE]

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  readDocumentFiles,
  readScenario,
  simulate,
  type SimulationReport,
} from "@meridian/control";
import { parseDuration } from "@meridian/core";
import type { ScenarioEvent } from "@meridian/model";
import { agreementPicture } from "./agreement-picture.ts";

/** Events come so long after the moment that the scenario says: probes have a phase of their own, which nobody waits for. */
const OFFSETS_MS = [0, 250, 500, 750];
const SEEDS = 5;
const BOUND = 0.05;
const root = join(import.meta.dirname, "../..");

/** A region's share of a name, second by second, and half of its 95 % interval over rounds. */
export interface MeasuredRegion {
  readonly region: string;
  readonly share: readonly number[];
  readonly error: readonly number[];
  readonly foretold?: readonly number[];
}

export interface Measured {
  readonly names: readonly { readonly name: string; readonly regions: readonly MeasuredRegion[] }[];
  readonly steps: readonly string[];
  readonly stepSeconds: number;
}

/** Sums of a region's load and of all load of a name, as they grow: read anywhere between the ends of bins. */
class GrowingSum {
  readonly #seconds: readonly number[];
  readonly #sums: readonly number[];

  constructor(seconds: readonly number[], rates: readonly number[]) {
    this.#seconds = [0, ...seconds];
    let sum = 0;
    this.#sums = [
      0,
      ...rates.map((rate, bin) => (sum += rate * ((seconds[bin] ?? 0) - (seconds[bin - 1] ?? 0)))),
    ];
  }

  at(second: number): number {
    const next = this.#seconds.findIndex((each) => each >= second);
    if (next <= 0) return next === 0 ? 0 : (this.#sums.at(-1) ?? 0);
    const [from, to] = [this.#seconds[next - 1] ?? 0, this.#seconds[next] ?? 0];
    const [low, high] = [this.#sums[next - 1] ?? 0, this.#sums[next] ?? 0];
    return low + ((high - low) * (second - from)) / (to - from);
  }
}

/** A region's share of a name by a report in which all happens `offsetSeconds` later. */
function shareOf(
  { places, seconds }: SimulationReport,
  name: string,
  region: string,
  offsetSeconds: number,
  count: number,
): number[] {
  const [first = ""] = name.split(".");
  const own = places.filter(({ target }) => target.startsWith(`endpoint/default/${first}-`));
  const there = own.filter(({ target }) => target.endsWith(`/${region}`));
  const growing = (some: typeof places): GrowingSum =>
    new GrowingSum(
      seconds,
      seconds.map((_, bin) => some.reduce((sum, { share }) => sum + (share[bin] ?? 0), 0)),
    );
  const [all, part] = [growing(own), growing(there)];
  return Array.from({ length: count }, (_, second) => {
    const [from, to] = [second + offsetSeconds, second + 1 + offsetSeconds];
    return (part.at(to) - part.at(from)) / (all.at(to) - all.at(from));
  });
}

async function foretell(count: number): Promise<{
  readonly of: (name: string, region: string) => number[];
  readonly runs: number;
  readonly caches: number;
}> {
  const paths = ["test/proof/simulate-demo.yaml", "deploy/examples/quickstart"];
  const { simulated, problems } = readScenario(
    readDocumentFiles(paths.map((path) => join(root, path))).files,
  );
  if (simulated === undefined) throw new Error(problems.map(({ message }) => message).join("\n"));
  const { scenario } = simulated;
  const later = (event: ScenarioEvent, byMs: number): ScenarioEvent => ({
    ...event,
    at: `${(parseDuration(event.at) ?? 0) + byMs}ms`,
  });
  const runs: { readonly report: SimulationReport; readonly offsetSeconds: number }[] = [];
  for (const offsetMs of OFFSETS_MS)
    for (let seed = 1; seed <= SEEDS; seed++) {
      const events = scenario.spec.events.map((event) => later(event, offsetMs));
      const spec = { ...scenario.spec, events, duration: `${count + 1}s` };
      const report = await simulate({ ...simulated, scenario: { ...scenario, spec } }, { seed });
      runs.push({ report, offsetSeconds: offsetMs / 1000 });
    }
  return {
    runs: runs.length,
    caches: runs[0]?.report.caches ?? 0,
    of: (name, region) => {
      const each = runs.map(({ report, offsetSeconds }) =>
        shareOf(report, name, region, offsetSeconds, count),
      );
      return Array.from(
        { length: count },
        (_, second) => each.reduce((sum, share) => sum + (share[second] ?? 0), 0) / each.length,
      );
    },
  };
}

const [path = "", picture] = process.argv.slice(2);
const measured: Measured = JSON.parse(readFileSync(path, "utf8"));
const count = measured.steps.length * measured.stepSeconds;
const foretold = await foretell(count);
const names = measured.names.map(({ name, regions }) => ({
  name,
  regions: regions.map((each) => ({ ...each, foretold: foretold.of(name, each.region) })),
}));
const differences = names.flatMap(({ name, regions }) =>
  regions.flatMap(({ region, share, error, foretold: other }) =>
    share.map((value, second) => ({
      ...{ name, region, second, measured: value, error: error[second] ?? 0 },
      foretold: other[second] ?? 0,
      difference: Math.abs(value - (other[second] ?? 0)),
    })),
  ),
);
const beyond = differences.filter(({ difference }) => difference > BOUND);
const round = (value: number): number => Number(value.toFixed(4));

/** The largest difference of means over spans of so many seconds. */
function largestOver(length: number): number {
  const spans = names.flatMap(({ regions }) =>
    regions.flatMap(({ share, foretold: other }) =>
      Array.from({ length: count - length + 1 }, (_, from) => {
        const sum = (values: readonly number[]): number =>
          values.slice(from, from + length).reduce((total, value) => total + value, 0);
        return Math.abs(sum(share) - sum(other)) / length;
      }),
    ),
  );
  return Math.max(...spans);
}
const agreement = {
  simulatedRuns: foretold.runs,
  simulatedCaches: foretold.caches,
  seconds: differences.length,
  meanDifference: round(
    differences.reduce((sum, { difference }) => sum + difference, 0) / differences.length,
  ),
  largestDifference: round(Math.max(...differences.map(({ difference }) => difference))),
  /** The same of means over spans of two seconds, each second the begin of one, and of five. */
  largestOfTwoSeconds: round(largestOver(2)),
  largestOfFiveSeconds: round(largestOver(5)),
  beyondBound: beyond.length,
  /** Those whose difference is more than the interval of what was measured. */
  beyondBoundAndInterval: beyond.filter(({ difference, error }) => difference > error).length,
  beyond: beyond.map((each) => ({
    ...each,
    ...{ measured: round(each.measured), foretold: round(each.foretold) },
    ...{ difference: round(each.difference), error: round(each.error) },
  })),
};
const shortened = names.map(({ name, regions }) => ({
  name,
  regions: regions.map(({ region, ...series }) => ({
    region,
    ...Object.fromEntries(Object.entries(series).map(([key, values]) => [key, values.map(round)])),
  })),
}));
writeFileSync(
  path,
  `${JSON.stringify({ ...measured, agreement, names: shortened }, undefined, 1)}\n`,
);
if (picture !== undefined) writeFileSync(picture, agreementPicture({ ...measured, names }));
process.stdout.write(`${JSON.stringify(agreement, undefined, 2)}\n`);
