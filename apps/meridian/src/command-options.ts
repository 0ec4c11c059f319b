// SPDX-License-Identifier: Apache-2.0

// Options of several groups of commands.

import type { OptionDefinition } from "./command.ts";

export const yes: OptionDefinition = {
  flags: "-y, --yes",
  summary: "Do it without asking.",
};

export const http: OptionDefinition = {
  flags: "--http <ADDRESS:PORT>",
  summary:
    "Where the HTTP interface is, with `/metrics`, `/healthz` and `/readyz`; `none` for nowhere. Writes need a token; so does everything where it is not on loopback, and TLS.",
  environment: "MERIDIAN_HTTP",
  defaultValue: "127.0.0.1:8053",
};

export const noProbing: OptionDefinition = {
  flags: "--no-probing",
  summary: "Probe nothing; endpoints keep the verdict they have.",
  isHidden: true,
};
