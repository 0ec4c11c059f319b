// SPDX-License-Identifier: Apache-2.0

// What a control does for zones besides compiling them: keys of those that are signed, secrets of cookies, copies of other servers' zones, and
// zones that other servers are told of.

import { systemClock } from "@meridian/core";
import {
  CookieKeeper,
  DecidedPublisher,
  SecondaryKeeper,
  ServedOrigins,
  ZoneKeeper,
  keepMaterials,
  type Notifier,
  type DocumentService,
  type EdgeGateway,
  type Embedded,
  type Leading,
  type Logger,
  type StateDocuments,
} from "@meridian/control";
import { COOKIE_SECRETS } from "@meridian/snapshot";
import { decidedNames } from "./decided-names.ts";
import { keyPlaceOf } from "./key-place.ts";
import type { ServerEdge } from "./server-edge.ts";
import type { ServerOptions } from "./server-options.ts";

export interface ZoneWorkOptions {
  readonly server: ServerOptions;
  readonly stateFolder: string;
  readonly secretsFolder: string;
  readonly embedded: Embedded;
  readonly state: StateDocuments;
  readonly documents: DocumentService;
  /** What answers in this process. */
  readonly edge: ServerEdge;
  readonly gateway: () => EdgeGateway | undefined;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  readonly board: Notifier["board"];
  readonly logger: Logger;
}

export class ZoneWork {
  readonly keys: ZoneKeeper;
  readonly cookies: CookieKeeper;
  readonly secondaries: SecondaryKeeper;
  readonly publisher: DecidedPublisher;
  readonly #options: ZoneWorkOptions;
  /** As edges are sent them. */
  #cookieSecrets: readonly (readonly [name: string, text: string])[] = [];

  constructor(options: ZoneWorkOptions) {
    this.#options = options;
    this.keys = this.#zoneKeeper();
    this.publisher = this.#decidedPublisher();
    this.cookies = this.#cookieKeeper();
    this.secondaries = this.#secondaryKeeper();
  }

  /** The rest is started by itself: keys and cookies before edges are there. */
  start(): void {
    this.secondaries.start();
    this.publisher.start();
  }

  /** Idempotent, as far as its parts are. */
  async close(): Promise<void> {
    await this.keys.close();
    await this.cookies.close();
    await this.secondaries.close();
    await this.publisher.close();
  }

  /** What edges sign with: their zones, and cookies. */
  tellEdges(): void {
    const materials = new Map([...this.keys.materials, ...this.#cookieSecrets]);
    this.#options.gateway()?.setMaterials(materials);
  }

  #zoneKeeper(): ZoneKeeper {
    const { server, stateFolder, embedded, state, edge, leading, board, logger } = this.#options;
    const origins = new ServedOrigins(embedded);
    return new ZoneKeeper({
      state,
      keyPlace: keyPlaceOf(server),
      served: () => origins.zones(),
      leading,
      onMaterials: (materials) => {
        edge.sign([...materials.values()]);
        this.tellEdges();
        if (server.edges === undefined) keepMaterials(stateFolder, keyPlaceOf(server), materials);
      },
      board,
      logger,
      nowMs: () => systemClock.wallMs(),
    });
  }

  #decidedPublisher(): DecidedPublisher {
    const { secretsFolder, embedded, leading, logger } = this.#options;
    return new DecidedPublisher({
      zones: () => (embedded.isReady ? embedded.model?.publishedZones : undefined),
      state: () => `${embedded.epoch} ${embedded.revision} ${embedded.sequence}`,
      decided: (origin) => {
        const { world, overlay } = embedded;
        return world === undefined ? [] : decidedNames(world, overlay.moment().slots, origin);
      },
      secrets: { folder: secretsFolder, environment: process.env },
      isLeading: () => leading() !== undefined,
      logger,
      nowMs: () => systemClock.wallMs(),
    });
  }

  #cookieKeeper(): CookieKeeper {
    const { server, state, edge, leading, logger } = this.#options;
    return new CookieKeeper({
      // A process that answers alone has nobody to share them with.
      state: server.edges === undefined ? undefined : state,
      keyPlace: keyPlaceOf(server),
      leading,
      onSecrets: (secrets) => {
        edge.setCookieSecrets(secrets);
        this.#cookieSecrets = [[COOKIE_SECRETS, secrets.join(" ")]];
        this.tellEdges();
      },
      logger,
      nowMs: () => systemClock.wallMs(),
    });
  }

  #secondaryKeeper(): SecondaryKeeper {
    const { embedded, state, documents, leading, board, logger } = this.#options;
    return new SecondaryKeeper({
      state,
      apply: (writes, lease) => documents.applyState(writes, "secondary", lease),
      zones: () => embedded.model?.secondaryZones,
      secrets: () => embedded.secretsOf("edge"),
      board,
      leading,
      logger,
      nowMs: () => systemClock.wallMs(),
    });
  }
}
