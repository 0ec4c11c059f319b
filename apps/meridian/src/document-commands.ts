// SPDX-License-Identifier: Apache-2.0

// The commands about documents, tokens, the audit log and contexts: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { documentKinds } from "./document-target.ts";

/** How a command prints. */
export const output: OptionDefinition = {
  flags: "-o, --output <FORMAT>",
  summary: "Text for people, or JSON for programs.",
  environment: "MERIDIAN_OUTPUT",
  defaultValue: "table",
  choices: ["table", "json"],
};

const server: OptionDefinition = {
  flags: "--server <URL>",
  summary: "Address of a server to ask instead of one on this machine.",
  environment: "MERIDIAN_SERVER",
};

const tokenFile: OptionDefinition = {
  flags: "--token-file <FILE>",
  summary: "File that holds the token for it.",
  environment: "MERIDIAN_TOKEN_FILE",
};

const clientTls: readonly OptionDefinition[] = [
  {
    flags: "--ca <FILE>",
    summary: "Who signed its certificate, where the system does not know.",
    environment: "MERIDIAN_CA",
  },
  {
    flags: "--client-cert <FILE>",
    summary: "Certificate to show instead of a token.",
    environment: "MERIDIAN_CLIENT_CERT",
  },
  {
    flags: "--client-key <FILE>",
    summary: "Its private key.",
    environment: "MERIDIAN_CLIENT_KEY",
  },
];

const context: OptionDefinition = {
  flags: "--context <NAME>",
  summary: "Server that `context set` gave this name.",
  environment: "MERIDIAN_CONTEXT",
};

/** Which server a command asks. */
export const target: readonly OptionDefinition[] = [
  {
    flags: "--state <DIR>",
    summary: "State folder of a server on this machine.",
    environment: "MERIDIAN_STATE",
    defaultText: "the context in use, else $XDG_STATE_HOME/meridian, else ~/.local/state/meridian",
  },
  server,
  tokenFile,
  ...clientTls,
  context,
];

/** Which documents. */
export const selection: readonly OptionDefinition[] = [
  {
    flags: "-l, --selector <LABELS>",
    summary: "Only those with labels such as team=shop,env!=prod.",
  },
  {
    flags: "--field-selector <FIELDS>",
    summary: "Only those with fields such as spec.healthCheck=web.",
  },
];

const file: OptionDefinition = {
  flags: "-f, --file <PATH...>",
  summary: "Files and folders of documents, or - to read them; may be given several times.",
};
const reason: OptionDefinition = {
  flags: "--reason <TEXT>",
  summary: "Why; kept in the audit log.",
};
const dryRun: OptionDefinition = { flags: "--dry-run", summary: "Do everything but commit." };
const publish: OptionDefinition = {
  flags: "--publish <MODE>",
  summary:
    "To all edges at once, or to a few first, which check it; by what it changes unless given.",
  choices: ["immediate", "progressive"],
};
const allowShrink: OptionDefinition = {
  flags: "--allow-shrink",
  summary: "It may take away more than 30 % of the names or endpoints that are served.",
};
/** Of everything that change policies may hold up. */
export const breakGlass: OptionDefinition = {
  flags: "--break-glass",
  summary: "Now, whatever change policies say, with --reason; others look at it afterwards.",
};
const wait: OptionDefinition = {
  flags: "--wait",
  summary: "Wait until every edge that is there serves it.",
};
const yes: OptionDefinition = { flags: "-y, --yes", summary: "Do it without asking." };
const profile: OptionDefinition = {
  flags: "--profile <NAME>",
  summary: "TrafficProfile that says how much is asked for; the only one there is unless given.",
};
const document = { name: "<DOCUMENT>", summary: "KIND/NAMESPACE/NAME, or KIND/NAME." };

/** In the order of the help. */
export const documentCommands: readonly CommandDefinition[] = [
  {
    name: "plan",
    summary:
      "Show what documents, a drain or a switch would do to answers and traffic; 10 if anything, 3 if a safety rule objects.",
    arguments: [],
    options: [
      file,
      {
        flags: "--drain <TARGET...>",
        summary: "As if this were drained, whole or by a share as in site/eu:50.",
      },
      {
        flags: "--starts-at <TIME>",
        summary: "When the drain would begin, RFC 3339: says from when on TTLs are low before.",
      },
      { flags: "--off <CONTROL...>", summary: "As if this routing control were Off." },
      {
        flags: "--as-files",
        summary:
          "As if the files that the server watches were these: what is not in them goes. On the server's machine.",
      },
      profile,
      { flags: "--svg <FILE>", summary: "Draw how load flows before and after." },
      allowShrink,
      ...target,
      output,
    ],
    examples: [
      "meridian plan -f pools.yaml --svg flow.svg",
      "meridian plan --drain site/eu-west --profile peak",
    ],
    run: async (input) => (await import("./commands/plan.ts")).plan(input),
  },
  {
    name: "apply",
    summary:
      "Write documents by the API as one change: all of them or none. At a terminal it shows the plan and asks.",
    arguments: [],
    options: [
      file,
      reason,
      dryRun,
      publish,
      allowShrink,
      breakGlass,
      wait,
      profile,
      yes,
      ...target,
      output,
    ],
    examples: ["meridian apply -f pools.yaml --reason 'one more region' --wait"],
    run: async (input) => (await import("./commands/documents.ts")).apply(input),
  },
  {
    name: "describe",
    summary: "Show a document whole, as it is or was.",
    arguments: [document],
    options: [
      { flags: "--revision <N>", summary: "As it was then." },
      ...target,
      { ...output, choices: ["table", "yaml", "json"], defaultValue: "yaml" },
    ],
    examples: ["meridian describe Pool/default/web"],
    run: async (input) => (await import("./commands/documents.ts")).describe(input),
  },
  {
    name: "edit",
    summary: "Change a document in $VISUAL or $EDITOR; what others wrote meanwhile is not lost.",
    arguments: [document],
    options: [reason, dryRun, publish, allowShrink, breakGlass, wait, ...target, output],
    examples: ["meridian edit Pool/default/web"],
    run: async (input) => (await import("./commands/documents.ts")).edit(input),
  },
  {
    name: "delete",
    summary: "Delete documents; refused with the list of what names them.",
    arguments: [{ ...document, name: "<DOCUMENT...>" }],
    options: [
      { flags: "--cascade", summary: "Delete what names them, too, after showing it." },
      reason,
      dryRun,
      publish,
      allowShrink,
      breakGlass,
      wait,
      yes,
      ...target,
      output,
    ],
    examples: ["meridian delete Pool/default/web --cascade"],
    run: async (input) => (await import("./commands/documents.ts")).remove(input),
  },
  {
    name: "diff",
    summary:
      "Show what applying files would change, or what changed between revisions; 10 if anything.",
    arguments: [],
    options: [
      file,
      { flags: "--from <N>", summary: "Revision to compare from." },
      { flags: "--to <N>", summary: "Revision to compare with; the newest where left out." },
      ...target,
      output,
    ],
    examples: ["meridian diff -f pools.yaml", "meridian diff --from 41"],
    run: async (input) => (await import("./commands/documents.ts")).diff(input),
  },
  {
    name: "history",
    summary: "List changes of documents, newest first.",
    arguments: [{ ...document, name: "[DOCUMENT]" }],
    options: [
      { flags: "--count <N>", summary: "How many.", defaultValue: "50" },
      ...target,
      output,
    ],
    examples: ["meridian history Pool/default/web"],
    run: async (input) => (await import("./commands/documents.ts")).history(input),
  },
  {
    name: "rollback",
    summary: "Make the documents what they were at a revision, as a new one.",
    arguments: [{ name: "<REVISION>", summary: "Revision, as history shows it." }],
    options: [reason, dryRun, publish, allowShrink, breakGlass, wait, yes, ...target, output],
    examples: ["meridian rollback 41 --reason 'the new pool is slow'"],
    run: async (input) => (await import("./commands/documents.ts")).rollback(input),
  },
  {
    name: "watch",
    summary: "Print changes of documents as they come.",
    arguments: [{ name: "[KIND]", summary: "Kind of document.", choices: documentKinds }],
    options: [
      { flags: "--revision <N>", summary: "Begin after this one instead of now." },
      ...selection,
      ...target,
      output,
    ],
    examples: ["meridian watch Pool -l team=shop"],
    run: async (input) => (await import("./commands/documents.ts")).watch(input),
  },
  {
    name: "token create",
    summary:
      "Make a token for the API, or for an edge to join, and print it; it is shown this once.",
    arguments: [
      {
        name: "<SUBJECT>",
        summary: "Whom it stands for, as the audit log shows it; with --edge or --probe its name.",
      },
    ],
    options: [
      { flags: "--edge", summary: "An edge of this name may join with it, once." },
      { flags: "--probe", summary: "The same for a probe, which may do nothing but report." },
      { flags: "--role <NAME...>", summary: "Roles it has; admin and viewer are always there." },
      {
        flags: "--for <DURATION>",
        summary: "How long it is taken; with --edge at most 168h.",
        defaultText: "720h, and 10m with --edge",
      },
      ...target,
      output,
    ],
    examples: [
      "meridian token create deployer --role admin --for 24h > token",
      "meridian token create eu-1 --edge",
    ],
    run: async (input) => (await import("./commands/access.ts")).tokenCreate(input),
  },
  {
    name: "token list",
    summary: "List tokens, without their secrets.",
    arguments: [],
    options: [...target, output],
    examples: ["meridian token list"],
    run: async (input) => (await import("./commands/access.ts")).tokenList(input),
  },
  {
    name: "token revoke",
    summary: "Revoke a token at once.",
    arguments: [{ name: "<NAME>", summary: "As token list shows it." }],
    options: [...target, output],
    examples: ["meridian token revoke 0a1b2c3d4e"],
    run: async (input) => (await import("./commands/access.ts")).tokenRevoke(input),
  },
  {
    name: "audit list",
    summary: "List writes, newest first: who, what and why.",
    arguments: [],
    options: [
      { flags: "--refusals", summary: "What was refused instead, oldest first." },
      { flags: "--count <N>", summary: "How many.", defaultValue: "50" },
      ...target,
      output,
    ],
    examples: ["meridian audit list --refusals"],
    run: async (input) => (await import("./commands/access.ts")).auditList(input),
  },
  {
    name: "audit verify",
    summary: "Walk the hash chains of writes and refusals.",
    arguments: [],
    options: [...target, output],
    examples: ["meridian audit verify"],
    run: async (input) => (await import("./commands/access.ts")).auditVerify(input),
  },
  {
    name: "audit export",
    summary: "Print every write as JSON lines, with the documents before and after.",
    arguments: [],
    options: [...target],
    examples: ["meridian audit export > audit.jsonl"],
    run: async (input) => (await import("./commands/access.ts")).auditExport(input),
  },
  {
    name: "login",
    summary: "Log in at an OpenID provider, for the server of the context in use.",
    arguments: [],
    options: [
      { flags: "--issuer <URL>", summary: "The provider; that of the last login where left out." },
      { flags: "--client-id <ID>", summary: "What the provider knows this command as (meridian)." },
      {
        flags: "--scope <WORDS>",
        summary: "What is asked for (openid profile email offline_access).",
      },
      { flags: "--device", summary: "With a browser of another machine, by a code." },
      context,
      output,
    ],
    examples: ["meridian login --issuer https://login.example.org --device"],
    run: async (input) => (await import("./commands/login.ts")).login(input),
  },
  {
    name: "logout",
    summary: "Forget the login of the context in use, here and at its provider.",
    arguments: [],
    options: [context, output],
    examples: ["meridian logout"],
    run: async (input) => (await import("./commands/login.ts")).logout(input),
  },
  {
    name: "whoami",
    summary: "Say whom the server takes you for.",
    arguments: [],
    options: [...target, output],
    examples: ["meridian whoami"],
    run: async (input) => (await import("./commands/login.ts")).whoami(input),
  },
  {
    name: "context set",
    summary: "Give a server a name; the first one set is in use.",
    arguments: [{ name: "<NAME>", summary: "Its name." }],
    options: [server, tokenFile, ...clientTls, output],
    examples: [
      "meridian context set prod --server https://gtm.example.org:8053 --token-file ~/token",
    ],
    run: async (input) => (await import("./commands/access.ts")).contextSet(input),
  },
  {
    name: "context use",
    summary: "Have commands ask this server from now on.",
    arguments: [{ name: "<NAME>", summary: "Its name." }],
    options: [output],
    examples: ["meridian context use prod"],
    run: async (input) => (await import("./commands/access.ts")).contextUse(input),
  },
  {
    name: "context list",
    summary: "List the servers that have names.",
    arguments: [],
    options: [output],
    examples: ["meridian context list"],
    run: async (input) => (await import("./commands/access.ts")).contextList(input),
  },
];
