// SPDX-License-Identifier: Apache-2.0

// The scenarios that come with Meridian: files of deploy/examples/simulate, beside the bundle or in a checkout.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memberOf } from "./api-client.ts";
import { readRawDocuments } from "@meridian/model";

/** A bundle has it beside its `app` folder. */
const places = ["../deploy/examples/simulate", "../../../deploy/examples/simulate"];

export interface ShippedScenario {
  readonly name: string;
  readonly path: string;
  readonly description: string;
}

/** Where they are; undefined where they did not come along. */
export function scenariosFolder(): string | undefined {
  return places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((folder) => existsSync(folder));
}

/** The path of the one with a name; undefined where there is none. */
export function scenarioPath(name: string): string | undefined {
  const folder = scenariosFolder();
  if (folder === undefined || !/^[a-z0-9-]+$/.test(name)) return undefined;
  const path = join(folder, `${name}.yaml`);
  return existsSync(path) ? path : undefined;
}

/** All of them, by name. */
export function shippedScenarios(): ShippedScenario[] {
  const folder = scenariosFolder();
  if (folder === undefined) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .toSorted()
    .map((file) => {
      const path = join(folder, file);
      const { documents } = readRawDocuments({ path, bytes: readFileSync(path) });
      const scenario = documents.find(({ raw }) => memberOf(raw, "kind") === "Scenario")?.raw;
      const description = memberOf(memberOf(scenario, "spec"), "description");
      return {
        name: file.slice(0, -".yaml".length),
        path,
        description: typeof description === "string" ? description.trim() : "",
      };
    });
}
