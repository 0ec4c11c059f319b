// SPDX-License-Identifier: Apache-2.0

// A real etcd cluster on loopback, whose members can be killed, stopped for a while and started again.

import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { systemClock } from "@meridian/core";
import { BackedStore } from "../backed-store.ts";
import { EtcdBackend } from "../etcd/etcd-backend.ts";
import { parseStoreLocation } from "../store-location.ts";
import type { Store } from "../store.ts";

const READY_TIMEOUT_MS = 60_000;

interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly flags: readonly string[];
  process: ChildProcess | undefined;
}

export interface EtcdClusterOptions {
  readonly members: number;
  /** More flags of each member. */
  readonly flags?: readonly string[];
  readonly scheme?: "http" | "https";
}

/**
 * For the `skip` option of `node:test`: false where etcd is installed, else how to get it.
 *
 * @throws Error where it is missing in continuous integration (MERIDIAN_CI is 1), since a skipped test proves nothing.
 */
export function etcdMissing(): string | false {
  const isThere = ["etcd", "etcdctl"].every(
    (program) => spawnSync(program, ["--version"]).error === undefined,
  );
  if (isThere) return false;
  const reason = "etcd is not installed; apt-get install etcd-server etcd-client";
  if (process.env["MERIDIAN_CI"] === "1") throw new Error(`Cannot skip a test in CI: ${reason}`);
  return reason;
}

export class EtcdCluster {
  readonly folder: string;
  readonly #members: Member[];

  private constructor(folder: string, members: Member[]) {
    this.folder = folder;
    this.#members = members;
  }

  /** Resolves when the cluster answers. */
  static async start({
    members,
    flags = [],
    scheme = "http",
  }: EtcdClusterOptions): Promise<EtcdCluster> {
    const folder = mkdtempSync(join(tmpdir(), "meridian-etcd-"));
    const ports = await freePorts(2 * members);
    const peers = Array.from(
      { length: members },
      (_, index) => `m${index}=http://127.0.0.1:${ports[2 * index]}`,
    );
    const cluster = new EtcdCluster(
      folder,
      peers.map((peer, index) => {
        const [name = "", peerUrl = ""] = peer.split("=");
        const clientUrl = `${scheme}://127.0.0.1:${ports[2 * index + 1]}`;
        return {
          name,
          clientUrl,
          process: undefined,
          flags: [
            ...["--name", name, "--data-dir", join(folder, name)],
            ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
            ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
            ...["--initial-cluster", peers.join(","), "--initial-cluster-state", "new"],
            ...["--heartbeat-interval", "100", "--election-timeout", "1000"],
            ...["--logger", "zap", "--log-level", "error", ...flags],
          ],
        };
      }),
    );
    for (let index = 0; index < members; index++) cluster.startMember(index);
    if (scheme === "http") await cluster.ready();
    return cluster;
  }

  /** `HOST:PORT,…` of the members named, all where none are. */
  endpoints(...indices: readonly number[]): string {
    const wanted =
      indices.length === 0 ? this.#members : indices.flatMap((at) => this.#members[at] ?? []);
    return wanted.map(({ clientUrl }) => clientUrl.replace(/^https?:\/\//, "")).join(",");
  }

  startMember(index: number): void {
    const member = this.#member(index);
    member.process = spawn("etcd", member.flags, { stdio: "ignore" });
  }

  /** SIGKILL, and waits for the end. */
  async kill(index: number): Promise<void> {
    const { process } = this.#member(index);
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    process.kill("SIGKILL");
    await once(process, "exit");
  }

  /** Stands still, with its connections open, until `resume`. */
  pause(index: number): void {
    this.#member(index).process?.kill("SIGSTOP");
  }

  resume(index: number): void {
    this.#member(index).process?.kill("SIGCONT");
  }

  /** Waits until a quorum answers. */
  async ready(): Promise<void> {
    const untilMs = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      try {
        this.control("get", "ready");
        return;
      } catch (error) {
        if (performance.now() > untilMs) throw error;
        await sleep(100);
      }
    }
  }

  /** Runs etcdctl against the whole cluster. */
  control(...words: readonly string[]): string {
    return execFileSync(
      "etcdctl",
      ["--endpoints", this.endpoints(), "--command-timeout", "5s", ...words],
      { env: { ...process.env, ETCDCTL_API: "3" }, stdio: ["ignore", "pipe", "ignore"] },
    ).toString();
  }

  /** Index of the member that leads. */
  leader(): number {
    const status: unknown = JSON.parse(this.control("endpoint", "status", "--write-out", "json"));
    if (!Array.isArray(status)) return 0;
    return status.findIndex(
      ({ Status }: { Status: { leader: number; header: { member_id: number } } }) =>
        Status.leader === Status.header.member_id,
    );
  }

  async close(): Promise<void> {
    for (const [index] of this.#members.entries()) {
      this.resume(index);
      await this.kill(index);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #member(index: number): Member {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`There is no member ${index}`);
    return member;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** The store at `etcd://…`, in this thread. */
export async function openEtcdStore(text: string): Promise<Store> {
  const location = parseStoreLocation(text);
  if (location.kind !== "etcd") throw new TypeError(`${text} is not in etcd`);
  return new BackedStore(systemClock, await EtcdBackend.open(systemClock, location));
}
