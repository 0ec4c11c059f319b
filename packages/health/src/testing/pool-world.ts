// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { SectionPack, World } from "@meridian/snapshot";
import { writePolicies, writePools, type EndpointInput } from "@meridian/snapshot/writer";

function member(name: string): EndpointInput {
  return {
    name,
    ipv4: new Uint8Array([127, 0, 0, 1]),
    resolve: false,
    weight: 1,
    priority: 0,
    serve: 0,
    isChecked: true,
    unknownServes: false,
    site: "here",
    failureDomain: name,
    capacity: 0,
    port: 0,
  };
}

/** A pool `default/web` of members m0, m1, …, or `poolCount` pools web, web1, … */
export function worldOf(count: number, poolCount = 1): World {
  const members = Array.from({ length: count }, (_, at) => member(`m${at}`));
  const pools = Array.from({ length: poolCount }, (_, at) => {
    const name = `default/web${at === 0 ? "" : at}`;
    return { name, members, answers: 0, dial: 1000, minHealthy: undefined };
  });
  const pack = SectionPack.make([writePools(pools), writePolicies([])]);
  assert.ok(!("error" in pack));
  const world = World.load(pack.sections, 1);
  assert.ok(!("error" in world));
  return world;
}
