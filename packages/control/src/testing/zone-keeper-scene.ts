// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDocument } from "@meridian/model";
import { parseSigningMaterial, type SigningMaterial } from "@meridian/snapshot";
import { ZoneKeeper, type ZoneKeeperOptions } from "../dnssec/zone-keeper.ts";
import { DocumentSet } from "../documents/document-set.ts";
import { RaisedAlerts } from "../notifications/alert.ts";
import type { PresignedFacts, SignedZone } from "../served-model.ts";
import { StateDocuments } from "../state/state-documents.ts";
import { openStore } from "../store/open-store.ts";
import { ParentServer } from "./parent-server.ts";

/** The zone that the keepers keep keys of. */
export const KEPT_ORIGIN = "example.org";
const LOOKS_MAX = 2000;

/** One of the controls. */
export interface KeptControl {
  readonly keeper: ZoneKeeper;
  readonly board: RaisedAlerts;
  /** Takes what others have written. */
  readonly refresh: () => Promise<void>;
}

/** Controls of one store under a clock that is moved by hand, and the parent of the zone. */
export class ZoneKeeperScene {
  readonly folder: string = mkdtempSync(join(tmpdir(), "meridian-keys-"));
  readonly parent: ParentServer = new ParentServer();
  readonly errors: string[] = [];
  readonly signed: Map<string, SignedZone> = new Map();
  readonly presigned: Map<string, PresignedFacts> = new Map();
  nowMs: number = Date.UTC(2026, 0, 1);
  /** Whether the zone is served, signed or not. */
  served = true;
  readonly #store = openStore(
    { kind: "sqlite", path: join(this.folder, "store.sqlite"), isReadOnly: false },
    () => undefined,
  );

  static async start(t: TestContext, settings: object = {}): Promise<ZoneKeeperScene> {
    const scene = new ZoneKeeperScene();
    await scene.parent.start();
    scene.set(settings);
    t.after(async () => {
      scene.parent.close();
      // What is under way writes to a store that is open.
      await sleep(50);
      await (await scene.#store).close();
      rmSync(scene.folder, { recursive: true, force: true });
    });
    return scene;
  }

  /** Has the zone signed with these settings of `dnssec`, besides times of seconds. */
  set(settings: object): void {
    this.signed.set(KEPT_ORIGIN, signedZone(this.parent.port, settings));
  }

  async makeControl(
    more: Partial<ZoneKeeperOptions> & { readonly isLeader?: boolean } = {},
  ): Promise<KeptControl> {
    const store = await this.#store;
    let documents = DocumentSet.empty;
    const source = {
      store,
      get documents() {
        return documents;
      },
      refresh: async () => {
        documents = await documents.refreshed(store);
      },
    };
    const board = new RaisedAlerts();
    const { isLeader = true, ...options } = more;
    const keeper = new ZoneKeeper({
      ...{ state: new StateDocuments(source), keyPlace: join(this.folder, "sealing.key"), board },
      served: () => ({ signed: this.signed, presigned: this.presigned, has: () => this.served }),
      leading: () => (isLeader ? {} : undefined),
      onMaterials: () => undefined,
      logger: {
        info: () => undefined,
        warn: () => undefined,
        error: ({ reason }: { reason?: string }) => this.errors.push(reason ?? ""),
      },
      nowMs: () => this.nowMs,
      ...options,
    });
    return { keeper, board, refresh: source.refresh };
  }
}

/** What an edge signs the zone with. */
export function keptMaterial(keeper: ZoneKeeper): SigningMaterial | undefined {
  return parseSigningMaterial(keeper.materials.get(KEPT_ORIGIN) ?? "");
}

/** Has the keeper look again and again. */
export async function untilKept(
  keeper: ZoneKeeper,
  holds: () => boolean,
  what: string,
): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    keeper.tick();
    await sleep(5);
    if (holds()) return;
  }
  assert.fail(`${what}: ${JSON.stringify(keeper.zones.get(KEPT_ORIGIN)?.zone.keys)}`);
}

function signedZone(port: number, settings: object): SignedZone {
  const [document] = parseDocument(
    {
      ...{ apiVersion: "meridian.dev/v1alpha1", kind: "Zone", metadata: { name: KEPT_ORIGIN } },
      spec: {
        origin: KEPT_ORIGIN,
        dnssec: {
          ...{ dnskeyTtl: "10s", maxZoneTtl: "20s", propagationDelay: "1s" },
          ...{ parentPropagationDelay: "4s", parentDsTtl: "10s" },
          ...{ signatureValidity: "600s", refresh: "300s" },
          parentServers: [{ address: "127.0.0.1", port }],
          ...settings,
        },
      },
    },
    { file: "a.yaml", line: 1 },
  ).documents;
  assert.ok(document?.kind === "Zone" && document.spec.dnssec !== undefined);
  return { namespace: "default", name: KEPT_ORIGIN, dnssec: document.spec.dnssec };
}
