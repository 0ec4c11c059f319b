// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { openApi } from "../http/openapi.ts";
import { AnswerCheck } from "./answer-check.ts";
import { RefusalLog } from "../access/refusal-log.ts";
import { Api, type ApiAccess } from "../api.ts";
import type { EdgeFigures } from "@meridian/snapshot/surface";
import { DocumentService } from "../documents/document-service.ts";
import { Embedded } from "../embedded.ts";
import { consistencyKey } from "../http/consistency-key.ts";
import type { Notifier } from "../notifications/notifier.ts";
import { OverlayJournal } from "../overlay-journal.ts";
import { SnapshotStore } from "@meridian/snapshot/disk";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { TransitionHistory } from "@meridian/health";
import { LatencySamples } from "../latency-samples.ts";
import { MemoryPersistence, silent } from "./control-fixture.ts";
import { makeRolloutKeeper } from "./rollout-fixture.ts";
import type { RolloutKeeper } from "../rollouts/rollout-keeper.ts";
import type { WeightsReach } from "../weights/weights-reach.ts";
import { WeightOverrides } from "../weights/weight-overrides.ts";
import { DrillKeeper } from "../drills/drill-keeper.ts";
import { Secrets } from "../secrets/secrets.ts";
import { Approvals } from "../approvals/approvals.ts";
import { systemClock } from "@meridian/core";
import { HandOvers } from "../routing/hand-overs.ts";
import { RoutingControls } from "../routing/routing-controls.ts";
import { makeRecoveryRuns } from "./recovery-fixture.ts";
import type { RecoveryRuns } from "../recovery/recovery-runs.ts";
import { StateDocuments } from "../state/state-documents.ts";
import type { ZoneKeeper } from "../dnssec/zone-keeper.ts";
import { makeSecondaryKeeper } from "./secondary-keeper-fixture.ts";
import { makeZoneKeeper } from "./zone-keeper-fixture.ts";
import { makeNotifier } from "./notifier-fixture.ts";

/** Every answer that a test gets is as the API describes it. */
const described = new AnswerCheck(openApi("0.0.0"));

const none = new Float64Array();

const noFigures: EdgeFigures = {
  totals: {},
  rcodes: {},
  zones: none,
  policies: none,
  pools: none,
  endpoints: none,
  nodes: none,
  branches: none,
  audiences: none,
  transport: "none",
  workers: [],
  addresses: [],
};

/** Fields of answers that tests look at; they say what they expect of them. */
export interface AnswerBody {
  readonly error: string;
  readonly token: string;
  readonly name: string;
  readonly revision: number;
  readonly continue?: string;
  readonly items: readonly AnswerBody[];
  readonly changes: readonly AnswerBody[];
  readonly problems: readonly AnswerBody[];
  readonly metadata: AnswerBody;
  readonly spec: AnswerBody;
  readonly code?: unknown;
  readonly change?: unknown;
  readonly verb?: unknown;
  readonly who?: unknown;
  readonly reason?: unknown;
  readonly subject?: unknown;
  readonly endpoint?: unknown;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly hash?: unknown;
  readonly owner?: unknown;
  readonly namespace?: unknown;
  readonly resourceVersion?: unknown;
  readonly document?: unknown;
  readonly path?: unknown;
  readonly kind?: unknown;
  readonly ok?: unknown;
  readonly differences?: unknown;
  readonly referrers?: unknown;
  readonly dryRun?: unknown;
  readonly changed?: unknown;
  readonly isAdmin?: unknown;
  readonly roles?: unknown;
  readonly expiresAt?: unknown;
  readonly warnings?: unknown;
  readonly openapi?: unknown;
  readonly at?: unknown;
}

/** What a request was answered. */
export interface Answered {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: AnswerBody;
  /** The body where it is a list. */
  readonly rows: readonly AnswerBody[];
  readonly text: string;
}

/** How a request of a test is sent. */
export interface Sending {
  readonly body?: string | object;
  readonly type?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a fixture differs from the plainest one. */
export interface FixtureOptions {
  readonly probing?: boolean;
  readonly access?: ApiAccess;
  /** Files may leave nothing, or much less, of what is served. */
  readonly allowEmpty?: boolean;
}

/** The control plane with its API over HTTP and the local socket, an SQLite store and files in a temporary folder. */
export class ApiFixture {
  readonly folder: string;
  readonly embedded: Embedded;
  readonly documents: DocumentService;
  readonly store: Store;
  readonly notifier: Notifier;
  readonly zoneKeys: ZoneKeeper;
  readonly routing: RoutingControls;
  /** Not started: fenced hand-overs wait until it is. */
  readonly handOvers: HandOvers;
  /** Whether hand-overs end here. */
  endsHandOvers = true;
  readonly state: StateDocuments;
  readonly weights: WeightOverrides;
  readonly approvals: Approvals;
  readonly recovery: RecoveryRuns;
  readonly rollouts: RolloutKeeper;
  /** Edges that do not answer with the weights of rollouts. */
  behind: Partial<WeightsReach> = {};
  /** Not started: `look()` takes a step. */
  readonly drills: DrillKeeper;
  /** By how much the clock of drills is ahead. */
  aheadMs = 0;
  readonly #api: Api;
  readonly #latency: LatencySamples;
  #address = "";

  private constructor(
    folder: string,
    store: Store,
    { probing = false, access = {}, allowEmpty = true }: FixtureOptions,
  ) {
    this.folder = folder;
    this.store = store;
    const transitions = new TransitionHistory();
    this.embedded = new Embedded({
      files: [join(folder, "files")],
      stored: () => this.documents.compilerFiles,
      edge: { publish: () => {} },
      logger: silent,
      persistence: new MemoryPersistence(),
      probing,
      allowEmpty,
      switchedOff: () => this.routing.off(),
      fencedTargets: () => this.routing.fencedTargets(),
      weights: () => this.weights.all(),
      vantage: "test",
      onTransitions: (batch) => transitions.add(batch),
    });
    this.documents = new DocumentService(
      () => store,
      this.embedded,
      undefined,
      () => {
        void this.routing.look();
        void this.weights.look();
        this.recovery.look();
        this.rollouts.look();
      },
      (act, caller, how) => this.approvals.admit(act, caller, how),
    );
    this.state = new StateDocuments(this.documents);
    this.weights = new WeightOverrides(this.state, (text) => this.embedded.followWeights(text));
    this.approvals = new Approvals(this.state, Date.now);
    this.drills = new DrillKeeper({
      ...{ state: this.state, embedded: this.embedded, off: () => this.routing.off() },
      leading: () => ({}),
      secrets: new Secrets(join(folder, "secrets"), {}),
      logger: silent,
      nowMs: () => Date.now() + this.aheadMs,
    });
    this.routing = new RoutingControls(
      this.state,
      Date.now,
      (text) => this.embedded.followShifts(text),
      (act, caller, how) => this.approvals.admit(act, caller, how),
    );
    this.handOvers = new HandOvers({
      ...{ state: this.state, routing: this.routing, logger: silent, clock: systemClock },
      served: () => {
        if (!this.embedded.isReady) return undefined;
        const { epoch, revision, sequence } = this.embedded;
        const follow = (): Promise<boolean> => this.embedded.followShifts("what is served now");
        return { epoch, revision, sequence, isSettled: true, follow };
      },
      gateway: () => undefined,
      epoch: () => this.documents.epoch,
      leading: () => (this.endsHandOvers ? {} : undefined),
    });
    const { embedded, documents, routing, weights } = this;
    const places = { embedded, documents, routing, weights, folder: join(folder, "secrets") };
    this.recovery = makeRecoveryRuns(places);
    this.notifier = makeNotifier(this.embedded, this.documents, transitions, folder);
    this.rollouts = makeRolloutKeeper(
      this.embedded,
      this.state,
      this.weights,
      this.notifier,
      () => this.behind,
    );
    this.zoneKeys = makeZoneKeeper(this.embedded, this.documents, folder);
    this.#latency = new LatencySamples({ folder: join(folder, "latency"), onChange: () => {} });
    this.#api = new Api({
      embedded: this.embedded,
      documents: this.documents,
      documentStore: () => store,
      refusals: new RefusalLog(join(folder, "audit")),
      consistencyKey: () => consistencyKey(folder),
      edge: {
        figures: () => noFigures,
        topNames: () => [],
      },
      notifier: this.notifier,
      zoneKeys: this.zoneKeys,
      secondaries: makeSecondaryKeeper(this.embedded, this.documents),
      routing: this.routing,
      weights: this.weights,
      approvals: this.approvals,
      recovery: this.recovery,
      handOvers: this.handOvers,
      rollouts: this.rollouts,
      drills: this.drills,
      transitions,
      journal: new OverlayJournal(join(folder, "journal"), Date.now, () => {}),
      store: new SnapshotStore(join(folder, "snapshots")),
      version: "0.0.0",
      latency: this.#latency,
      http: "127.0.0.1:0",
      ...access,
      socketPath: join(folder, "meridian.sock"),
    });
  }

  /** Started, with `files` by name; closed and removed after the test. */
  static async start(
    context: TestContext,
    files: Readonly<Record<string, string>>,
    options: FixtureOptions = {},
  ): Promise<ApiFixture> {
    const folder = mkdtempSync(join(tmpdir(), "meridian-api-"));
    for (const name of ["files", "journal", "snapshots"]) mkdirSync(join(folder, name));
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(folder, "files", name), text);
    const path = join(folder, "store.sqlite");
    const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => {});
    const fixture = new ApiFixture(folder, store, options);
    context.after(() => fixture.#close());
    await fixture.documents.start();
    await fixture.embedded.start();
    fixture.#address = (await fixture.#api.start()) ?? "";
    return fixture;
  }

  get address(): string {
    return this.#address;
  }

  /** Over the local socket: as an administrator. */
  local(method: string, path: string, sending: Sending = {}): Promise<Answered> {
    return exchange({ socketPath: join(this.folder, "meridian.sock"), path, method }, sending);
  }

  /** Over HTTP. */
  http(method: string, path: string, sending: Sending = {}): Promise<Answered> {
    const { hostname, port } = new URL(this.#address);
    return exchange({ hostname, port, path, method }, sending);
  }

  /** A token of a role with these rules, made by the administrator. */
  async tokenOf(role: string, rules: readonly object[]): Promise<string> {
    const document = {
      apiVersion: "meridian.dev/v1alpha1",
      kind: "Role",
      metadata: { name: role },
      spec: { rules },
    };
    await this.local("POST", "/v1/apply", { body: document });
    const body = { subject: `user of ${role}`, roles: [role], expiresIn: "1h" };
    const made = await this.local("POST", "/v1/tokens", { body });
    return made.body.token;
  }

  async #close(): Promise<void> {
    await this.#api.close();
    await this.handOvers.close();
    await this.recovery.close();
    await this.rollouts.close();
    this.#latency.close();
    await this.notifier.close();
    await this.drills.close();
    await this.embedded.close();
    await this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function exchange(
  to: Readonly<Record<string, string>>,
  { body, type = "application/json", token, headers = {} }: Sending,
): Promise<Answered> {
  const text = typeof body === "object" ? JSON.stringify(body) : body;
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const asked = request({
    ...to,
    agent: false,
    headers: {
      ...(text === undefined ? {} : { "content-type": type }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
  });
  asked.on("error", reject);
  asked.on("response", (response) => {
    let answer = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      answer += chunk;
    });
    response.on("end", () => {
      const problem = described.problemOf({
        method: to["method"] ?? "",
        path: to["path"] ?? "",
        status: response.statusCode ?? 0,
        contentType: String(response.headers["content-type"]),
        text: answer,
      });
      if (problem !== undefined) reject(new Error(`The answer is not as described: ${problem}`));
      const isJson = String(response.headers["content-type"]).startsWith("application/json");
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the API answers is what these tests are about
      const json = (isJson ? JSON.parse(answer) : {}) as AnswerBody | readonly AnswerBody[];
      const rows = isList(json) ? json : [];
      resolve({
        status: response.statusCode ?? 0,
        headers: new Map(
          Object.entries(response.headers).map(([key, each]) => [key, String(each)]),
        ),
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
        body: isList(json) ? ({} as AnswerBody) : json,
        rows,
        text: answer,
      });
    });
  });
  asked.end(text);
  return promise;
}

function isList(json: AnswerBody | readonly AnswerBody[]): json is readonly AnswerBody[] {
  return Array.isArray(json);
}
