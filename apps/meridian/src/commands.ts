// SPDX-License-Identifier: Apache-2.0

// Every command of `meridian`. docs/reference/cli.md is written from this table (reference.ts), and a test keeps it so.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { http, noProbing, yes } from "./command-options.ts";
import { dnssecCommands } from "./dnssec-commands.ts";
import { breakGlass, documentCommands, output, selection, target } from "./document-commands.ts";
import { documentKinds } from "./document-target.ts";
import {
  listenOption as listen,
  stateOption as state,
  workersOption as workers,
} from "./edge-options.ts";
import { approvalCommands } from "./approval-commands.ts";
import { recoveryCommands } from "./recovery-commands.ts";
import { rolloutCommands } from "./rollout-commands.ts";
import { routingCommands } from "./routing-commands.ts";
import { serverCommands } from "./server-commands.ts";
import { simulateCommands } from "./simulate-commands.ts";
import { storageCommands } from "./storage-commands.ts";
import { zoneCommands } from "./zone-commands.ts";

const force: OptionDefinition = {
  flags: "--force",
  summary: "Also where what remains cannot carry the load.",
};
const why: OptionDefinition = { flags: "--reason <TEXT>", summary: "Why, for those who approve." };

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
      { flags: "--view <NAME>", summary: "View whose zones are meant, whoever asks." },
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
          "approvals",
          "drills",
          "latches",
          "rollouts",
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
      { flags: "--starts-at <TIME>", summary: "When it begins, RFC 3339; at once unless given." },
      {
        flags: "--return <PERCENT/DURATION>",
        summary: "Let traffic come back by steps when it ends, as in 10%/1m.",
      },
      {
        flags: "--precedence <WORD>",
        summary:
          "Who moves it: manual, automatic, experiment or drill; of several shifts of one target the one named first here decides.",
        defaultValue: "manual",
      },
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
      {
        flags: "--wait",
        summary: "Show what clients do until caches that keep to TTLs have nothing of before.",
      },
      force,
      breakGlass,
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
    name: "extend",
    summary: "Have what drain began end later, or earlier.",
    arguments: [{ name: "<TARGET>", summary: "The target, or the id of a shift (get shifts)." }],
    options: [
      { flags: "--for <DURATION>", summary: "How long from now, at most 72h.", defaultValue: "1h" },
      why,
      breakGlass,
      ...target,
      output,
    ],
    examples: ["meridian extend site/eu --for 2h"],
    run: async (input) => (await import("./commands/drain.ts")).extend(input),
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
      { flags: "--now", summary: "Bring all of it back at once, whatever the shift says." },
      force,
      why,
      breakGlass,
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
    options: [why, breakGlass, yes, ...target, output],
    examples: ["meridian failback default/web/by-tier"],
    run: async (input) => (await import("./commands/failback.ts")).failback(input),
  },
  ...routingCommands,
  ...approvalCommands,
  ...recoveryCommands,
  ...rolloutCommands,
  ...dnssecCommands,
  ...zoneCommands,
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
    examples: [
      'eval "$(meridian completion bash)"',
      'eval "$(meridian completion zsh)"',
      "meridian completion fish | source",
    ],
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
  ...simulateCommands,
];
