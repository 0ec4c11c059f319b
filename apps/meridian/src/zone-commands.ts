// SPDX-License-Identifier: Apache-2.0

// The commands about zones: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { output, target } from "./document-commands.ts";
import { stateOption as state } from "./edge-options.ts";

const zone: OptionDefinition = {
  flags: "--zone <NAME>",
  summary: "Origin of the zone.",
  defaultText: "the owner of the file's SOA; the only zone of the documents",
};

const unserved: OptionDefinition = {
  flags: "-f, --file <PATH...>",
  summary:
    "Files and folders of documents, for a zone that is not served yet; may be given several times.",
};

/** In the order of the help. */
export const zoneCommands: readonly CommandDefinition[] = [
  {
    name: "delegation",
    summary: "Print what the parent of a zone has to hold.",
    arguments: [{ name: "<ZONE>", summary: "Origin of a zone that is served, or in the files." }],
    options: [unserved, state, output],
    examples: ["meridian delegation gtm.example.org"],
    run: async (input) => (await import("./commands/delegation.ts")).delegation(input),
  },
  {
    name: "doctor",
    summary:
      "Ask a zone's parents, all its name servers and edges, and a resolver, and say what to do about what is wrong.",
    arguments: [
      {
        name: "<ZONE>",
        summary: "Origin of a zone that is served, or in the files; of one in a view ORIGIN@VIEW.",
      },
    ],
    options: [
      unserved,
      {
        flags: "--from <ADDRESS>",
        summary:
          "Address of this host that name servers and edges are asked from; of a zone of a view one that sees it. Those of the other family are not asked then.",
        defaultText: "what the system chooses",
      },
      {
        flags: "--parent <ADDRESS:PORT...>",
        summary: "Name servers of the parent zone; may be given several times.",
        defaultText: "all that the system's resolver finds",
      },
      {
        flags: "--resolver <ADDRESS:PORT>",
        summary: "Validating resolver to ask as a client does.",
        defaultText: "the system's",
      },
      {
        flags: "--port <N>",
        summary: "Port of the zone's own name servers and edges.",
        defaultValue: "53",
      },
      { flags: "--seconds <N>", summary: "How long it may take in all.", defaultValue: "30" },
      ...target,
      { ...output, choices: ["table", "plain", "json"] },
    ],
    examples: [
      "meridian doctor gtm.example.org",
      "meridian doctor gtm.example.org -f /etc/meridian --parent 192.0.2.53:53 --output plain",
    ],
    run: async (input) => (await import("./commands/doctor.ts")).doctor(input),
  },
  {
    name: "zone import",
    summary: "Make documents of another name server's zones, and list what has no counterpart.",
    arguments: [{ name: "<PATH>", summary: "Master file, or the server's configuration." }],
    options: [
      {
        flags: "--from <KIND>",
        summary:
          "A master file, the primary zones of BIND's named.conf, the folder of a gdnsd with its config and zones, a master file with PowerDNS's LUA records, or the zones file of its GeoIP back end.",
        choices: ["master", "named", "gdnsd", "powerdns-lua", "powerdns-geoip"],
        defaultValue: "master",
      },
      zone,
      {
        flags: "--to <DIR>",
        summary: "Write a file for each document there, instead of all to standard output.",
      },
    ],
    examples: [
      "meridian zone import db.example.org --zone example.org > example.org.yaml",
      "meridian zone import /etc/bind/named.conf --from named --to /etc/meridian",
    ],
    run: async (input) => (await import("./commands/zone.ts")).zoneImport(input),
  },
  {
    name: "zone export",
    summary:
      "Print a zone as a master file, with the records of routed names that a transfer of the zone has.",
    arguments: [{ name: "<ZONE>", summary: "Origin of the zone." }],
    options: [
      {
        flags: "-f, --file <PATH...>",
        summary: "Files and folders of documents; may be given several times.",
        environment: "MERIDIAN_FILE",
      },
      {
        flags: "--transfer-as <FORM>",
        summary:
          "Of routed names: the answer for a client of no known place while all is healthy, the addresses of all members, or nothing.",
        choices: ["default", "all", "omit"],
        defaultText: "the zone's transfers.transferAs, else default",
      },
    ],
    examples: ["meridian zone export example.org -f /etc/meridian > db.example.org"],
    run: async (input) => (await import("./commands/zone.ts")).zoneExport(input),
  },
  {
    name: "zone diff",
    summary:
      "Compare two copies of a zone; 10 where they differ. Serials and what a signer makes are not compared.",
    arguments: [
      { name: "<A>", summary: "Master file, documents, or @HOST:PORT to transfer it from." },
      { name: "<B>", summary: "The other copy." },
    ],
    options: [
      zone,
      {
        flags: "--key-file <FILE>",
        summary:
          "Sign transfers with the key (TSIG) of a file, as tsig-keygen writes it; answers have to be signed with it.",
      },
      output,
    ],
    examples: [
      "meridian zone diff /etc/meridian @192.0.2.53 --zone example.org",
      "meridian zone diff @192.0.2.53 @198.51.100.53 --zone example.org --key-file transfer.key",
    ],
    run: async (input) => (await import("./commands/zone.ts")).zoneDiff(input),
  },
  {
    name: "zone check",
    summary: "Show every problem of a master file with its place.",
    arguments: [{ name: "<FILE>", summary: "Master file." }],
    options: [zone, output],
    examples: ["meridian zone check db.example.org --zone example.org"],
    run: async (input) => (await import("./commands/zone.ts")).zoneCheck(input),
  },
];
