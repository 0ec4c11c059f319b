// SPDX-License-Identifier: Apache-2.0

// `meridian control` and `meridian edge` as processes of their own.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program } from "../program.ts";
import type { Pair } from "./documents.ts";
import {
  EndpointProcess,
  busyFactor,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const LOG_MS_MAX = 60_000;

/** One process, and others like it after it. */
export class PlaneProcess {
  readonly stateDir: string;
  readonly #arguments: readonly string[];
  readonly #inside: readonly string[];
  #child: ChildProcess | undefined;
  #log = "";

  /** `inside` begins the command: where another program is to start it. */
  constructor(
    t: TestContext,
    stateDir: string,
    given: readonly string[],
    inside: readonly string[] = [],
  ) {
    this.stateDir = stateDir;
    this.#arguments = [...given, "--state", stateDir];
    this.#inside = inside;
    t.after(() => this.kill());
  }

  /** What the present process has logged. */
  get log(): string {
    return this.#log;
  }

  /** Of the present process. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Whether the present process was started, and has ended. */
  get hasEnded(): boolean {
    const { exitCode, signalCode } = this.#child ?? {};
    return typeof exitCode === "number" || typeof signalCode === "string";
  }

  /** Starts a process that takes over from the present one, and waits for a line of its log and the end of the other. */
  async replace(line: RegExp): Promise<void> {
    const before = this.#child;
    const ended = before === undefined ? undefined : once(before, "exit");
    await this.start(line, ["--replace"]);
    await ended;
  }

  /** Starts a process and waits for a line of its log. */
  async start(line: RegExp, more: readonly string[] = []): Promise<void> {
    const [command, ...words] = [...this.#inside, process.execPath];
    const child = spawn(command, [...words, program, ...this.#arguments, ...more], {
      stdio: ["ignore", "inherit", "pipe"],
    });
    this.#log = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log += text;
    });
    this.#child = child;
    await this.whenLogged(line);
  }

  async whenLogged(line: RegExp): Promise<void> {
    await until(`a log line ${line.source}`, LOG_MS_MAX * busyFactor(), () => {
      if (line.test(this.#log)) return true;
      if (this.#child?.exitCode !== null) throw new Error(`The process ended: ${this.#log}`);
      return false;
    });
  }

  /** Stops it as a machine is that is moved; SIGCONT takes that back. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.hasEnded) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

/** Where a process joins. */
export interface JoinPlace {
  readonly folder: string;
  readonly control: PlaneProcess;
  readonly url: string;
}

/** A state folder that has joined with a token of its own, as `name`. */
export async function joinedFolder(
  place: JoinPlace,
  name: string,
  role: "edge" | "probe" = "edge",
): Promise<string> {
  const stateDir = join(place.folder, name);
  const invited = await meridian(
    ...["token", "create", name, `--${role}`, "--state", place.control.stateDir],
  );
  const joined = await meridian(
    ...["edge", "join", `${invited.stdout.trim()}@${place.url}`, "--state", stateDir],
  );
  if (joined.code !== 0) throw new Error(joined.stderr);
  return stateDir;
}

/** An edge that has joined with a token of its own. */
export async function joinedEdge(
  t: TestContext,
  place: JoinPlace,
  name: string,
  port: number,
  more: readonly string[] = ["--http", "none"],
): Promise<PlaneProcess> {
  const stateDir = await joinedFolder(place, name);
  const listen = `127.0.0.1:${port}`;
  return new PlaneProcess(t, stateDir, [
    ...["edge", "--control", place.url, "--listen", listen, "--workers", "1", "--site", name],
    ...more,
  ]);
}

/** A control with the documents of a pair of endpoints, all of them running. */
export interface PairPlane extends JoinPlace {
  readonly files: string;
  readonly pair: Pair;
  readonly primary: EndpointProcess;
  readonly secondary: EndpointProcess;
}

/** Addresses are each test's own: several run at once. */
export async function startPairPlane(
  t: TestContext,
  given: Omit<Pair, "port">,
  documents: (pair: Pair) => string,
): Promise<PairPlane> {
  const folder = temporaryFolder(t);
  const files = join(folder, "documents.yaml");
  const pair = { ...given, port: await freePort() };
  const primary = new EndpointProcess(t, pair.primary, pair.port);
  const secondary = new EndpointProcess(t, pair.secondary, pair.port);
  await Promise.all([primary.start(), secondary.start()]);
  writeFileSync(files, documents(pair));
  const listen = `127.0.0.1:${await freePort()}`;
  const control = new PlaneProcess(t, join(folder, "control"), [
    ...["control", "-f", files, "--edges", listen, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  return { folder, control, url: `https://${listen}`, files, pair, primary, secondary };
}
