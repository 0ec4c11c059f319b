// SPDX-License-Identifier: Apache-2.0

// The commands about what is kept on disk, snapshots and stores: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { output } from "./document-commands.ts";
import { stateOption as state } from "./edge-options.ts";

const store: OptionDefinition = {
  flags: "--store <PLACE>",
  summary:
    "The store: `sqlite:PATH`, or `etcd://HOST:PORT,…/PREFIX?…` with user, password-file, password-env, ca, cert, key or tls=true.",
  environment: "MERIDIAN_STORE",
  defaultText: "sqlite:store.sqlite in the state folder",
};

const force: OptionDefinition = {
  flags: "--force",
  summary: "Replace what the target holds.",
};

/** In the order of the help. */
export const storageCommands: readonly CommandDefinition[] = [
  {
    name: "snapshot inspect",
    summary: "Show the snapshots in a state folder, which need not be in use.",
    arguments: [],
    options: [
      { flags: "--revision <N>", summary: "One revision with its sections." },
      state,
      output,
    ],
    examples: ["meridian snapshot inspect --state /var/lib/meridian"],
    run: async (input) => (await import("./commands/snapshot.ts")).inspect(input),
  },
  {
    name: "snapshot diff",
    summary: "Show which sections differ between two revisions.",
    arguments: [
      { name: "<OLD>", summary: "A revision." },
      { name: "<NEW>", summary: "Another revision." },
    ],
    options: [state, output],
    examples: ["meridian snapshot diff 41 42"],
    run: async (input) => (await import("./commands/snapshot.ts")).diff(input),
  },
  {
    name: "snapshot verify",
    summary: "Read every section in a state folder and compare it with its hash.",
    arguments: [],
    options: [state, output],
    examples: ["meridian snapshot verify --state /var/lib/meridian"],
    run: async (input) => (await import("./commands/snapshot.ts")).verify(input),
  },
  {
    name: "store backup",
    summary:
      "Write documents, history and audit chain of a store to a new file, while it is in use.",
    arguments: [{ name: "<FILE>", summary: "File to make; it must not exist." }],
    options: [store, state, output],
    examples: ["meridian store backup /var/backups/meridian.jsonl"],
    run: async (input) => (await import("./commands/store.ts")).backup(input),
  },
  {
    name: "store restore",
    summary: "Fill a store from a backup, with its revisions, in a new epoch that edges accept.",
    arguments: [{ name: "<FILE>", summary: "A backup." }],
    options: [force, store, state, output],
    examples: ["meridian store restore /var/backups/meridian.jsonl --store sqlite:new.sqlite"],
    run: async (input) => (await import("./commands/store.ts")).restore(input),
  },
  {
    name: "store migrate",
    summary: "Fill a store with another one, with its revisions, in a new epoch that edges accept.",
    arguments: [
      { name: "<FROM>", summary: "The store to read, as --store of the other commands." },
      { name: "<TO>", summary: "The store to fill." },
    ],
    options: [force, output],
    examples: [
      "meridian store migrate sqlite:store.sqlite etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/meridian",
    ],
    run: async (input) => (await import("./commands/store.ts")).migrate(input),
  },
  {
    name: "store compact",
    summary: "Forget the history of a store but for its newest revisions.",
    arguments: [],
    options: [
      { flags: "--keep <N>", summary: "Revisions that are kept.", defaultValue: "1000" },
      store,
      state,
      output,
    ],
    examples: ["meridian store compact --keep 100"],
    run: async (input) => (await import("./commands/store.ts")).compact(input),
  },
  {
    name: "store verify",
    summary: "Read all of a store, walk its audit chain, and show what is wrong.",
    arguments: [],
    options: [store, state, output],
    examples: ["meridian store verify --state /var/lib/meridian"],
    run: async (input) => (await import("./commands/store.ts")).verify(input),
  },
];
