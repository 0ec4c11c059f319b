// SPDX-License-Identifier: Apache-2.0

// The edges of a control plane: who may join, who has, what they are sent, and where they come in.

import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf } from "@meridian/core";
import type { ChangeSet, Roster } from "@meridian/health";
import { LINK_SLOTS_MAX, TABLE_MS, type SharedWorld } from "@meridian/snapshot";
import type { Publication } from "../embedded-options.ts";
import type { CertificateAuthority, KeyPair } from "./certificate-authority.ts";
import { EdgeInvitations, type EdgeInvitation } from "./edge-invitations.ts";
import type { EdgeGatewayOptions } from "./edge-gateway-options.ts";
import { RevokedEdges } from "./revoked-edges.ts";
import { EdgeHub, type EdgeView, type Staging } from "./edge-hub.ts";
import { CellKeeper, type ShardView } from "../cells/cell-keeper.ts";
import type { HandOverScene } from "../routing/hand-over-waits.ts";
import type { ConfirmedState } from "./edge-leases.ts";
import { EdgeRefusals } from "./edge-refusals.ts";
import { EdgeListener } from "./edge-listener.ts";
import { EdgeRoster, type JoinRole } from "./edge-roster.ts";
import { ControlPeers, edgesOf, momentsOf, type ControlStatus } from "./control-peers.ts";
import { JoinTokens } from "./join-tokens.ts";
import { ServedFile } from "./served-file.ts";
import { StoreCopyFile } from "./store-copy-file.ts";
import { PeerReports } from "./peer-reports.ts";
import { PlanSectionFile } from "./plan-section.ts";
import { publicationOf, type PublicationView } from "./publication-state.ts";
import { certificateEnd, expiriesOf } from "../expiries.ts";
import type { Fleet } from "../notifications/notifier.ts";
import type { DrainTally } from "../traffic/measured-traffic.ts";
import { ServedWeights, reachOfAll, type WeightsReach } from "../weights/weights-reach.ts";
import { SigningHub } from "./signing-hub.ts";
import { VantageHub } from "./vantage-hub.ts";

/** Pause before a store that cannot be written is tried again. */
const REGISTER_MS = 1000;
/** The store is asked for its head each second; where it is older than this, it is out of reach. */
const STORE_AGE_MS_MAX = 3000;
/** How often it is looked whether Cells, or what is served, have changed. */
const CELLS_MS = 250;
/** For how long what other controls said of their edges is taken as what they would say now. */
const ASKED_MS = 250;

export class EdgeGateway {
  readonly #options: EdgeGatewayOptions;
  readonly #authority: CertificateAuthority;
  readonly #invitations: EdgeInvitations;
  readonly #roster: EdgeRoster;
  readonly #hub: EdgeHub;
  readonly #weights: ServedWeights;
  readonly #vantages: VantageHub;
  readonly #signing = new SigningHub();
  readonly #plan: PlanSectionFile;
  readonly #served: ServedFile;
  #isServedKept = true;
  readonly #listener: EdgeListener;
  readonly #peers: ControlPeers;
  readonly #cells: CellKeeper;
  /** Of what was published last. */
  #world: SharedWorld | undefined;
  readonly #reports: PeerReports;
  /** When the newest certificates end, by edge. */
  readonly #certificateEnds = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #cellTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #revoked: RevokedEdges;
  #asked:
    | { readonly atMs: number; readonly statuses: Promise<readonly ControlStatus[]> }
    | undefined;
  /** `HOST:PORT` that is listened on. */
  address = "";

  private constructor(options: EdgeGatewayOptions, authority: CertificateAuthority) {
    const { state, logger, clock, listen } = options;
    this.#options = options;
    this.#authority = authority;
    const tokens = new JoinTokens(state);
    this.#invitations = new EdgeInvitations(tokens, authority.fingerprint, clock);
    this.#roster = new EdgeRoster(state);
    this.#revoked = new RevokedEdges(this.#roster);
    this.#hub = new EdgeHub(clock, options.events);
    this.#weights = new ServedWeights({
      ...options.weights,
      behind: (place) => this.#hub.behind(place, this.#roster.edges()),
    });
    this.#vantages = new VantageHub(options.hear, options.secrets);
    this.#plan = new PlanSectionFile(options.stateFolder);
    this.#served = new ServedFile(options.stateFolder, () => clock.wallMs());
    this.#listener = new EdgeListener({
      ...splitAddress(listen),
      authority,
      tokens,
      roster: this.#roster,
      hub: this.#hub,
      signing: this.#signing,
      copy: new StoreCopyFile({
        path: options.copyPath,
        store: () => state.store,
        monotonicMs: () => clock.monotonicMs(),
      }),
      certified: (edge, endsAtMs) => {
        const known = this.#certificateEnds.get(edge) ?? 0;
        this.#certificateEnds.set(edge, Math.max(known, endsAtMs));
      },
      vantages: this.#vantages,
      update: options.update,
      section: (name, role) =>
        this.#plan.section(name) ?? (role === "edge" ? this.#section(name) : undefined),
      notified: (zone) => options.notified(zone),
      traffic: (edge, counts) => options.traffic(edge, counts),
      refusals: new EdgeRefusals(options.refusals),
      status: () => this.#status(),
      logger,
      wallMs: () => clock.wallMs(),
    });
    this.#cells = new CellKeeper({
      ...{ state, logger, leading: options.leading },
      world: () => this.#world,
      wantedHash: (edge) => this.#hub.wantedHash(edge),
      edges: async () => edgesOf(await this.controls()),
      setWithheld: (withheld) => {
        this.#signing.setWithheld(withheld);
        this.#hub.setWithheld(withheld);
      },
      wallMs: () => clock.wallMs(),
    });
    const credentials = (): Promise<KeyPair> => authority.makePeer(clock.wallMs());
    this.#peers = new ControlPeers({
      name: options.name,
      address: () => this.#peerAddress(),
      state,
      authority: authority.certificate,
      credentials,
      own: () => this.#status(),
    });
    this.#reports = new PeerReports({
      name: controlVantage(options.name),
      site: options.site,
      version: options.version,
      others: () => this.#peers.others(),
      authority: authority.certificate,
      credentials,
      logger,
      monotonicMs: () => clock.monotonicMs(),
    });
  }

  /** Opens what is in the store; makes an authority where there is none. */
  static async open(options: EdgeGatewayOptions): Promise<EdgeGateway> {
    // Loaded where there are edges alone: the certificate library takes as long as all of control's other modules.
    const { CertificateAuthority } = await import("./certificate-authority.ts");
    const { state, keyPlace, clock } = options;
    const authority = await CertificateAuthority.open(state, keyPlace, clock.wallMs());
    return new EdgeGateway(options, authority);
  }

  async start(): Promise<void> {
    const { host } = splitAddress(this.#options.listen);
    const port = await this.#listener.start();
    this.address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.#timer = setInterval(() => {
      this.#cutRevoked();
      this.#hub.tick();
      this.#rememberServed();
      void this.#isCurrent().then((isCurrent) => this.#vantages.tick(isCurrent));
      this.#reports.tick();
      this.#signing.tick();
    }, TABLE_MS).unref();
    // Before the first edge is sent anything.
    this.#cells.tick();
    this.#cellTimer = setInterval(() => this.#cells.tick(), CELLS_MS).unref();
  }

  /** Tenants and zones of Cells; of one zone alone where its origin is given. */
  shards(origin?: string): readonly ShardView[] {
    return this.#cells.views(origin);
  }

  /** Whether the store was heard of a moment ago. Edges that follow a control that is cut off from it go to another. */
  async #isCurrent(): Promise<boolean> {
    try {
      const { ageMs } = await this.#options.state.store.head({ stale: true });
      return ageMs < STORE_AGE_MS_MAX;
    } catch {
      return false;
    }
  }

  /** Whether some edge is connected. */
  get hasEdges(): boolean {
    return this.views().some(({ connected }) => connected);
  }

  /** A revision for all edges; with `staging` for a few of them first. */
  publish(publication: Publication, staging?: Staging): void {
    const { slotCount, revision } = publication;
    this.#world = publication.world;
    if (slotCount <= LINK_SLOTS_MAX) this.#hub.publish(publication, staging);
    else
      this.#options.logger.error(
        { revision, slotCount, slotCountMax: LINK_SLOTS_MAX },
        "Cannot send a revision to edges: it has too many endpoints, pools and branches",
      );
  }

  /** What another control has found of the revision that is staged: undefined for good, or why it is bad. */
  decide(revision: number, reason: string | undefined): void {
    this.#hub.decide(revision, reason);
  }

  /** With `false` no edge is served here: those that are have to go to another control. */
  setServing(mayServe: boolean): void {
    this.#hub.setServing(mayServe);
  }

  changed(changeSet: ChangeSet): void {
    this.#hub.changed(changeSet);
  }

  /** By origin, what edges sign zones with from now on. */
  setMaterials(materials: ReadonlyMap<string, string>): void {
    this.#signing.setMaterials(materials);
  }

  /** What is probed is another plan, which is in the state folder. */
  async planKept(): Promise<void> {
    this.#vantages.planned(await this.#plan.read());
  }

  rosterChanged(roster: Roster): void {
    this.#vantages.rosterChanged(roster);
  }

  /** Other vantages that are likely to report: edges and probes that have joined, and the other controls. */
  get expectedCount(): number {
    return this.#roster.names().length + this.#peers.others().length;
  }

  /** PEM. */
  get authorityCertificate(): string {
    return this.#authority.certificate;
  }

  /** What this control says as a vantage. */
  report(payload: Uint8Array): void {
    this.#reports.report(payload);
  }

  /** Tells other controls where this one is, as soon as the store can be written. */
  async register(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#peers.register();
        return;
      } catch {
        // Without a quorum; it shows elsewhere.
        await sleep(REGISTER_MS, undefined, { ref: false });
      }
    }
  }

  /** Takes a control that is gone off the list; false where there is no other of that name, "running" where it answers. */
  forgetControl(name: string): Promise<boolean | "running"> {
    return this.#peers.forget(name);
  }

  /** This control and the others of its store, with the edges that each has. */
  controls(): Promise<readonly ControlStatus[]> {
    return this.#peers.all();
  }

  async #status(): Promise<ControlStatus> {
    const { name, control } = this.#options;
    const address = this.#peerAddress();
    return {
      control: {
        ...{ name, address, authorityEndsMs: certificateEnd(this.authorityCertificate) },
        ...(await control()),
      },
      edges: this.views(),
      drains: this.#options.drains(),
      leases: this.#hub.leases.view(),
      weights: this.#weights.known(),
    };
  }

  /** What edges may act on; see `EdgeHub.confirm()`. */
  confirm(state: ConfirmedState | undefined): void {
    this.#hub.confirm(state);
  }

  /** See `EdgeHub.holdUntilConfirmed()`. */
  holdUntilConfirmed(): void {
    this.#hub.holdUntilConfirmed();
  }

  /** What routing controls are, as every edge is told. */
  setControls(message: Uint8Array): void {
    this.#hub.setControls(message);
  }

  /** What edges are told of how new that is. */
  tellControls(message: Uint8Array): void {
    this.#hub.tellControls(message);
  }

  /** Who may hold leases, as all controls of the store say. */
  async leases(): Promise<Pick<HandOverScene, "edges" | "revoked" | "controls">> {
    const statuses = await this.#lately();
    const nowMs = this.#options.clock.monotonicMs();
    return {
      edges: this.#roster.edges(),
      revoked: this.#revoked.note(nowMs).map(({ name, atMs }) => ({ name, sinceMs: nowMs - atMs })),
      controls: statuses.map(({ control: { name }, leases }) =>
        leases === undefined ? { name } : { name, leases },
      ),
    };
  }

  /** An address that is any of this host's is none for others. */
  #peerAddress(): string {
    const { host, port } = splitAddress(this.address);
    return host === "0.0.0.0" || host === "::" ? `${hostname()}:${port}` : this.address;
  }

  views(): EdgeView[] {
    const joined = this.#hub.views(this.#roster.edges()).map((view): EdgeView => {
      const cell = this.#cells.cellOf(view.name);
      const certificateEndsMs = this.#certificateEnds.get(view.name);
      return {
        ...view,
        ...(cell === undefined ? {} : { cell }),
        ...(certificateEndsMs === undefined ? {} : { certificateEndsMs }),
      };
    });
    return [...joined, ...this.#revoked.views()];
  }

  /** Refuses an edge from now on, at every control of the store; false where there is none of that name. */
  async revoke(edge: string): Promise<boolean> {
    const isRevoked = await this.#roster.revoke(edge, this.#options.clock.wallMs());
    this.#cutRevoked();
    return isRevoked;
  }

  /** Also those that another control has revoked. */
  #cutRevoked(): void {
    this.#revoked.note(this.#options.clock.monotonicMs());
    for (const name of this.#roster.revoked()) this.#hub.forget(name);
    this.#listener.cutRevoked();
  }

  /** Edges that have joined, at whichever control. */
  edgeNames(): readonly string[] {
    return this.#roster.edges();
  }

  /** As `EdgeHub.unmovedMs()`. */
  unmovedMs(revision: number, sequence: number): ReadonlyMap<string, number> | undefined {
    return this.#hub.unmovedMs(revision, sequence);
  }

  /** Revisions that edges are sent, or served when they were last heard of, be it by the process before this one. */
  get servedRevisions(): readonly number[] {
    return [...new Set([...this.#hub.servedRevisions, ...this.#served.revisions])];
  }

  #rememberServed(): void {
    try {
      this.#served.take(this.#hub.servedByEdge, (edge) => this.#roster.has(edge));
      this.#isServedKept = true;
    } catch (error) {
      // Once, and not each second while the disk is full.
      if (this.#isServedKept)
        this.#options.logger.error(
          { reason: reasonOf(error) },
          "Cannot keep in the state folder what edges serve",
        );
      this.#isServedKept = false;
    }
  }

  /** How far a revision has come, as far as edges of this control go. */
  publication(revision: number): PublicationView {
    return this.#hub.publication(revision, this.#roster.edges());
  }

  /** The same for the edges of all controls of the store. */
  async publicationOfAll(revision: number): Promise<PublicationView> {
    const own = this.publication(revision);
    const statuses = await this.#lately();
    if (statuses.length < 2 || own.state === "withdrawn") return own;
    const here = statuses.find(({ control }) => control.name === this.#options.name);
    const { revision: published = 0, epoch = 0 } = here?.control ?? {};
    const nowMs = this.#options.clock.wallMs();
    const all = publicationOf(revision, published, momentsOf(statuses, epoch, nowMs));
    return { ...all, ...(own.canaries === undefined ? {} : { canaries: own.canaries }) };
  }

  /** Edges of all controls of the store that do not answer with the weights that were in it as of this revision of it. */
  async weightsReach(asOf: number): Promise<WeightsReach> {
    const own = await this.#weights.reach();
    const { name } = this.#options;
    const others = (await this.#lately()).filter(({ control }) => control.name !== name);
    return reachOfAll(asOf, [
      { name, reach: own },
      ...others.map(({ control, weights }) => ({ name: control.name, reach: weights })),
    ]);
  }

  /** The edges of all controls of the store. */
  async allViews(): Promise<readonly EdgeView[]> {
    return edgesOf(await this.#lately());
  }

  /** What every control of the store has counted of drains. */
  async allDrains(): Promise<readonly DrainTally[]> {
    return (await this.#lately()).flatMap(({ drains = [] }) => drains);
  }

  /** The same, and what certificates end. */
  async fleet(): Promise<Fleet> {
    const statuses = await this.#lately();
    return { edges: edgesOf(statuses), expiries: expiriesOf(statuses) };
  }

  /** As other controls said a moment ago at most: who waits for something asks often. */
  #lately(): Promise<readonly ControlStatus[]> {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#asked === undefined || nowMs - this.#asked.atMs > ASKED_MS)
      this.#asked = { atMs: nowMs, statuses: this.controls() };
    return this.#asked.statuses;
  }

  #section(name: string): SharedArrayBuffer | undefined {
    const { section, storedSection } = this.#options;
    const served = section(name);
    return served === undefined && this.#hub.isSent(name) ? storedSection?.(name) : served;
  }

  /** As `EdgeInvitations.invite()`. */
  invite(edge: string, forMs: number, role: JoinRole = "edge"): Promise<EdgeInvitation> {
    return this.#invitations.invite(edge, forMs, role);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearInterval(this.#cellTimer);
    this.#hub.close();
    this.#vantages.close();
    this.#reports.close();
    await this.#listener.close();
  }
}

/** What a control is called among vantages: no edge can have such a name. */
export function controlVantage(control: string): string {
  return `control/${control}`;
}

function splitAddress(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}
