// SPDX-License-Identifier: Apache-2.0

// What comes first of a server: the lock of its state folder, its sockets and workers, and answers from what is stored. The control plane,
// with all that it is made of, is loaded when those are given: it takes longer than everything here, and on one core it would be in
// the way. So little is imported, and nothing of a third party.

import {
  DiskPersistence,
  StateDir,
  keptMaterials,
  publicationOf,
  restorePair,
  type KeyPlace,
  type Logger,
  type RestoredPair,
} from "@meridian/control";
import { holdFolder, type EdgeLogger, type Takeover } from "@meridian/edge";
import { loadNative } from "@meridian/native";
import { plainLogger } from "./plain-logger.ts";
import { keyPlaceOf } from "./key-place.ts";
import { ServerEdge, handoverPath } from "./server-edge.ts";
import type { ServerOptions } from "./server-options.ts";

export class FirstAnswers {
  readonly directory: StateDir;
  /** From the process that is to be replaced, whose id comes with it. */
  readonly takeover: Takeover | undefined;
  readonly predecessor: number | undefined;
  readonly persistence: DiskPersistence;
  readonly edge: ServerEdge;
  readonly #keyPlace: KeyPlace;
  #restored: { readonly pair: RestoredPair | undefined } | undefined;

  private constructor(
    options: ServerOptions,
    directory: StateDir,
    takeover: Takeover | undefined,
    logger: EdgeLogger,
  ) {
    this.directory = directory;
    this.#keyPlace = keyPlaceOf(options);
    this.takeover = takeover;
    this.predecessor = takeover === undefined ? undefined : directory.holder();
    if (takeover === undefined) directory.lock();
    this.persistence = new DiskPersistence(directory, controlLogger(logger), Date.now);
    this.edge = new ServerEdge({ server: options, logger, takeover });
  }

  /**
   * Resolves when what is stored is answered, or is not there. In place of another process it is only read: that one answers meanwhile.
   * Rejects, with everything given back, where the folder or its sockets cannot be had.
   */
  static async start(options: ServerOptions): Promise<FirstAnswers> {
    const logger = plainLogger(options.logLevel);
    const directory = new StateDir(options.stateDir);
    const make = (takeover?: Takeover): FirstAnswers =>
      new FirstAnswers(options, directory, takeover, logger);
    let first: FirstAnswers | undefined;
    try {
      first = options.replace ? await held(options, directory, logger, make) : make();
      // Edges are given what is stored under the epoch of the store, which is opened first then.
      if (options.edges === undefined) await first.#answer(logger);
      return first;
    } catch (error) {
      first?.takeover?.abandon();
      await first?.edge.close();
      directory.unlock();
      throw error;
    }
  }

  /** What the state folder held; undefined where it was not looked at. */
  get restored(): { readonly pair: RestoredPair | undefined } | undefined {
    return this.#restored;
  }

  /** Gives everything back, where no server took it over. */
  async close(): Promise<void> {
    await this.edge.close();
    this.persistence.close();
    this.directory.unlock();
  }

  async #answer(logger: EdgeLogger): Promise<void> {
    // The workers come up in threads of their own while this one reads the state folder.
    const started = this.takeover === undefined ? this.edge.start() : undefined;
    // Whoever starts the server waits for it.
    started?.catch(() => undefined);
    const pair = restorePair(this.persistence, controlLogger(logger), {
      wallMs: Date.now,
      onSlab: adviceForSlabs(),
    });
    this.#restored = { pair };
    if (pair === undefined || !pair.hasOverlay) return;
    // Before the snapshot: no answer of a signed zone goes without.
    this.edge.sign(keptMaterials(this.directory.path, this.#keyPlace));
    this.edge.serve(publicationOf(pair), pair.world);
    if (started !== undefined) await this.edge.whenAnswering();
  }
}

async function held<T>(
  { stateDir, interrupted: signal }: ServerOptions,
  directory: StateDir,
  logger: EdgeLogger,
  make: (takeover: Takeover | undefined) => T,
): Promise<T> {
  const path = handoverPath(stateDir);
  return (await holdFolder({ path, directory, logger, signal }, make)).made;
}

/** Huge pages under the sections: a look-up among a million names then costs a fifth less. Without the add-on there are none. */
export function adviceForSlabs(): (slab: SharedArrayBuffer) => void {
  const loaded = loadNative();
  return (slab) => {
    if (loaded.kind === "loaded") loaded.native.adviseHugePages(new Uint8Array(slab));
  };
}

function controlLogger(logger: EdgeLogger): Logger {
  return {
    info: (fields, message) => logger.info(message, { ...fields }),
    warn: (fields, message) => logger.warn(message, { ...fields }),
    error: (fields, message) => logger.error(message, { ...fields }),
  };
}
