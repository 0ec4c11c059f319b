// SPDX-License-Identifier: Apache-2.0

// What can happen to a cluster: each fault is done, lasts for a while, and is taken back.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pcg32 } from "@meridian/core";
import type { Cluster, Member } from "./cluster.ts";
import type { Lab } from "./lab.ts";
import type { Preloads } from "./preloads.ts";

const HOUR_S = 3600;
const SLOW_DISK_MS = 400;
const LOSS_PERCENT = 20;

export interface Fault {
  readonly name: string;
  /** What takes it back. */
  begin(random: Pcg32): Promise<() => Promise<void> | void>;
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
      return () => lab.heal();
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
        const dead = stores.filter((each) => each !== spared);
        await Promise.all(dead.map((each) => each.kill()));
        return () => dead.forEach((each) => each.spawn());
      },
    },
    {
      name: "every control killed",
      begin: async () => {
        await Promise.all(controls.map((each) => each.kill()));
        return () => controls.forEach((each) => each.spawn());
      },
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
        return () => lab.heal();
      },
    },
    {
      name: "clocks of controls an hour off",
      begin: async (random) => {
        preloads.shiftClock(random.next32() % 2 === 0 ? HOUR_S : -HOUR_S);
        return () => preloads.shiftClock(0);
      },
    },
    {
      name: "slow disks of controls",
      begin: async () => {
        preloads.slowDisk(SLOW_DISK_MS);
        return () => preloads.slowDisk(0);
      },
    },
    full("a control's disk full", controls.slice(-1)),
    full("an edge's disk full", edges.slice(-1)),
  ];
}

function killed(name: string, members: readonly Member[]): Fault {
  return {
    name,
    begin: async (random) => {
      const victim = oneOf(members, random);
      await victim.kill();
      return () => victim.spawn();
    },
  };
}

function held(name: string, members: readonly Member[]): Fault {
  return {
    name,
    begin: async (random) => {
      const victim = oneOf(members, random);
      victim.signal("SIGSTOP");
      return () => victim.signal("SIGCONT");
    },
  };
}

/** Fills the disk that holds the state of one of `members`. */
function full(name: string, members: readonly Member[]): Fault {
  return {
    name,
    begin: async (random) => {
      const path = join(oneOf(members, random).stateDir, "..", "ballast");
      fill(path);
      return () => rmSync(path, { force: true });
    },
  };
}

function fill(path: string): void {
  for (let bytes = 1 << 20; bytes >= 1 << 10; bytes >>>= 1)
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
}

function oneOf<Value>(values: readonly Value[], random: Pcg32): Value {
  return values[random.next32() % values.length]!;
}
