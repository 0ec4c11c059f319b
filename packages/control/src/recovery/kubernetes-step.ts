// SPDX-License-Identifier: Apache-2.0

// Scales or patches an object of Kubernetes, once: the patch names the version of the object that it was made for and marks the object with the
// key of the step. So it is refused where anybody was first, and found where this step was itself.
//
//   get ─► what a roll-back would write is committed ─► get ─► marked with the key? done : patch with version and mark ─► 409: get again

import { request, type RequestOptions } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf } from "@meridian/core";
import type { RecoveryStep } from "@meridian/model";
import { fieldsOf, member } from "../documents/document-key.ts";
import { accessOfKubeconfig, type ClusterAccess } from "../secrets/cluster-access.ts";
import type { Secrets } from "../secrets/secrets.ts";
import type { StepWork } from "./outside-steps.ts";

const ANSWER_MS_MAX = 10_000;
/** Objects of Kubernetes have 1.5 MiB at most in etcd. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const AGAIN_MS = 500;
const SAID_LENGTH_MAX = 200;
/** The annotation with the key of the step that changed an object last. */
const MARK = "meridian.dev/recovery-step";

type Target = NonNullable<RecoveryStep["kubernetes"]>;

/** A plain object, as a merge patch is and what it is merged into. */
type Fields = Readonly<Record<string, unknown>>;

/** Does what a step says of an object. */
export function kubernetesStep(secrets: Secrets): StepWork {
  return async ({ run, step, key, signal }) => {
    const { kubernetes } = step.what;
    if (kubernetes === undefined) return { result: "failed", detail: "it has no kubernetes" };
    if (step.tries > 0) await sleep(AGAIN_MS, undefined, { signal });
    const kubeconfig = await secrets.read(run.namespace, kubernetes.kubeconfig);
    const cluster = { access: accessOfKubeconfig(kubeconfig), path: pathOf(kubernetes), signal };
    const isUndo = step.state === "undoing";
    const stored = step.memo["undo"];
    if (isUndo && stored === undefined) return { result: "done", detail: "nothing to undo" };
    const wanted = fieldsOf(isUndo ? JSON.parse(stored ?? "{}") : patchOf(kubernetes));
    const shown = `${kubernetes.resource}/${kubernetes.name} of ${kubernetes.namespace}`;
    let found: Answer;
    try {
      found = await ask(cluster, "GET");
    } catch (error) {
      return {
        result: "going",
        detail: `Kubernetes is out of reach: ${reasonOf(error)}`,
        isTry: true,
      };
    }
    if (found.status >= 500 || found.status === 429)
      return { result: "going", detail: `Kubernetes answers ${found.status}`, isTry: true };
    if (found.status !== 200)
      return {
        result: "failed",
        detail: `Kubernetes answers ${found.status} when asked for ${shown}`,
      };
    const metadata = member(found.json, "metadata");
    const last = member(member(metadata, "annotations"), MARK);
    if (last === key) return { result: "done", detail: `changed ${shown}` };
    // What this run has not changed, or somebody else has changed since, is left alone. Another of its steps may have marked it later.
    if (isUndo && !(typeof last === "string" && last.startsWith(`${run.id}/`)))
      return { result: "done", detail: `${shown} was changed by another one since: left as it is` };
    const undo = JSON.stringify(inverse(wanted, fieldsOf(found.json)));
    if (!isUndo && stored !== undo)
      return { result: "going", detail: `found ${shown}`, memo: { undo } };
    const marked = {
      ...wanted,
      metadata: {
        ...fieldsOf(wanted["metadata"]),
        resourceVersion: member(metadata, "resourceVersion"),
        annotations: { ...fieldsOf(member(wanted["metadata"], "annotations")), [MARK]: key },
      },
    };
    try {
      const { status, json } = await ask(cluster, "PATCH", marked);
      if (status === 200) return { result: "done", detail: `changed ${shown}`, isTry: true };
      const why = `Kubernetes answers ${status} to the patch of ${shown}: ${saidIn(json)}`;
      const isAgain = status === 409 || status === 429 || status >= 500;
      return { result: isAgain ? "going" : "failed", detail: why, isTry: true };
    } catch (error) {
      // It may have been done: the next look at the object says so.
      return {
        result: "going",
        detail: `Kubernetes is out of reach: ${reasonOf(error)}`,
        isTry: true,
      };
    }
  };
}

/** Asks for the object of a step. Rejects where it cannot be asked for. */
export async function findObject(
  target: Target,
  namespace: string,
  secrets: Secrets,
  signal: AbortSignal,
): Promise<Answer> {
  const access = accessOfKubeconfig(await secrets.read(namespace, target.kubeconfig));
  return ask({ access, path: pathOf(target), signal }, "GET");
}

/** What Kubernetes says of an error. */
function saidIn(json: unknown): string {
  const said = member(json, "message");
  return typeof said === "string" ? said.slice(0, SAID_LENGTH_MAX) : "";
}

/** What undoes a merge patch (RFC 7396) of an object. */
export function inverse(patch: Fields, before: Fields): Fields {
  return Object.fromEntries(
    Object.entries(patch).map(([name, value]) => {
      const was = before[name];
      const isInner = isObject(value) && isObject(was);
      return [name, isInner ? inverse(fieldsOf(value), fieldsOf(was)) : (was ?? null)];
    }),
  );
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function patchOf({ scale, patch }: Target): unknown {
  return scale === undefined ? JSON.parse(patch ?? "{}") : { spec: { replicas: scale.replicas } };
}

function pathOf({ apiVersion, namespace, resource, name }: Target): string {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}/namespaces/${namespace}/${resource}/${name}`;
}

interface Cluster {
  readonly access: ClusterAccess;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** What Kubernetes answers. */
export interface Answer {
  readonly status: number;
  readonly json: unknown;
}

function ask({ access, path, signal }: Cluster, method: string, body?: object): Promise<Answer> {
  const { server, ca, token, certificate, key, serverName } = access;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const options: RequestOptions = {
    method,
    headers: {
      accept: "application/json",
      ...(text === undefined ? {} : { "content-type": "application/merge-patch+json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate, key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request(`${server.replace(/\/+$/, "")}${path}`, options, (response) => {
    let found = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      found += chunk;
      if (found.length > ANSWER_BYTES_MAX) response.destroy(new Error("its answer is too long"));
    });
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode ?? 0, json: jsonOf(found) }));
  });
  asked.on("error", reject);
  asked.end(text);
  return promise;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
