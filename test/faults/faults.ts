// SPDX-License-Identifier: Apache-2.0

// What can happen to a cluster: each fault is done, lasts for a while, and is taken back.

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Pcg32 } from "@meridian/core";
import { fill } from "../e2e/small-disk.ts";
import type { Cluster, Member } from "./cluster.ts";
import type { Hindrance } from "./judgement.ts";
import type { Lab } from "./lab.ts";
import type { Preloads } from "./preloads.ts";
import type { Span } from "./span.ts";

const HOUR_S = 3600;
const SLOW_DISK_MS = 400;
const LOSS_PERCENT = 20;

/** What has been done to a cluster. */
export interface Begun {
  /** Takes it back, and resolves when whoever was killed is there again. */
  readonly undo: () => Promise<void>;
  /** Edges that may be behind for as long as it lasts. */
  readonly hindered: readonly Member[];
  /** Whether those do not run meanwhile. */
  readonly isDown?: boolean;
  /** Whether somebody has to take over, a leader or another control of an edge: every edge may be behind for that long. */
  readonly isTakeover: boolean;
}

/** From the end of a fault until everything is as it was. */
export const RECOVERY_MS = 8000;

/** What was done to a cluster, and when. */
export interface Happened {
  readonly counts: Record<string, number>;
  readonly hindrances: Hindrance[];
  readonly takeovers: Span[];
}

export interface Fault {
  readonly name: string;
  begin(random: Pcg32): Promise<Begun>;
}

export function faultsOf(lab: Lab, cluster: Cluster, preloads: Preloads): Fault[] {
  const { stores, controls, edges, relays } = cluster;
  const ways = [...controls, ...relays];
  const machines = (members: readonly Member[]): Member["machine"][] =>
    members.map(({ machine }) => machine);
  const parted = (
    name: string,
    sides: (random: Pcg32) => readonly [readonly Member[], readonly Member[]],
    isOneWay = false,
  ): Fault => ({
    name,
    begin: async (random) => {
      const [left, right] = sides(random);
      lab.partition(machines(left), machines(right), isOneWay);
      const hindered = edges.filter((each) => left.includes(each) || right.includes(each));
      return { undo: async () => lab.heal(), hindered, isTakeover: hindered.length === 0 };
    },
  });
  return [
    killed("a control killed", controls),
    killed("a member of etcd killed", stores),
    killed("an edge killed", edges),
    held("a control held", controls),
    held("a member of etcd held", stores),
    held("an edge held", edges),
    {
      name: "etcd without a quorum",
      begin: async (random) => {
        const spared = oneOf(stores, random);
        return {
          ...(await killAll(stores.filter((each) => each !== spared))),
          hindered: edges,
          isDown: false,
        };
      },
    },
    {
      name: "every control killed",
      begin: async () => ({ ...(await killAll(controls)), hindered: edges, isDown: false }),
    },
    parted("a control parted from etcd", (random) => [[oneOf(controls, random)], stores]),
    parted("a control deaf to etcd", (random) => [stores, [oneOf(controls, random)]], true),
    parted("an edge parted from controls", (random) => [[oneOf(edges, random)], ways]),
    parted("an edge deaf to controls", (random) => [ways, [oneOf(edges, random)]], true),
    parted("controls deaf to an edge", (random) => [[oneOf(edges, random)], ways], true),
    parted("etcd parted in two", (random) => {
      const one = oneOf(stores, random);
      return [[one], stores.filter((each) => each !== one)];
    }),
    {
      name: "packets lost between controls, etcd and edges",
      begin: async () => {
        for (const control of controls)
          control.machine.dropFrom(machines([...stores, ...edges]), LOSS_PERCENT);
        return { undo: async () => lab.heal(), hindered: edges, isTakeover: false };
      },
    },
    {
      name: "clocks of controls an hour off",
      begin: async (random) => {
        preloads.shiftClock(random.next32() % 2 === 0 ? HOUR_S : -HOUR_S);
        return { undo: async () => preloads.shiftClock(0), hindered: [], isTakeover: false };
      },
    },
    {
      name: "slow disks of controls",
      begin: async () => {
        preloads.slowDisk(SLOW_DISK_MS);
        return { undo: async () => preloads.slowDisk(0), hindered: [], isTakeover: true };
      },
    },
    full("a control's disk full", controls.slice(-1)),
    full("an edge's disk full", edges.slice(-1)),
  ];
}

function killed(name: string, members: readonly Member[]): Fault {
  return { name, begin: (random) => killAll([oneOf(members, random)]) };
}

function held(name: string, members: readonly Member[]): Fault {
  return {
    name,
    begin: async (random) => {
      const victim = oneOf(members, random);
      victim.signal("SIGSTOP");
      return { undo: async () => victim.signal("SIGCONT"), isDown: true, ...touching([victim]) };
    },
  };
}

/** Fills the disk that holds the state of one of `members`. */
function full(name: string, members: readonly Member[]): Fault {
  return {
    name,
    begin: async (random) => {
      const victim = oneOf(members, random);
      const path = join(victim.stateDir, "..", "ballast");
      fill(path);
      return { undo: async () => rmSync(path, { force: true }), ...touching([victim]) };
    },
  };
}

async function killAll(victims: readonly Member[]): Promise<Begun> {
  await Promise.all(victims.map((each) => each.kill()));
  const undo = async (): Promise<void> => {
    await Promise.all(victims.map((each) => each.start()));
  };
  return { undo, isDown: true, ...touching(victims) };
}

/** What edges may be behind by, where that happens to `victims`: an edge itself alone; where controls or etcd are left, all for a while. */
function touching(victims: readonly Member[]): Omit<Begun, "undo"> {
  const hindered = victims.filter(({ role }) => role === "edge");
  return { hindered, isTakeover: hindered.length === 0 };
}

function oneOf<Value>(values: readonly Value[], random: Pcg32): Value {
  return values[random.next32() % values.length]!;
}
