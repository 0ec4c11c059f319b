// SPDX-License-Identifier: Apache-2.0
import { createInterface } from "node:readline";
import { nativePath } from "./native.ts";
import { pidOf, startPiped } from "./program.ts";

/** How the loader drives a server; see `native/loader.c` for the files. */
export interface LoaderOptions {
  readonly port: number;
  readonly core: number;
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly names: string;
  readonly prefixes?: string;
  readonly expected?: string;
  /** Every how many answers one is checked; 0 checks none. */
  readonly check?: number;
  readonly watch?: boolean;
  /** It shares its core with others: it sleeps while nothing is due. Without that it takes all of the core. */
  readonly sleep?: boolean;
  readonly timeoutMs?: number;
  /** What the loader is that late to send, because it did not run itself, it leaves out, in µs; without it, it sends all at once. */
  readonly skipLateUs?: number;
}

/** What the loader counted. Latencies are microseconds from the moment a query was due. */
export interface LoaderSummary {
  readonly rate: number;
  readonly sent: number;
  readonly received: number;
  /** Answered after the time-out. */
  readonly late: number;
  readonly lost: number;
  /** Never sent, as `skipLateUs` says. */
  readonly skipped?: number;
  readonly refused: number;
  readonly checked: number;
  readonly wrong: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** The most by which the loader itself was late. */
  readonly behindMax: number;
  readonly rcodes: Readonly<Record<string, number>>;
}

/** A name whose answer changed, or was seen first; the time is CLOCK_MONOTONIC in nanoseconds, as `process.hrtime`. */
export interface Change {
  readonly event: "change" | "first";
  readonly ns: number;
  readonly name: string;
  readonly addresses: readonly string[];
}

/** An answer that was not as expected. */
export interface Wrong {
  readonly event: "wrong";
  readonly name: string;
  readonly rcode: number;
  readonly expected: string;
  readonly region: number;
  readonly addresses: readonly string[];
}

type LoaderEvent = Change | Wrong | ({ readonly event: "summary" } & LoaderSummary);

/** A loader at work. */
export interface LoaderRun {
  readonly pid: number;
  /** Changes so far; grows while it runs. */
  readonly changes: readonly Change[];
  readonly wrong: readonly Wrong[];
  /** The first change from the given place on that is as wanted; undefined if none comes in time. */
  change(
    from: number,
    isWanted: (change: Change) => boolean,
    timeoutMs: number,
  ): Promise<Change | undefined>;
  /** Settles when it has ended; rejects if it fails. */
  readonly summary: Promise<LoaderSummary>;
  /** Ends it before its time; the summary then holds what there was. */
  finish(): void;
  stop(): void;
}

/** Starts the loader, which must have been built. */
export function startLoader(options: LoaderOptions): LoaderRun {
  const child = startPiped(String(options.core), nativePath("loader"), loaderArguments(options));
  const changes: Change[] = [];
  const wrong: Wrong[] = [];
  const waiting = new Set<(change: Change) => void>();
  const { promise, resolve, reject } = Promise.withResolvers<LoaderSummary>();
  if (child.stdout === null) throw new Error("Cannot start loader: it has no standard output");
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = parseLoaderLine(line);
    if (event?.event === "summary") resolve(event);
    else if (event?.event === "wrong") wrong.push(event);
    else if (event !== undefined) {
      changes.push(event);
      for (const look of waiting) look(event);
    }
  });
  child.once("close", (code) => reject(new Error(`Cannot finish load: loader ended with ${code}`)));
  // A stopped loader's failure is nobody's news; who awaits the summary still gets it.
  promise.catch(() => undefined);
  return {
    pid: pidOf(child),
    changes,
    wrong,
    change: async (from, isWanted, timeoutMs) => {
      const seen = changes.slice(from).find(isWanted);
      if (seen !== undefined) return seen;
      // Told, not asked for: looking again and again would take time from what is measured.
      const found = Promise.withResolvers<Change | undefined>();
      const look = (change: Change): void => {
        if (isWanted(change)) found.resolve(change);
      };
      waiting.add(look);
      const timer = setTimeout(() => found.resolve(undefined), timeoutMs);
      const change = await found.promise;
      clearTimeout(timer);
      waiting.delete(look);
      return change;
    },
    summary: promise,
    finish: () => child.kill("SIGTERM"),
    stop: () => child.kill("SIGKILL"),
  };
}

/** Runs the loader to its end. */
export async function runLoader(options: LoaderOptions): Promise<LoaderSummary> {
  return startLoader(options).summary;
}

/** A line of the loader's output, or undefined where it is something else. */
export function parseLoaderLine(line: string): LoaderEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  const parsed: unknown = JSON.parse(line);
  return isLoaderEvent(parsed) ? parsed : undefined;
}

function isLoaderEvent(value: unknown): value is LoaderEvent {
  return typeof value === "object" && value !== null && "event" in value;
}

function loaderArguments(options: LoaderOptions): readonly string[] {
  const args = [
    ...["--port", String(options.port), "--rate", String(options.rate)],
    ...[
      "--seconds",
      String(options.seconds),
      "--seed",
      String(options.seed),
      "--names",
      options.names,
    ],
  ];
  if (options.prefixes !== undefined) args.push("--prefixes", options.prefixes);
  if (options.expected !== undefined && options.check !== undefined && options.check > 0) {
    args.push("--expected", options.expected, "--check", String(options.check));
  }
  if (options.timeoutMs !== undefined) args.push("--timeout-ms", String(options.timeoutMs));
  if (options.watch === true) args.push("--watch");
  if (options.sleep === true) args.push("--sleep");
  if (options.skipLateUs !== undefined) args.push("--skip-late-us", String(options.skipLateUs));
  return args;
}
