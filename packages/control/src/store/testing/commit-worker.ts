// SPDX-License-Identifier: Apache-2.0

// A process that commits to an SQLite store until it is killed: prints a line for each change set that was acknowledged. Each change set writes the
// same text to all of its documents, so that a torn one would show.

import { openStore } from "../open-store.ts";

const [path = "", firstText = "0"] = process.argv.slice(2);
const DOCUMENTS = 20;

const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
process.stdout.write("open\n");
for (let number = Number(firstText); ; number++) {
  const text = `${number} ${"x".repeat((number % 7) * 300)}`;
  const writes = Array.from({ length: DOCUMENTS }, (_, index) => ({
    key: { kind: "Pool", namespace: "default", name: `p${index}` },
    text,
  }));
  const { revision } = await store.commit({ id: `n${number}`, cause: "{}", writes });
  process.stdout.write(`${number} ${revision}\n`);
}
