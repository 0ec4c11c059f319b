// SPDX-License-Identifier: Apache-2.0

// A change that nobody makes, and that is compiled for nobody: the first small change after a start is compiled by code that runs for the
// first time, 40 ms of processor time instead of 15 of a million names, while somebody waits for it.

import type { InputFile, Model } from "@meridian/model";

const API_VERSION = "meridian.dev/v1alpha1";
/** No document of a user is likely to have it; where one has, the rehearsal ends where that is seen. */
const NAME = "meridian-rehearsal";

/**
 * A pool, a policy that leads to it and to one that is there, and a name of the first zone that has none from elsewhere; undefined where
 * there is no such zone.
 */
export function rehearsedChange({ zones, pools }: Model): InputFile | undefined {
  const zone = zones.values().find(({ document: { spec } }) => spec.secondary === undefined);
  if (zone === undefined) return undefined;
  const { metadata, spec } = zone.document;
  const { namespace } = metadata;
  const document = (kind: string, body: object): string =>
    JSON.stringify({
      apiVersion: API_VERSION,
      kind,
      metadata: { name: NAME, namespace },
      spec: body,
    });
  // What is found among thousands goes another way than what is new.
  const there = pools.values().find((pool) => pool.document.metadata.namespace === namespace);
  const led = there === undefined ? [NAME] : [NAME, there.document.metadata.name];
  const branches = led.map((pool) => ({ pool, weight: 1 }));
  const text = [
    document("Pool", { members: { one: { address: "192.0.2.1" } } }),
    document("TrafficPolicy", { root: "root", nodes: { root: { weighted: { branches } } } }),
    document("Record", { name: `${NAME}.${spec.origin}`, types: ["A"], policy: NAME }),
  ].join("\n");
  return { path: `\0${NAME}.jsonl`, bytes: Buffer.from(text), version: NAME };
}
