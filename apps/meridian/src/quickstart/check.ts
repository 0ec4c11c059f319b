// SPDX-License-Identifier: Apache-2.0

// `meridian quickstart --check`: the quick start from end to end on free ports and in a temporary folder, over real UDP. Each step says
// what it saw; the first that does not see what it should ends the run.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RRType } from "@meridian/dns";
import { ApiClient } from "../api-client.ts";
import { addressesOf, askDns } from "../dns-question.ts";
import { ExitCode } from "../exit-code.ts";
import { complain, print } from "../output.ts";
import { Server } from "../server.ts";
import { documentsFor, triedDocuments } from "./documents.ts";
import { places, type Place } from "./places.ts";
import { Regions, regions, type Region } from "./regions.ts";

/** Two failed probes a second apart, their time-out, and the TTL do not count here: only when the server answers otherwise. */
const CHANGE_MS_MAX = 8000;
const LOOK_MS = 50;
const CANARY_QUERIES = 1000;
/** Ten in a hundred of them, within five standard deviations. */
const CANARY_BOUNDS = [53, 147] as const;

export async function checkQuickstart(probing: boolean): Promise<ExitCode> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-quickstart-"));
  const startedAt = performance.now();
  let started: Regions | undefined;
  let server: Server | undefined;
  try {
    started = await Regions.start(0);
    server = await Server.start({
      files: [documentsFor(started.port, join(folder, "documents"))],
      stateDir: join(folder, "state"),
      listen: ["127.0.0.1:0"],
      http: undefined,
      access: {},
      workers: 1,
      transport: "auto",
      logLevel: "warn",
      queryLog: undefined,
      replace: false,
      allowEmpty: false,
      probing,
    });
    const api = new ApiClient({ stateDir: join(folder, "state") });
    await new Check(server.addresses[0] ?? "", started, startedAt, api).run();
    print(`All is well after ${seconds(performance.now() - startedAt)} s`);
    return ExitCode.done;
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (!probing) complain("Probing is switched off, so nothing that fails is noticed");
    return ExitCode.failed;
  } finally {
    await server?.close();
    started?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Check {
  readonly #server: string;
  readonly #regions: Regions;
  readonly #startedAt: number;
  readonly #api: ApiClient;

  constructor(server: string, started: Regions, startedAt: number, api: ApiClient) {
    this.#api = api;
    this.#server = server;
    this.#regions = started;
    this.#startedAt = startedAt;
  }

  async run(): Promise<void> {
    await this.#ask("geo.example.org");
    print(`First answer ${seconds(performance.now() - this.#startedAt)} s after the start`);
    for (const place of places) await this.#expectGeo(place, place.region);
    await this.#canary();
    await this.#capacity();
    await this.#failover();
    await this.#recovery();
  }

  /** What people are invited to try: a plan takes a region out, and its roll-back takes it in again. */
  async #recovery(): Promise<void> {
    const eu = required("eu");
    await this.#api.post("/v1/apply", triedDocuments());
    const reason = "the check";
    await this.#api.post("/v1/recoveryruns", { plan: "shift-eu", reason });
    const isAway = async (): Promise<boolean> =>
      (await this.#ask("geo.example.org")) !== eu.address;
    const ms = await this.#until("a recovery plan moves geo.example.org away", isAway);
    print(`Ran plan "shift-eu": geo.example.org left the region after ${seconds(ms)} s`);
    await this.#api.put("/v1/recoveryruns", { run: "shift-eu", order: "rollback", reason });
    await this.#until("its roll-back takes that back", async () => !(await isAway()));
  }

  async #canary(): Promise<void> {
    let next = 0;
    for (let query = 0; query < CANARY_QUERIES; query++) {
      // The choice is one per client prefix: each query comes from another.
      const subnet = `198.${18 + (query >> 8)}.${query & 0xff}.0/24`;
      if ((await this.#ask("canary.example.org", subnet)) === addressOf("us")) next += 1;
    }
    const [least, most] = CANARY_BOUNDS;
    print(`canary.example.org: ${next} of ${CANARY_QUERIES} clients see the new version`);
    expect(next >= least && next <= most, `between ${least} and ${most} of them, as 10 % say`);
  }

  async #capacity(): Promise<void> {
    const us = required("us");
    await this.#until("gpu.example.org is answered from the regions", async () => {
      const answer = await this.#ask("gpu.example.org");
      return regions.some(({ address }) => address === answer);
    });
    await this.#regions.post(us, "/load?value=1");
    const ms = await this.#until("gpu.example.org leaves a region that is full", async () => {
      const answers = await this.#sample("gpu.example.org", 40);
      return !answers.has(us.address);
    });
    print(`gpu.example.org: "us" is full, no client is sent there after ${seconds(ms)} s`);
    await this.#regions.post(us, "/load?value=0.1");
    const backMs = await this.#until("gpu.example.org comes back to a region with room", async () =>
      (await this.#sample("gpu.example.org", 40)).has(us.address),
    );
    print(
      `gpu.example.org: "us" has room again, clients are sent there after ${seconds(backMs)} s`,
    );
  }

  async #failover(): Promise<void> {
    const eu = required("eu");
    const [place] = places;
    if (place === undefined) return;
    await this.#regions.post(eu, "/break");
    const ms = await this.#until(
      `geo.example.org for ${place.name} leaves the broken region "eu"`,
      async () => (await this.#ask("geo.example.org", place.subnet)) !== eu.address,
    );
    print(`Broke region "eu": geo.example.org for ${place.name} changed after ${seconds(ms)} s`);
    await this.#expectGeo(place, "us");
    await this.#regions.post(eu, "/repair");
    const backMs = await this.#until(
      `geo.example.org for ${place.name} comes back to the repaired region "eu"`,
      async () => (await this.#ask("geo.example.org", place.subnet)) === eu.address,
    );
    print(
      `Repaired region "eu": geo.example.org for ${place.name} came back after ${seconds(backMs)} s`,
    );
  }

  async #expectGeo({ name, subnet }: Place, region: string): Promise<void> {
    const answer = await this.#ask("geo.example.org", subnet);
    print(`geo.example.org for ${name} (${subnet}): ${answer}`);
    expect(answer === addressOf(region), `${addressOf(region)}, region "${region}"`);
  }

  /** The one address that a client is sent to. */
  async #ask(name: string, subnet: string = "193.0.6.0/24"): Promise<string> {
    const message = await askDns({ server: this.#server, name, type: RRType.A, subnet });
    return addressesOf(message)[0] ?? `no address (rcode ${message.rcode})`;
  }

  /** Addresses that `count` clients are sent to. */
  async #sample(name: string, count: number): Promise<Set<string>> {
    const answers = new Set<string>();
    for (let client = 0; client < count; client++)
      answers.add(await this.#ask(name, `198.18.${client}.0/24`));
    return answers;
  }

  /** Looks again and again; returns after how many milliseconds it was so. */
  async #until(what: string, isSo: () => Promise<boolean>): Promise<number> {
    const start = performance.now();
    while (!(await isSo())) {
      if (performance.now() - start > CHANGE_MS_MAX)
        throw new Error(`Waited ${seconds(CHANGE_MS_MAX)} s in vain: ${what}`);
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
    return performance.now() - start;
  }
}

function expect(isSo: boolean, wanted: string): void {
  if (!isSo) throw new Error(`That is not what was expected: ${wanted}`);
}

function required(name: string): Region {
  const region = regions.find((each) => each.name === name);
  if (region === undefined) throw new Error(`There is no region "${name}"`);
  return region;
}

function addressOf(region: string): string {
  return required(region).address;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
