// SPDX-License-Identifier: Apache-2.0

// Where a store is, as people write it:
//
//   sqlite:/var/lib/meridian/store.sqlite
//   etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/meridian?user=meridian&password-file=/run/secrets/etcd&ca=/etc/meridian/ca.pem
//
// Secrets stand in files or variables that it names, never in the text itself: texts end up in process lists and logs.

import { invalidRequest } from "./store-error.ts";

export interface SqliteLocation {
  readonly kind: "sqlite";
  readonly path: string;
  readonly isReadOnly: boolean;
}

export interface EtcdLocation {
  readonly kind: "etcd";
  /** HOST:PORT each. */
  readonly endpoints: readonly string[];
  /** An empty prefix is refused instead of being made a store. */
  readonly isReadOnly: boolean;
  /** What every key begins with; begins and ends with a slash. */
  readonly prefix: string;
  /** The certificate's issuer (the system's where left out), and what this client shows. */
  readonly tls?:
    | {
        readonly caFile: string | undefined;
        readonly certificateFile: string | undefined;
        readonly keyFile: string | undefined;
      }
    | undefined;
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly passwordVariable?: string | undefined;
  /** File in which this replica keeps what it has read, so that it starts without a quorum, too; in memory where left out. */
  readonly mirrorPath?: string | undefined;
}

export type StoreLocation = SqliteLocation | EtcdLocation;

const parameterNames = new Set([
  "tls",
  "ca",
  "cert",
  "key",
  "user",
  "password-file",
  "password-env",
  "mirror",
]);

/** Throws STORE_REQUEST_INVALID where the text names no store. */
export function parseStoreLocation(text: string, isReadOnly = false): StoreLocation {
  if (text.startsWith("sqlite:") && text.length > "sqlite:".length)
    return { kind: "sqlite", path: text.slice("sqlite:".length), isReadOnly };
  const match = /^etcd:\/\/(?<hosts>[^/?#@]+)(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/.exec(text);
  if (match?.groups === undefined)
    throw invalid(text, "expected sqlite:PATH or etcd://HOST:PORT,…/PREFIX?…");
  const { hosts = "", path = "/", query = "" } = match.groups;
  const endpoints = hosts.split(",");
  const wrong = endpoints.find(
    (endpoint) => !/^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(endpoint),
  );
  if (wrong !== undefined) throw invalid(text, `"${wrong}" is no HOST:PORT`);
  const prefix = path.replaceAll(/^\/*|\/*$/g, "");
  return {
    kind: "etcd",
    endpoints,
    isReadOnly,
    prefix: prefix === "" ? "/meridian/" : `/${prefix}/`,
    ...etcdParameters(text, new URLSearchParams(query)),
  };
}

function etcdParameters(
  text: string,
  query: URLSearchParams,
): Omit<EtcdLocation, "kind" | "endpoints" | "prefix" | "isReadOnly"> {
  for (const name of query.keys())
    if (!parameterNames.has(name))
      throw invalid(
        text,
        `"${name}" is unknown, expected any of ${[...parameterNames].join(", ")}`,
      );
  const value = (name: string): string | undefined => query.get(name) ?? undefined;
  const tls = { caFile: value("ca"), certificateFile: value("cert"), keyFile: value("key") };
  const isTls = value("tls") === "true" || Object.values(tls).some((each) => each !== undefined);
  const user = value("user");
  const [passwordFile, passwordVariable] = [value("password-file"), value("password-env")];
  if ((user === undefined) !== (passwordFile === undefined && passwordVariable === undefined))
    throw invalid(text, "user needs password-file or password-env, and they need user");
  return {
    tls: isTls ? tls : undefined,
    user,
    passwordFile,
    passwordVariable,
    mirrorPath: value("mirror"),
  };
}

function invalid(text: string, reason: string): Error {
  const shown = text.replace(/\/\/.*@/, "//…@");
  return invalidRequest(`Cannot open the store "${shown}": ${reason}`);
}
