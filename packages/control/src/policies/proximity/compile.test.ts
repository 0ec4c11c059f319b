// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LocationMap, openSection } from "@meridian/snapshot";
import { LocationMapWriter } from "@meridian/snapshot/writer";
import fc from "fast-check";
import { classifierOf, mapOf, orderOf } from "../classify-sample.ts";
import {
  classesByOrder,
  compileProximity,
  type ProximityBranch,
  proximityOrder,
} from "./compile.ts";
import { biasedKm, type Coordinates, distanceKm, EARTH_RADIUS_KM } from "./great-circle.ts";

const kmPerDegree = (Math.PI * EARTH_RADIUS_KM) / 180;

/** A point so many km east on the equator. */
function east(km: number): Coordinates {
  return { latitude: 0, longitude: km / kmPerDegree };
}

const client = "192.0.2.1";
const equator = mapOf({ "192.0.2.0/24": { country: "ST", latitude: 0, longitude: 0 } });

function order(branches: readonly ProximityBranch[], formula: "pair" | "single"): number[] {
  return orderOf(classifierOf(compileProximity(branches, formula, equator)), client);
}

const anyPoint: fc.Arbitrary<Coordinates> = fc.record({
  latitude: fc.integer({ min: -900, max: 900 }).map((tenths) => tenths / 10),
  longitude: fc.integer({ min: -1800, max: 1800 }).map((tenths) => tenths / 10),
});

describe("compileProximity()", () => {
  it("vector 9: A at 150 km with bias +50 beats B at 100 km", () => {
    const branches = [{ coordinates: east(150), bias: 50 }, { coordinates: east(100) }];
    assert.deepEqual(order(branches, "pair"), [0, 1]);
    assert.deepEqual(order(branches, "single"), [0, 1]);
  });

  it("vector 9: A at 100 km with bias -50 loses to B at 150 km by the pair of formulas only", () => {
    const branches = [{ coordinates: east(100), bias: -50 }, { coordinates: east(151) }];
    assert.deepEqual(order(branches, "pair"), [1, 0]);
    assert.deepEqual(order(branches, "single"), [0, 1]);
  });

  it("keeps all branches, ties in the order of the branches, unplaced ones last", () => {
    const here = { coordinates: east(10) };
    assert.deepEqual(order([{}, here, { coordinates: east(5) }, here], "pair"), [2, 1, 3, 0]);
  });

  it("gives clients without coordinates the branches as listed", () => {
    const classifier = classifierOf(
      compileProximity([{ coordinates: east(9) }, { coordinates: east(1) }], "pair", equator),
    );
    assert.deepEqual(orderOf(classifier, "203.0.113.1"), [0, 1]);
  });

  it("agrees with sorting by another distance formula", () => {
    const branch = fc.record({ coordinates: anyPoint, bias: fc.integer({ min: -99, max: 99 }) });
    fc.assert(
      fc.property(anyPoint, fc.array(branch, { minLength: 1, maxLength: 12 }), (from, branches) => {
        const map = mapOf({ "192.0.2.0/24": { country: "DE", ...from } });
        const found = orderOf(classifierOf(compileProximity(branches, "pair", map)), client);
        const km = branches.map(({ coordinates, bias }) => {
          const angle = slowAngle(from, coordinates) * EARTH_RADIUS_KM;
          return bias < 0 ? angle / (1 + bias / 100) : angle * (1 - bias / 100);
        });
        assert.equal(new Set(found).size, branches.length);
        for (let rank = 1; rank < found.length; rank++) {
          const nearer = km[found[rank - 1] ?? 0] ?? 0;
          const farther = km[found[rank] ?? 0] ?? 0;
          assert.ok(
            nearer <= farther + 1e-3 * Math.max(1, farther),
            `${nearer} km before ${farther} km`,
          );
        }
      }),
    );
  });

  it("grows a branch's area, and no other's, with its bias", () => {
    fc.assert(
      fc.property(anyPoint, fc.integer({ min: 1, max: 99 }), (from, bias) => {
        const map = mapOf({ "192.0.2.0/24": { country: "DE", ...from } });
        const places = [east(0), east(5000), { latitude: 50, longitude: 10 }];
        const first = (biases: readonly number[]): number | undefined => {
          const branches = places.map((coordinates, index) => ({
            coordinates,
            bias: biases[index] ?? 0,
          }));
          return orderOf(classifierOf(compileProximity(branches, "pair", map)), client)[0];
        };
        const before = first([0, 0, 0]);
        const after = first([bias, 0, 0]);
        assert.ok(after === before || after === 0);
      }),
      { numRuns: 60 },
    );
  });

  it("stays within its bound on a data set of many places", () => {
    const writer = new LocationMapWriter(2n);
    for (let index = 0; index < 4000; index++) {
      const latitude = ((index * 37) % 1700) / 10 - 85;
      const longitude = ((index * 91) % 3600) / 10 - 180;
      writer.ranges.set4(index * 65_536, writer.location({ country: "DE", latitude, longitude }));
    }
    const section = openSection(writer.finish().buffer);
    assert.ok(!("error" in section));
    const branches = Array.from({ length: 40 }, (_, index) => ({
      coordinates: { latitude: ((index * 17) % 160) - 80, longitude: ((index * 53) % 360) - 180 },
    }));
    const entriesMax = 40_000;
    const draft = classesByOrder(
      LocationMap.open(section),
      branches.length,
      (from) => proximityOrder(branches, "pair", from),
      entriesMax,
    );
    const entries = draft.orders.reduce((sum, list) => sum + list.length, 0);
    assert.ok(entries <= entriesMax && draft.orders.length > 100, String(entries));
    assert.ok(draft.orders.every((list) => list.length === branches.length));
  });
});

describe("distanceKm()", () => {
  it("knows well-known distances", () => {
    const frankfurt = { latitude: 50.05, longitude: 8.57 };
    const virginia = { latitude: 38.95, longitude: -77.45 };
    const singapore = { latitude: 1.36, longitude: 103.99 };
    assert.ok(Math.abs(distanceKm(frankfurt, virginia) - 6546) < 20);
    assert.ok(Math.abs(distanceKm(frankfurt, singapore) - 10_266) < 30);
    const halfway = distanceKm({ latitude: 90, longitude: 0 }, { latitude: -90, longitude: 77 });
    assert.ok(Math.abs(halfway - Math.PI * EARTH_RADIUS_KM) < 1e-6);
  });
});

describe("biasedKm()", () => {
  it("doubles at -50 by the pair and adds half by the single formula", () => {
    assert.equal(biasedKm(100, -50, "pair"), 200);
    assert.equal(biasedKm(100, -50, "single"), 150);
    assert.equal(biasedKm(150, 50, "pair"), 75);
    assert.equal(biasedKm(100, 0, "pair"), biasedKm(100, 0, "single"));
  });
});

/** The angle between two unit vectors. */
function slowAngle(a: Coordinates, b: Coordinates): number {
  const vector = ({ latitude, longitude }: Coordinates): [number, number, number] => {
    const [north, along] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
    return [Math.cos(north) * Math.cos(along), Math.cos(north) * Math.sin(along), Math.sin(north)];
  };
  const [ax, ay, az] = vector(a);
  const [bx, by, bz] = vector(b);
  return Math.acos(Math.min(1, Math.max(-1, ax * bx + ay * by + az * bz)));
}
