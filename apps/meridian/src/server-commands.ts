// SPDX-License-Identifier: Apache-2.0

// The commands that serve, and who may: a part of the table in commands.ts.

import { accessOptions } from "./access-options.ts";
import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { http, noProbing, yes } from "./command-options.ts";
import { output, target } from "./document-commands.ts";
import {
  edgeOptions,
  frontOptions,
  listenOption as listen,
  logLevelOption as logLevel,
  probeOptions,
  queryLogOptions,
  replaceOption,
  siteOption as site,
  stateOption as state,
  transportOption as transport,
  workersOption as workers,
} from "./edge-options.ts";
import { Standby } from "./standby.ts";

const watchedFiles: OptionDefinition = {
  flags: "-f, --file <PATH...>",
  summary: "Files and folders of documents, watched for changes; may be given several times.",
  environment: "MERIDIAN_FILE",
};

const allowEmpty: OptionDefinition = {
  flags: "--allow-empty",
  summary: "Accept files that declare nothing any more, or much less.",
  environment: "MERIDIAN_ALLOW_EMPTY",
};

/** In the order of the help. */
export const serverCommands: readonly CommandDefinition[] = [
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
      ...frontOptions,
      ...queryLogOptions,
      {
        flags: "--diagnosis <PREFIX...>",
        summary:
          "Client prefixes that may ask NODE._branch.NAME and TXT why.NAME; may be given several times.",
        environment: "MERIDIAN_DIAGNOSIS",
      },
      logLevel,
      replaceOption,
      allowEmpty,
      noProbing,
    ],
    examples: [
      "meridian up -f deploy/examples/quickstart",
      "meridian up -f /etc/meridian --state /var/lib/meridian --listen 0.0.0.0:53 --listen [::]:53",
    ],
    run: async (input) => {
      // Before the bulk of the modules is loaded.
      const standby = input.flag("replace") ? Standby.enter() : undefined;
      return (await import("./commands/up.ts")).up(input, standby);
    },
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
    options: [state, output],
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
    name: "control forget",
    summary: "Take a control that is gone off the list of those that share the store.",
    arguments: [{ name: "<CONTROL>", summary: "As get controls shows it." }],
    options: [...target, output],
    examples: ["meridian control forget eu-2"],
    run: async (input) => (await import("./commands/edge.ts")).forgetControl(input),
  },
];
