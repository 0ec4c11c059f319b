// SPDX-License-Identifier: Apache-2.0

// The commands about signed zones: a part of the table in commands.ts.

import type { CommandDefinition } from "./command.ts";
import { yes } from "./command-options.ts";
import { output, target } from "./document-commands.ts";
import { stateOption } from "./edge-options.ts";

const zone = { name: "<ZONE>", summary: "Origin of a signed zone." };

/** In the order of the help. */
export const dnssecCommands: readonly CommandDefinition[] = [
  {
    name: "dnssec status",
    summary: "Show the keys of signed zones, what comes next for each, and what the parent holds.",
    arguments: [{ name: "[ZONE]", summary: "Origin of one zone; all where left out." }],
    options: [...target, output],
    examples: ["meridian dnssec status", "meridian dnssec status example.org"],
    run: async (input) => (await import("./commands/dnssec.ts")).status(input),
  },
  {
    name: "dnssec ds",
    summary: "Print the DS and CDNSKEY records that the parent of a zone has to hold.",
    arguments: [zone],
    options: [...target, output],
    examples: ["meridian dnssec ds example.org"],
    run: async (input) => (await import("./commands/dnssec.ts")).ds(input),
  },
  {
    name: "dnssec roll",
    summary: "Have the keys of a zone followed by new ones now, in the steps that caches need.",
    arguments: [zone],
    options: [
      {
        flags: "--role <ROLE>",
        summary: "Keys of this role; all of them unless given.",
        choices: ["ksk", "zsk", "csk"],
      },
      ...target,
      output,
    ],
    examples: ["meridian dnssec roll example.org --role zsk"],
    run: async (input) => (await import("./commands/dnssec.ts")).roll(input),
  },
  {
    name: "dnssec rekey",
    summary: "Put a new key first in the file of keys that seal secrets in the store.",
    arguments: [],
    options: [
      {
        flags: "--key-file <FILE>",
        summary: "The file, on the machine of a control.",
        environment: "MERIDIAN_KEY_FILE",
        defaultText: "identity/sealing.key in the state folder",
      },
      stateOption,
      output,
    ],
    examples: ["meridian dnssec rekey --key-file /etc/meridian/sealing.key"],
    run: async (input) => (await import("./commands/dnssec.ts")).rekey(input),
  },
  {
    name: "dnssec export",
    summary:
      "Write the keys of a zone, private parts in clear, as BIND, Knot and PowerDNS read them.",
    arguments: [
      zone,
      { name: "<FOLDER>", summary: "Where the files are made; none may be there." },
    ],
    options: [
      { flags: "--private-keys", summary: "Yes, the private keys: it is refused without." },
      yes,
      ...target,
      output,
    ],
    examples: ["meridian dnssec export example.org ./keys --private-keys"],
    run: async (input) => (await import("./commands/dnssec.ts")).exportKeys(input),
  },
];
