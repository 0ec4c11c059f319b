// SPDX-License-Identifier: Apache-2.0

// Every command of `meridian`. docs/reference/cli.md is written from this table (reference.ts), and a test keeps it so.

import type { CommandDefinition } from "./command.ts";
import { http, noProbing, yes } from "./command-options.ts";
import { documentCommands, output, selection, target } from "./document-commands.ts";
import { documentKinds } from "./document-target.ts";
import {
  listenOption as listen,
  stateOption as state,
  workersOption as workers,
} from "./edge-options.ts";
import { serverCommands } from "./server-commands.ts";
import { storageCommands } from "./storage-commands.ts";

/** In the order of the help. */
export const commands: readonly CommandDefinition[] = [
  ...serverCommands,
  {
    name: "check",
    summary: "Validate and lint files, and show every problem with its place.",
    arguments: [{ name: "<PATH...>", summary: "Files and folders of documents." }],
    options: [output],
    examples: ["meridian check deploy/examples/quickstart"],
    run: async (input) => (await import("./commands/check.ts")).check(input),
  },
  {
    name: "explain",
    summary:
      "Say what a name is answered, and why: every node visited, every candidate kept or dropped.",
    arguments: [{ name: "[NAME]", summary: "Name that is asked for; --replay brings its own." }],
    options: [
      { flags: "--type <TYPE>", summary: "Record type.", defaultValue: "A" },
      { flags: "--client <IP>", summary: "Client that is answered, or its prefix." },
      { flags: "--resolver <IP>", summary: "Resolver that asks for it." },
      {
        flags: "--at <TIME>",
        summary: "A past moment: RFC 3339 time, or REVISION[:SEQUENCE].",
      },
      { flags: "--replay <LINE>", summary: "A line of the query log, or - to read it." },
      ...target,
      output,
    ],
    examples: [
      "meridian explain geo.example.org --client 193.0.6.139",
      "tail -n 1 queries.jsonl | meridian explain --replay -",
    ],
    run: async (input) => (await import("./commands/explain.ts")).explain(input),
  },
  {
    name: "get",
    summary: "Show what is served and how it is, or documents.",
    arguments: [
      {
        name: "[KIND]",
        summary: "What to show.",
        choices: [
          "endpoints",
          "sites",
          "pools",
          "records",
          "policies",
          "health",
          "shifts",
          "latches",
          "notifications",
          "controls",
          "edges",
          "shards",
          "vantages",
          ...documentKinds,
        ],
      },
      { name: "[NAME]", summary: "Of a kind of document: NAMESPACE/NAME, or NAME." },
    ],
    options: [
      { flags: "--top <KIND>", summary: "The most asked ones instead.", choices: ["names"] },
      { flags: "--count <N>", summary: "How many of them.", defaultValue: "20" },
      { flags: "-n, --namespace <NAME>", summary: "Documents of this namespace only." },
      ...selection,
      ...target,
      { ...output, choices: ["table", "yaml", "json"] },
    ],
    examples: [
      "meridian get endpoints",
      "meridian get Pool -l team=shop",
      "meridian get --top names --count 10",
    ],
    run: async (input) => (await import("./commands/get.ts")).get(input),
  },
  {
    name: "health history",
    summary: "Show changed verdicts with reason, vantage and time, oldest first.",
    arguments: [
      { name: "[ENDPOINT]", summary: "An endpoint or the start of one; all where left out." },
    ],
    options: [
      { flags: "--count <N>", summary: "How many, the newest.", defaultValue: "50" },
      ...target,
      output,
    ],
    examples: ["meridian health history endpoint/default/web-eu"],
    run: async (input) => (await import("./commands/health-history.ts")).healthHistory(input),
  },
  {
    name: "drain",
    summary: "Move traffic away from a site, pool or endpoint for a while.",
    arguments: [
      {
        name: "<TARGET>",
        summary:
          "site/NAME, pool/NAMESPACE/NAME or endpoint/NAMESPACE/POOL/NAME; may hold * with --all-matching.",
      },
    ],
    options: [
      { flags: "--reason <TEXT>", summary: "Why; kept and shown." },
      {
        flags: "--for <DURATION>",
        summary: "When it ends by itself, at most 72h.",
        defaultValue: "1h",
      },
      { flags: "--percent <N>", summary: "Share that moves away, 1 to 100.", defaultValue: "100" },
      {
        flags: "--actor <NAME>",
        summary: "Who does it.",
        environment: "MERIDIAN_ACTOR",
        defaultText: "the user's name",
      },
      {
        flags: "--all-matching",
        summary: "Let * in the target stand for any text without a slash.",
      },
      { flags: "--dry-run", summary: "Only show what it would reach." },
      yes,
      ...target,
      output,
    ],
    examples: [
      'meridian drain site/eu --reason "cooling fails" --for 2h',
      'meridian drain "endpoint/default/*/eu" --all-matching --percent 50 --reason "half off"',
    ],
    run: async (input) => (await import("./commands/drain.ts")).drain(input),
  },
  {
    name: "undrain",
    summary: "End what drain began.",
    arguments: [{ name: "<TARGET>", summary: "The target, or the id of a shift (get shifts)." }],
    options: [
      {
        flags: "--all-matching",
        summary: "Let * in the target stand for any text without a slash.",
      },
      ...target,
      output,
    ],
    examples: ["meridian undrain site/eu"],
    run: async (input) => (await import("./commands/drain.ts")).undrain(input),
  },
  {
    name: "failback",
    summary: "Let a failover that stays on a lower tier go back to its first.",
    arguments: [{ name: "<NODE>", summary: "NAMESPACE/POLICY/NODE (get latches)." }],
    options: [yes, ...target, output],
    examples: ["meridian failback default/web/by-tier"],
    run: async (input) => (await import("./commands/failback.ts")).failback(input),
  },
  {
    name: "delegation",
    summary: "Print what the parent of a zone has to hold, and check that it does.",
    arguments: [{ name: "<ZONE>", summary: "Origin of a zone that is served, or in the files." }],
    options: [
      {
        flags: "-f, --file <PATH...>",
        summary:
          "Files and folders of documents, for a zone that is not served yet; may be given several times.",
      },
      {
        flags: "--check",
        summary:
          "Ask the parent's name servers what they hold, and the zone's own whether they answer for it.",
      },
      {
        flags: "--parent <ADDRESS:PORT>",
        summary: "Name server of the parent zone to ask.",
        defaultText: "all that the system's resolver finds",
      },
      { flags: "--port <N>", summary: "Port of the zone's own name servers.", defaultValue: "53" },
      state,
      output,
    ],
    examples: [
      "meridian delegation gtm.example.org",
      "meridian delegation gtm.example.org -f /etc/meridian --check --parent 192.0.2.53:53",
    ],
    run: async (input) => (await import("./commands/delegation.ts")).delegation(input),
  },
  {
    name: "bench dns",
    summary: "Measure a running server with dnsperf, asking for the names that it serves.",
    arguments: [],
    options: [
      {
        flags: "--server <ADDRESS:PORT>",
        summary: "Server to ask.",
        defaultValue: "127.0.0.1:5300",
      },
      { flags: "--seconds <N>", summary: "How long.", defaultValue: "10" },
      { flags: "--clients <N>", summary: "Clients at once.", defaultValue: "10" },
      state,
    ],
    examples: ["meridian bench dns --seconds 5"],
    run: async (input) => (await import("./commands/bench-dns.ts")).benchDns(input),
  },
  ...storageCommands,
  {
    name: "completion",
    summary: "Print the completion script of a shell.",
    arguments: [{ name: "<SHELL>", summary: "The shell.", choices: ["bash", "zsh", "fish"] }],
    options: [],
    examples: ['eval "$(meridian completion bash)"'],
    run: async (input) => (await import("./commands/completion.ts")).completion(input),
  },
  {
    name: "quickstart",
    summary:
      "Run deploy/examples/quickstart: three simulated regions, and three names that follow them.",
    arguments: [],
    options: [
      {
        flags: "--check",
        summary: "Ask each name, break a region, see the answers change and come back, and end.",
      },
      {
        flags: "--traffic <QPS>",
        summary: "Queries per second of simulated clients from all over the world.",
        defaultValue: "20",
      },
      state,
      listen,
      http,
      workers,
      noProbing,
    ],
    examples: ["meridian quickstart", "meridian quickstart --check"],
    run: async (input) => (await import("./commands/quickstart.ts")).quickstart(input),
  },
  ...documentCommands,
];
