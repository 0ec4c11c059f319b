// SPDX-License-Identifier: Apache-2.0

// How the API of Kubernetes is reached: as the service account of a pod, or as a kubeconfig says. Files are read anew each time, as Kubernetes
// changes the token of a pod every hour.
//
// One request is all that is needed of Kubernetes. Its client library brings 68 packages, 0.5 s and 88 MB of memory for that
// (docs/internals/dependencies.md).

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { reasonOf } from "@meridian/core";
import { readRawDocuments } from "@meridian/model";
import { member } from "../documents/document-key.ts";

/** Where Kubernetes puts what a pod needs. */
export const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What a request to the API needs. */
export interface ClusterAccess {
  /** Base address. */
  readonly server: string;
  /** PEM; those of the system unless given. */
  readonly ca?: string;
  readonly token?: string;
  /** PEM, both. */
  readonly certificate?: string;
  readonly key?: string;
  /** Name in the certificate of the server, where it is another than that of the address. */
  readonly serverName?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Rejects, with the reason as the message, where nothing says how to reach Kubernetes. */
export async function clusterAccess(
  environment: Environment,
  serviceAccountFolder: string = SERVICE_ACCOUNT_FOLDER,
): Promise<ClusterAccess> {
  const { KUBECONFIG: named, KUBERNETES_SERVICE_HOST: host } = environment;
  if (named !== undefined && named !== "") return kubeconfigAccess(named);
  if (host !== undefined && host !== "") {
    const port = environment["KUBERNETES_SERVICE_PORT"] ?? "443";
    const [token, ca] = await Promise.all([
      textOf(join(serviceAccountFolder, "token")),
      textOf(join(serviceAccountFolder, "ca.crt")),
    ]);
    return {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      token: token.trim(),
      ca,
    };
  }
  return kubeconfigAccess(join(environment["HOME"] ?? homedir(), ".kube", "config"));
}

async function kubeconfigAccess(path: string): Promise<ClusterAccess> {
  const parts = partsOf(await textOf(path), `"${path}"`);
  const from = async (owner: unknown, name: string): Promise<string | undefined> => {
    const file = textIn(owner, name);
    return (
      dataIn(owner, name) ?? (file === undefined ? undefined : textOf(resolve(dirname(path), file)))
    );
  };
  const { cluster, user } = parts;
  const tokenFile = textIn(user, "tokenFile");
  const token =
    tokenFile === undefined
      ? textIn(user, "token")
      : (await textOf(resolve(dirname(path), tokenFile))).trim();
  const [ca, certificate, key] = await Promise.all([
    from(cluster, "certificate-authority"),
    from(user, "client-certificate"),
    from(user, "client-key"),
  ]);
  return accessOf(parts, { token, ca, certificate, key }, `"${path}"`);
}

/** What a kubeconfig says that has all of it inside; it names no file, as it may be somebody else's. Throws the reason. */
export function accessOfKubeconfig(text: string): ClusterAccess {
  const what = "the kubeconfig";
  const parts = partsOf(text, what);
  const { cluster, user } = parts;
  const found = {
    token: textIn(user, "token"),
    ca: dataIn(cluster, "certificate-authority"),
    certificate: dataIn(user, "client-certificate"),
    key: dataIn(user, "client-key"),
  };
  return accessOf(parts, found, what);
}

interface KubeconfigParts {
  readonly cluster: unknown;
  readonly user: unknown;
  readonly server: string;
}

function partsOf(text: string, what: string): KubeconfigParts {
  const file = { path: "kubeconfig.yaml", bytes: Buffer.from(text) };
  const raw = readRawDocuments(file).documents[0]?.raw;
  const context = namedIn(raw, "contexts", member(raw, "current-context"), "context");
  const cluster = namedIn(raw, "clusters", member(context, "cluster"), "cluster");
  const user = namedIn(raw, "users", member(context, "user"), "user");
  const server = textIn(cluster, "server");
  if (server === undefined || !server.startsWith("https://"))
    throw new Error(`${what} has no context with a cluster at https://`);
  return { cluster, user, server };
}

function accessOf(
  { cluster, server }: KubeconfigParts,
  {
    token,
    ca,
    certificate,
    key,
  }: Readonly<Record<"token" | "ca" | "certificate" | "key", string | undefined>>,
  what: string,
): ClusterAccess {
  if (token === undefined && (certificate === undefined || key === undefined))
    throw new Error(
      `the user of ${what} has neither token nor client certificate; commands that log in are not run here`,
    );
  const serverName = textIn(cluster, "tls-server-name");
  return {
    server,
    ...(ca === undefined ? {} : { ca }),
    ...(token === undefined ? {} : { token }),
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function dataIn(owner: unknown, name: string): string | undefined {
  const data = textIn(owner, `${name}-data`);
  return data === undefined ? undefined : Buffer.from(data, "base64").toString();
}

/** `[{name, MEMBER: …}]`, as kubeconfigs have it. */
function namedIn(raw: unknown, list: string, name: unknown, wanted: string): unknown {
  const entries = member(raw, list);
  const found: unknown = Array.isArray(entries)
    ? entries.find((entry: unknown) => member(entry, "name") === name)
    : undefined;
  return member(found, wanted);
}

function textIn(raw: unknown, name: string): string | undefined {
  const value = member(raw, name);
  return typeof value === "string" && value !== "" ? value : undefined;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Error(`"${path}": ${reasonOf(error)}`, { cause: error });
  }
}
