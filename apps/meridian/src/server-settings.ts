// SPDX-License-Identifier: Apache-2.0

// Nothing of the control plane is imported here: a command that only asks a running server starts in half the time.

import { availableParallelism, homedir, networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { RATE_LIMIT_MAX, type FrontOptions } from "@meridian/edge";
import { parsePrefix } from "@meridian/snapshot";
import type { CommandInput } from "./command.ts";
import { CommandError, ExitCode } from "./exit-code.ts";

const PORT = 5300;
/** UDP workers that are started unless told: more hardly help a server that answers less than a million queries a second. */
const WORKERS_UNLESS_TOLD = 4;
/** An overlay has words for 64 workers, one of which serves TCP. */
const WORKERS_MAX = 63;

/** The state folder that a command means, as an absolute path. */
export function stateDirOf(input: CommandInput): string {
  const home = process.env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state");
  return resolve(input.text("state") ?? join(home, "meridian"));
}

/** Where DNS is answered. */
export function listenOf(input: CommandInput): string[] {
  const given = input.list("listen");
  if (given.length > 0) return given;
  return hasIpv6() ? [`127.0.0.1:${PORT}`, `[::1]:${PORT}`] : [`127.0.0.1:${PORT}`];
}

/** Where HTTP is served; undefined for nowhere. */
export function httpOf(input: CommandInput): string | undefined {
  const given = input.requiredText("http");
  return given === "none" ? undefined : given;
}

/** Client prefixes that may ask for diagnoses. */
export function diagnosisOf(input: CommandInput): string[] {
  return prefixesOf(input, "diagnosis", "diagnosis");
}

/** What is done about who asks. */
export function frontOf(input: CommandInput): FrontOptions {
  const cookieSecrets = input.text("cookieSecrets");
  return {
    cookieSecrets: cookieSecrets === undefined ? undefined : resolve(cookieSecrets),
    rateLimit: input.wholeNumber("rateLimit", 1, RATE_LIMIT_MAX),
    rateExempt: prefixesOf(input, "rateExempt", "rate-exempt"),
    proxies: prefixesOf(input, "proxy", "proxy"),
    encrypted: encryptedOf(input),
  };
}

function encryptedOf(input: CommandInput): FrontOptions["encrypted"] {
  const dot = input.list("dot");
  const doh = input.list("doh");
  if (dot.length + doh.length === 0) return undefined;
  const certFile = input.text("dnsCert");
  const keyFile = input.text("dnsKey");
  if (certFile === undefined || keyFile === undefined)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: --dot and --doh need a certificate, expected --dns-cert FILE and --dns-key FILE",
    );
  const clientCaFile = input.text("dnsClientCa");
  return {
    ...{ dot, doh, certFile: resolve(certFile), keyFile: resolve(keyFile) },
    ...(clientCaFile === undefined ? {} : { clientCaFile: resolve(clientCaFile) }),
  };
}

function prefixesOf(input: CommandInput, name: string, flag: string): string[] {
  const prefixes = input.list(name);
  const wrong = prefixes.find((text) => parsePrefix(text) === undefined);
  if (wrong !== undefined)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot start: --${flag} is "${wrong}", expected a prefix such as 192.0.2.0/24`,
    );
  return prefixes;
}

export function workersOf(input: CommandInput): number {
  return (
    input.wholeNumber("workers", 1, WORKERS_MAX) ??
    Math.min(WORKERS_UNLESS_TOLD, availableParallelism())
  );
}

/** True where the host has the address ::1. */
export function hasIpv6(): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.address === "::1");
}
