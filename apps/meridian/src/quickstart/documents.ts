// SPDX-License-Identifier: Apache-2.0

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRawDocuments } from "@meridian/model";
import { REGION_PORT } from "./regions.ts";

/** Where the documents of the quick start are. */
export const quickstartFolder: string = fileURLToPath(
  new URL("../../../../deploy/examples/quickstart", import.meta.url),
);

/** What the quick start lets people try: switches and recovery plans, which the API takes and files may not hold. */
export function triedDocuments(): readonly unknown[] {
  const path = fileURLToPath(
    new URL("../../../../deploy/examples/recovery/quickstart.yaml", import.meta.url),
  );
  const { documents } = readRawDocuments({ path, bytes: readFileSync(path) });
  return documents.map(({ raw }) => raw);
}

/** The documents for regions on `port`: the folder itself, or a copy in `copies` where the port is another one. */
export function documentsFor(port: number, copies: string): string {
  if (port === REGION_PORT) return quickstartFolder;
  mkdirSync(copies, { recursive: true });
  for (const name of readdirSync(quickstartFolder).filter((each) => each.endsWith(".yaml"))) {
    const text = readFileSync(join(quickstartFolder, name), "utf8");
    writeFileSync(join(copies, name), text.replaceAll(`port: ${REGION_PORT}`, `port: ${port}`));
  }
  return copies;
}
