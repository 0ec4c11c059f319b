// SPDX-License-Identifier: Apache-2.0

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "./open-store.ts";
import { storeContract, type OpenedStore } from "./store.contract.ts";

async function open(): Promise<OpenedStore> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-store-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  return {
    replicas: [store, store],
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

storeContract("sqlite", { open, runs: 25 });
