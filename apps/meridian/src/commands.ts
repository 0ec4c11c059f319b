// SPDX-License-Identifier: Apache-2.0

// Every command of `meridian`. docs/reference/cli.md is written from this table (reference.ts), and a test keeps it so.

import { accessOptions } from "./access-options.ts";
import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { documentCommands, output, selection, target } from "./document-commands.ts";
import { documentKinds } from "./document-target.ts";
import {
  edgeOptions,
  listenOption as listen,
  logLevelOption as logLevel,
  probeOptions,
  siteOption as site,
  stateOption as state,
  transportOption as transport,
  workersOption as workers,
} from "./edge-options.ts";

const yes: OptionDefinition = {
  flags: "-y, --yes",
  summary: "Do it without asking.",
};

const http: OptionDefinition = {
  flags: "--http <ADDRESS:PORT>",
  summary:
    "Where the HTTP interface is, with `/metrics`, `/healthz` and `/readyz`; `none` for nowhere. Writes need a token; so does everything where it is not on loopback, and TLS.",
  environment: "MERIDIAN_HTTP",
  defaultValue: "127.0.0.1:8053",
};

const noProbing: OptionDefinition = {
  flags: "--no-probing",
  summary: "Probe nothing; endpoints keep the verdict they have.",
  isHidden: true,
};

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

const watchedFiles: OptionDefinition = {
  flags: "-f, --file <PATH...>",
  summary: "Files and folders of documents, watched for changes; may be given several times.",
  environment: "MERIDIAN_FILE",
};

const allowEmpty: OptionDefinition = {
  flags: "--allow-empty",
  summary: "Accept files that no longer declare anything.",
  environment: "MERIDIAN_ALLOW_EMPTY",
};

/** In the order of the help. */
export const commands: readonly CommandDefinition[] = [
  {
    name: "up",
    summary: "Answer DNS from files, and go on answering while they change.",
    arguments: [],
    options: [
      watchedFiles,
      state,
      listen,
      http,
      ...accessOptions,
      workers,
      transport,
      {
        flags: "--query-log <FILE>",
        summary: "File to which sampled queries are appended as JSON lines.",
        environment: "MERIDIAN_QUERY_LOG",
      },
      {
        flags: "--query-log-sample <N>",
        summary: "One query in N is logged.",
        environment: "MERIDIAN_QUERY_LOG_SAMPLE",
        defaultValue: "100",
      },
      {
        flags: "--diagnosis <PREFIX...>",
        summary:
          "Client prefixes that may ask NODE._branch.NAME and TXT why.NAME; may be given several times.",
        environment: "MERIDIAN_DIAGNOSIS",
      },
      logLevel,
      {
        flags: "--replace",
        summary:
          "Take the sockets over from the process that holds the state folder; no query is lost.",
      },
      allowEmpty,
      noProbing,
    ],
    examples: [
      "meridian up -f deploy/examples/quickstart",
      "meridian up -f /etc/meridian --state /var/lib/meridian --listen 0.0.0.0:53 --listen [::]:53",
    ],
    run: async (input) => (await import("./commands/up.ts")).up(input),
  },
  {
    name: "control",
    summary: "Compile, judge and keep the documents for edges, without answering DNS here.",
    arguments: [],
    options: [
      watchedFiles,
      state,
      {
        flags: "--store <PLACE>",
        summary:
          "A store that other controls share, as `etcd://HOST:PORT,…/PREFIX?…`; the documents come from it, instead of files.",
        environment: "MERIDIAN_STORE",
      },
      {
        flags: "--name <NAME>",
        summary: "Of this control, among those of its store.",
        defaultText: "the host's name",
      },
      {
        flags: "--edges <ADDRESS:PORT>",
        summary: "Where edges come in, over mutual TLS.",
        environment: "MERIDIAN_EDGES",
        defaultValue: "127.0.0.1:8054",
      },
      {
        flags: "--key-file <FILE>",
        summary:
          "Key that seals secrets in the store. Made at the first start; each further control of the store needs the same one.",
        environment: "MERIDIAN_KEY_FILE",
        defaultText: "identity/sealing.key in the state folder",
      },
      http,
      site,
      ...accessOptions,
      logLevel,
      allowEmpty,
      noProbing,
    ],
    examples: ["meridian control -f /etc/meridian --state /var/lib/meridian --edges 0.0.0.0:8054"],
    run: async (input) => (await import("./commands/control.ts")).control(input),
  },
  {
    name: "edge",
    summary: "Answer DNS with what control publishes, and go on without it.",
    arguments: [],
    options: edgeOptions,
    examples: [
      "meridian edge --control https://control.example.org:8054 --state /var/lib/meridian --listen 0.0.0.0:53",
    ],
    run: async (input) => (await import("./edge-entry.ts")).edge(input),
  },
  {
    name: "probe",
    summary: "Probe from here for controls, and serve nothing: join as an edge does first.",
    arguments: [],
    options: probeOptions,
    examples: [
      "meridian probe --control https://control.example.org:8054 --state /var/lib/meridian --site eu-west",
    ],
    run: async (input) => (await import("./edge-entry.ts")).probe(input),
  },
  {
    name: "edge join",
    summary: "Make a key for this edge and have control certify it.",
    arguments: [
      {
        name: "<TOKEN@URL>",
        summary: "What token create --edge printed, and the address of a control.",
      },
    ],
    options: [state],
    examples: ["meridian edge join mrj_…@https://control.example.org:8054"],
    run: async (input) => (await import("./commands/edge.ts")).join(input),
  },
  {
    name: "edge revoke",
    summary: "Refuse an edge from now on, at every control, until it joins with a new token.",
    arguments: [{ name: "<EDGE>", summary: "As get edges shows it." }],
    options: [yes, ...target, output],
    examples: ["meridian edge revoke eu-1"],
    run: async (input) => (await import("./commands/edge.ts")).revoke(input),
  },
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
