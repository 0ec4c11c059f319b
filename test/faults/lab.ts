// SPDX-License-Identifier: Apache-2.0

// Machines for tests of faults: network namespaces on one bridge, each with an address of its own, whose packets can be dropped by
// direction and whose processes can be killed, stopped, given another clock, a slow disk or a full one. Needs root.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  type WriteStream,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs, programPath } from "../needs.ts";

/** Each process that tests has a network of its own. */
const NETWORK = `10.${192 + (process.pid & 31)}.${(process.pid >>> 5) & 255}`;
const HOST_FIRST = 10;
const FOLDER = "meridian-faults";
const LOG_BYTES_MAX = 16 << 20;

/** For the `skip` option of `node:test`: false where a lab can be opened, else the reason. */
export function needsLab(): string | false {
  if (process.getuid?.() !== 0) return "network namespaces need root; run the tests as root";
  return needs("ip", "iproute2") || needs("nft", "nftables");
}

/** Bridge and machines; all of it is gone when it is closed. */
export class Lab {
  /** Address of the test itself, which every machine reaches. */
  readonly address: string = `${NETWORK}.1`;
  readonly folder: string;
  readonly #bridge = `mrdb${process.pid}`;
  readonly #machines: Machine[] = [];

  private constructor() {
    clearUp();
    this.folder = mkdtempSync(join(tmpdir(), `${FOLDER}-${process.pid}-`));
    ip("link", "add", this.#bridge, "type", "bridge");
    ip("address", "add", `${this.address}/24`, "dev", this.#bridge);
    ip("link", "set", this.#bridge, "up");
  }

  /** @throws Error with the output of `ip` where a namespace or a link cannot be made. */
  static open(): Lab {
    return new Lab();
  }

  /** A new machine with a folder of its own. */
  machine(name: string): Machine {
    const index = this.#machines.length;
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const machine = new Machine({
      name,
      folder,
      index,
      bridge: this.#bridge,
      address: `${NETWORK}.${HOST_FIRST + index}`,
    });
    this.#machines.push(machine);
    return machine;
  }

  /** No packet goes from one side to the other any more; `isOneWay`: none from `left` to `right`. */
  partition(left: readonly Machine[], right: readonly Machine[], isOneWay = false): void {
    for (const receiver of right) receiver.dropFrom(left);
    if (!isOneWay) for (const receiver of left) receiver.dropFrom(right);
  }

  /** Takes all partitions and losses back. */
  heal(): void {
    for (const machine of this.#machines) machine.heal();
  }

  async close(): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.close()));
    ip("link", "delete", this.#bridge);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly name: string;
  readonly folder: string;
  readonly index: number;
  readonly bridge: string;
  readonly address: string;
}

/** One network namespace. */
export class Machine {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly #namespace: string;
  readonly #programs = new Set<Program>();
  readonly #mounts: string[] = [];

  constructor(place: Place) {
    this.name = place.name;
    this.address = place.address;
    this.folder = place.folder;
    this.#namespace = `mrd${process.pid}-${place.name}`;
    const [outer, inner] = [`mrd${process.pid}o${place.index}`, `mrd${process.pid}i${place.index}`];
    ip("netns", "add", this.#namespace);
    ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", this.#namespace);
    ip("link", "set", outer, "master", place.bridge, "up");
    this.#inside("ip", "address", "add", `${this.address}/24`, "dev", inner);
    this.#inside("ip", "link", "set", inner, "up");
    this.#inside("ip", "link", "set", "lo", "up");
    this.heal();
  }

  /** What comes from those is dropped on arrival, or that share of it, in percent. */
  dropFrom(others: readonly Machine[], percent = 100): void {
    if (others.length === 0) return;
    const from = others.map(({ address }) => address).join(", ");
    const chance = percent < 100 ? `numgen random mod 100 < ${percent}` : "";
    this.#nft(`add rule inet lab arrive ip saddr { ${from} } ${chance} drop`);
  }

  heal(): void {
    this.#nft(
      [
        "add table inet lab",
        "delete table inet lab",
        "add table inet lab",
        "add chain inet lab arrive { type filter hook input priority 0; }",
      ].join("; "),
    );
  }

  /** Mounts a small disk of that many bytes over a folder of this machine; its path. */
  smallDisk(name: string, bytes: number): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "lab", path);
    this.#mounts.push(path);
    return path;
  }

  /** Starts a program here; its output goes to a file in this machine's folder. */
  start(
    command: string,
    given: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Program {
    const child = spawn(
      "ip",
      ["netns", "exec", this.#namespace, programPath(command) ?? command, ...given],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...environment },
      },
    );
    const program = new Program(child, join(this.folder, "output.log"), () =>
      this.#programs.delete(program),
    );
    this.#programs.add(program);
    return program;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.kill()));
    for (const path of this.#mounts) run("umount", path);
    ip("netns", "delete", this.#namespace);
  }

  #inside(command: string, ...given: readonly string[]): void {
    ip("netns", "exec", this.#namespace, programPath(command) ?? command, ...given);
  }

  #nft(rules: string): void {
    this.#inside("nft", rules);
  }
}

/** A process on a machine. `ip netns exec` becomes the program itself, so signals reach it. */
export class Program {
  readonly #child: ChildProcess;
  readonly #file: WriteStream;
  #output = "";

  constructor(child: ChildProcess, outputPath: string, onEnd: () => void) {
    this.#child = child;
    this.#file = createWriteStream(outputPath, { flags: "a" });
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#file.write(text);
        if (this.#output.length < LOG_BYTES_MAX) this.#output += text;
      });
    child.on("close", () => {
      this.#file.end();
      onEnd();
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it has written so far. */
  get output(): string {
    return this.#output;
  }

  /** SIGSTOP holds it, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL, and waits for its end. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, and waits for its end. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill(signal);
    await once(this.#child, "exit");
  }
}

/** Takes away what is left of labs whose process was killed. */
function clearUp(): void {
  const isGone = (pid: string | undefined): boolean =>
    pid !== undefined && !existsSync(`/proc/${pid}`);
  for (const name of existsSync("/run/netns") ? readdirSync("/run/netns") : [])
    if (isGone(/^mrd(\d+)-/.exec(name)?.[1])) ip("netns", "delete", name);
  for (const name of readdirSync("/sys/class/net"))
    if (isGone(/^mrdb(\d+)$/.exec(name)?.[1])) ip("link", "delete", name);
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const path = line.split(" ")[1] ?? "";
    if (isGone(new RegExp(`/${FOLDER}-(\\d+)-`).exec(path)?.[1])) run("umount", path);
  }
}

function ip(...given: readonly string[]): void {
  run("ip", ...given);
}

function run(command: string, ...given: readonly string[]): void {
  const { status, stderr, error } = spawnSync(programPath(command) ?? command, given, {
    encoding: "utf8",
  });
  if (status !== 0)
    throw new Error(`Cannot run ${command} ${given.join(" ")}: ${error?.message ?? stderr}`);
}
