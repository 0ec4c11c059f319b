// SPDX-License-Identifier: Apache-2.0

// What the controls of one store say of themselves and of the edges that follow them, asked by any of them when somebody wants to know. Each has put its
// address into the store; they know one another by the authority of their edges.

import { connect, type ClientHttp2Session } from "node:http2";
import { CONTROL_NAME, LinkPath } from "@meridian/snapshot";
import { member } from "../documents/document-key.ts";
import type { Standing } from "../replicas/publication-agreement.ts";
import type { ControlLeases } from "../routing/hand-over-waits.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import type { KeyPair } from "./certificate-authority.ts";
import { isDrainTally, type DrainTally } from "../traffic/measured-traffic.ts";
import { isControlReach, type ControlReach } from "../weights/weights-reach.ts";
import type { EdgeView } from "./edge-hub.ts";
import { FRESH_MS_MAX, type EdgeMoment } from "./publication-state.ts";

/** A control that says nothing for this long counts as away. */
const ANSWER_MS_MAX = 1500;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** One control as `get controls` shows it. */
export interface ControlView {
  readonly name: string;
  readonly role: "leader" | "follower" | "away";
  /** Whether it publishes what the leader has recorded; `differs` publishes nothing. */
  readonly standing: Standing | undefined;
  readonly epoch: number | undefined;
  /** That edges are given. */
  readonly revision: number | undefined;
  /** Of the store, as far as it has seen it. */
  readonly storeRevision: number | undefined;
  /** How long ago that was known to be the newest. */
  readonly storeAgeMs: number | undefined;
  readonly version: string | undefined;
  readonly address: string;
  /** When the certificate of its API ends; undefined for one without. */
  readonly certificateEndsMs: number | undefined;
  /** When the authority ends that certifies edges. */
  readonly authorityEndsMs: number | undefined;
}

/** What a control answers to another. */
export interface ControlStatus {
  readonly control: ControlView;
  readonly edges: readonly EdgeView[];
  /** What its edges still answer of what is drained; absent from one of an earlier version. */
  readonly drains?: readonly DrainTally[];
  /** What it knows of leases; absent for one that does not answer, or knows none. */
  readonly leases?: ControlLeases | undefined;
  /** Which of its edges have not the weights that branches were given; absent from one of an earlier version, or that does not answer. */
  readonly weights?: ControlReach | undefined;
}

export interface ControlPeersOptions {
  readonly name: string;
  /** `HOST:PORT` at which other controls find this one. */
  readonly address: () => string;
  readonly state: StateDocuments;
  readonly authority: string;
  readonly credentials: () => Promise<KeyPair>;
  readonly own: () => Promise<ControlStatus>;
}

export class ControlPeers {
  readonly #options: ControlPeersOptions;

  constructor(options: ControlPeersOptions) {
    this.#options = options;
  }

  /** Tells the others where this one is. Rejects where the store cannot be written now. */
  async register(): Promise<void> {
    const { state, name } = this.#options;
    const address = this.#options.address();
    const text = JSON.stringify({ address });
    if (state.get("Replica", name)?.text === text) return;
    await state.write([{ kind: "Replica", name, text }], "register", { control: name, address });
  }

  /** The other controls of the store, with where they are. */
  others(): readonly { readonly name: string; readonly address: string }[] {
    const { state, name } = this.#options;
    return [...state.all("Replica")]
      .filter((other) => other.name !== name)
      .map((other) => ({ name: other.name, address: addressIn(other.text) }));
  }

  /** Takes another control off the list, unless it answers. Durable when it resolves. */
  async forget(name: string): Promise<boolean | "running"> {
    const found = this.others().some((other) => other.name === name);
    if (!found) return name === this.#options.name ? "running" : false;
    const isAway = (await this.all()).some(
      ({ control }) => control.name === name && control.role === "away",
    );
    if (!isAway) return "running";
    const write = { kind: "Replica", name, text: undefined } as const;
    await this.#options.state.write([write], "forget", { control: name });
    return true;
  }

  /** This control and the others, by name; one that does not answer is `away`. */
  async all(): Promise<readonly ControlStatus[]> {
    const { own } = this.#options;
    const others = this.others();
    const credentials = others.length === 0 ? undefined : await this.#options.credentials();
    const asked = others.map(async ({ name, address }): Promise<ControlStatus> => {
      const away = { ...awayControl, name, address };
      if (credentials === undefined) return { control: away, edges: [] };
      try {
        return statusIn(await ask(address, this.#options.authority, credentials));
      } catch {
        return { control: away, edges: [] };
      }
    });
    const all = await Promise.all([own(), ...asked]);
    return all.toSorted((a, b) => (a.control.name < b.control.name ? -1 : 1));
  }
}

/** Each edge once: as the control sees it that has it now, or had it last. */
export function edgesOf(statuses: readonly ControlStatus[]): EdgeView[] {
  const newest = new Map<string, EdgeView>();
  const certificateEnds = new Map<string, number>();
  for (const { control, edges } of statuses) {
    for (const edge of edges) {
      // It renews at any control.
      const { certificateEndsMs = 0 } = edge;
      if (certificateEndsMs > (certificateEnds.get(edge.name) ?? 0))
        certificateEnds.set(edge.name, certificateEndsMs);
      const known = newest.get(edge.name);
      if (known === undefined || isFresher(edge, known))
        newest.set(edge.name, { ...edge, ...(edge.connected ? { control: control.name } : {}) });
    }
  }
  return [...newest.values()]
    .map((edge): EdgeView => {
      const certificateEndsMs = certificateEnds.get(edge.name);
      return certificateEndsMs === undefined ? edge : { ...edge, certificateEndsMs };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The edges of all controls, as far as each counts in `epoch`: one that is silent where it was last is silent. */
export function momentsOf(
  statuses: readonly ControlStatus[],
  epoch: number,
  nowMs: number,
): EdgeMoment[] {
  return edgesOf(statuses)
    .filter(({ standing }) => standing !== "revoked")
    .map((edge) => {
      const sinceMs = edge.lastWordMs === undefined ? Infinity : nowMs - edge.lastWordMs;
      const isOld = (edge.epoch ?? 0) < epoch;
      return {
        name: edge.name,
        revision: isOld ? 0 : (edge.revision ?? 0),
        // Clocks of controls differ: whether it is silent is said by the one that it was last at.
        silentMs: edge.standing === "silent" ? Math.max(sinceMs, FRESH_MS_MAX + 1) : 0,
      };
    });
}

const awayControl = {
  role: "away",
  standing: undefined,
  epoch: undefined,
  revision: undefined,
  storeRevision: undefined,
  storeAgeMs: undefined,
  version: undefined,
  certificateEndsMs: undefined,
  authorityEndsMs: undefined,
} as const;

function isFresher(a: EdgeView, b: EdgeView): boolean {
  if (a.connected !== b.connected) return a.connected;
  return (a.lastWordMs ?? 0) > (b.lastWordMs ?? 0);
}

function addressIn(text: string): string {
  const address = member(JSON.parse(text), "address");
  return typeof address === "string" ? address : "";
}

/** Begins a connection to another control. */
export function dialControl(
  address: string,
  authority: string,
  { certificate, key }: KeyPair,
): ClientHttp2Session {
  return connect(`https://${address}`, {
    servername: CONTROL_NAME,
    minVersion: "TLSv1.3",
    ca: authority,
    cert: certificate,
    key,
  });
}

async function ask(address: string, authority: string, pair: KeyPair): Promise<unknown> {
  const session = dialControl(address, authority, pair);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error("it does not answer")), ANSWER_MS_MAX);
  session.on("error", reject);
  const stream = session.request({ ":method": "GET", ":path": LinkPath.status });
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text += chunk;
    if (text.length > ANSWER_BYTES_MAX) reject(new Error("its answer is too long"));
  });
  stream.on("error", reject);
  stream.on("end", () => resolve(text));
  try {
    return JSON.parse(await promise);
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

/** From a control of the same authority: what it says is believed, but for its shape. */
function statusIn(raw: unknown): ControlStatus {
  if (isStatus(raw)) return raw;
  throw new TypeError("it says something else than its status");
}

function isStatus(raw: unknown): raw is ControlStatus {
  const control = member(raw, "control");
  const edges = member(raw, "edges");
  const drains = member(raw, "drains") ?? [];
  const weights = member(raw, "weights");
  return (
    (weights === undefined || isControlReach(weights)) &&
    Array.isArray(drains) &&
    drains.every(isDrainTally) &&
    typeof member(control, "name") === "string" &&
    typeof member(control, "role") === "string" &&
    Array.isArray(edges) &&
    edges.every((edge: unknown) => typeof member(edge, "name") === "string") &&
    isLeases(member(raw, "leases"))
  );
}

function isLeases(raw: unknown): boolean {
  if (raw === undefined) return true;
  const [confirmed, edges] = [member(raw, "confirmed"), member(raw, "edges")];
  const isMark = (each: unknown): boolean =>
    Number.isFinite(member(each, "epoch")) && Number.isFinite(member(each, "revision"));
  return (
    Number.isFinite(member(raw, "sinceMs")) &&
    (confirmed === undefined || isMark(confirmed)) &&
    Array.isArray(edges) &&
    edges.every(
      (each: unknown) =>
        isMark(each) &&
        typeof member(each, "name") === "string" &&
        Number.isFinite(member(each, "leftMs")),
    )
  );
}
