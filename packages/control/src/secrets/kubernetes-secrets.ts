// SPDX-License-Identifier: Apache-2.0

// Secrets of Kubernetes, each asked for by its name: no list, no watch, so that a Role may allow `get` of just those. One is asked for again after a
// few seconds, so that it can be changed in place; while Kubernetes is out of reach it is what it was.

import { request, type RequestOptions } from "node:https";
import { reasonOf } from "@meridian/core";
import { member } from "../documents/document-key.ts";
import { clusterAccess, type ClusterAccess } from "./cluster-access.ts";

/** Kubernetes is asked again for one Secret after so long. */
const AGAIN_MS = 4000;
const ANSWER_MS_MAX = 5000;
/** A Secret has 1 MiB at most; in base64, as JSON and with its labels. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
/** Secrets that are remembered; then all are forgotten. */
const REMEMBERED_MAX = 1000;

/** Kubernetes says no: what was read before holds no longer. */
class Denied extends Error {}

interface Remembered {
  /** Of a clock that never goes back. */
  askedAtMs: number;
  asking: Promise<unknown>;
  /** Its `data`, as it was read last. */
  data: unknown;
}

export class KubernetesSecrets {
  readonly #access: () => Promise<ClusterAccess>;
  readonly #remembered = new Map<string, Remembered>();

  constructor(
    environment: Readonly<Record<string, string | undefined>>,
    serviceAccountFolder?: string,
  ) {
    this.#access = () => clusterAccess(environment, serviceAccountFolder);
  }

  /** The bytes of a key. Rejects, with the reason as the message, where there is none. */
  async read(namespace: string, name: string, key: string): Promise<Uint8Array> {
    const data = await this.#data(namespace, name);
    const value = member(data, key);
    if (typeof value !== "string")
      throw new Error(`the Secret "${name}" of namespace "${namespace}" has no key "${key}"`);
    return Buffer.from(value, "base64");
  }

  #data(namespace: string, name: string): Promise<unknown> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;
    const known = this.#remembered.get(path);
    if (known !== undefined && performance.now() - known.askedAtMs < AGAIN_MS) return known.asking;
    if (known === undefined && this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    const asking = this.#ask(path, namespace, name).then(
      (data) => {
        entry.data = data;
        return data;
      },
      (error: unknown) => {
        if (error instanceof Denied) entry.data = undefined;
        if (entry.data !== undefined) return entry.data;
        throw error;
      },
    );
    const entry: Remembered = { askedAtMs: performance.now(), asking, data: known?.data };
    this.#remembered.set(path, entry);
    return asking;
  }

  async #ask(path: string, namespace: string, name: string): Promise<unknown> {
    const access = await this.#access();
    const secret = `the Secret "${name}" of namespace "${namespace}"`;
    let answer: Answer;
    try {
      answer = await ask(access, path);
    } catch (error) {
      throw new Error(`Kubernetes at ${access.server} is out of reach: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const { status, body } = answer;
    if (status === 404) throw new Denied(`there is no ${secret.slice("the ".length)}`);
    if (status === 403)
      throw new Denied(`Kubernetes answers 403, expected a Role that allows to get ${secret}`);
    if (status !== 200) throw new Error(`Kubernetes answers ${status} when asked for ${secret}`);
    return dataIn(body);
  }
}

function dataIn(body: string): unknown {
  try {
    return member(JSON.parse(body), "data");
  } catch {
    // What JSON.parse says has a piece of the text in it.
    throw new Error("Kubernetes answers something else than JSON");
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(access: ClusterAccess, path: string): Promise<Answer> {
  const { server, ca, token, certificate, key, serverName } = access;
  const options: RequestOptions = {
    headers: {
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    agent: false,
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate, key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request(`${server.replace(/\/+$/, "")}${path}`, options, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      body += chunk;
      if (body.length > ANSWER_BYTES_MAX) response.destroy(new Error("its answer is too long"));
    });
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode, body }));
  });
  asked.on("error", reject);
  asked.end();
  return promise;
}
