// SPDX-License-Identifier: Apache-2.0

import { member } from "./document-key.ts";

/** Fields by which a document makes the server read a file of its disk. */
const fieldsOfKind: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Zone: [["spec", "file"]],
  DataSet: ["country", "city", "asn", "prefixes", "latency", "resolvers"].map((kind) => [
    "spec",
    kind,
    "path",
  ]),
  HealthCheck: [
    ["spec", "https", "ca"],
    ["spec", "tls", "ca"],
    ["spec", "grpc", "tls", "ca"],
  ],
};

/**
 * Fields of a document that name files. Who may only write by the API must not have the server read its disk for them: what is in a
 * file would show in messages.
 */
export function filePaths(kind: string, raw: unknown): string[] {
  return (fieldsOfKind[kind] ?? []).flatMap((path) => {
    let value = raw;
    for (const step of path) value = member(value, step);
    return value === undefined ? [] : [path.join(".")];
  });
}
