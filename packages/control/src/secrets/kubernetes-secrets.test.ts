// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readRawDocuments } from "@meridian/model";
import { fieldsOf, member } from "../documents/document-key.ts";
import { silent } from "../testing/control-fixture.ts";
import { KubeApiServer, kubernetesMissing } from "../testing/kube-api-server.ts";
import { stepOf, stepScene } from "../testing/step-scene.ts";
import { clusterAccess } from "./cluster-access.ts";
import { KubernetesSecrets } from "./kubernetes-secrets.ts";
import { ProbeSecrets } from "./probe-secrets.ts";
import { Secrets } from "./secrets.ts";

const manifest = resolve(import.meta.dirname, "../../../../deploy/kubernetes/secrets.yaml");
const CONTROL = "system:serviceaccount:meridian:meridian-control";
const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-cluster-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test(
  "a Secret of Kubernetes is read with the Role that is shipped, again when it changes, and stays while Kubernetes is away",
  { skip: kubernetesMissing(), timeout: 240_000 },
  async (t) => {
    const kubernetes = await KubeApiServer.start({ [CONTROL]: "pod-token" });
    t.after(() => kubernetes.close());
    const made = async (path: string, body: object): Promise<void> =>
      assert.equal(await kubernetes.ask("POST", path, { body }), 201, path);
    const metadata = { name: "shop" };
    await made("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata });
    const secretNamed = (name: string, token: string): object => ({
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name } },
      data: { token: Buffer.from(`${token}\n`).toString("base64") },
    });
    const secrets = "/api/v1/namespaces/shop/secrets";
    for (const name of ["on-call", "other"]) await made(secrets, secretNamed(name, "first"));
    const { documents } = readRawDocuments({ path: manifest, bytes: readFileSync(manifest) });
    for (const { raw } of documents) {
      const kind = String(member(raw, "kind")).toLowerCase();
      await made(`${rbac}/${kind}s`, fieldsOf(raw));
    }

    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "token"), "pod-token\n");
    writeFileSync(join(folder, "ca.crt"), kubernetes.ca);
    await scaledOnce(t, kubernetes);
    const environment = {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String(kubernetes.port),
    };
    const reader = new Secrets(folder, environment, new KubernetesSecrets(environment, folder));
    const read = (name: string, key = "token"): Promise<string> =>
      reader.read("shop", { kubernetesSecret: { name, key } });
    assert.equal(await read("on-call"), "first");
    await assert.rejects(read("on-call", "none"), {
      code: "NOTIFICATION_SECRET_MISSING",
      message: /"on-call" of namespace "shop" has no key "none"/,
    });
    // What the Role does not name, and what it would take to find out what there is.
    await assert.rejects(
      read("other"),
      /answers 403, expected a Role that allows to get .*"other"/,
    );
    const asPod = { token: "pod-token" };
    assert.equal(await kubernetes.ask("GET", secrets, asPod), 403);
    assert.equal(await kubernetes.ask("DELETE", `${secrets}/on-call`, asPod), 403);

    // A check's, with a kubeconfig.
    const cluster = {
      server: `https://127.0.0.1:${kubernetes.port}`,
      "certificate-authority": "ca.crt",
    };
    const context = { cluster: "a", user: "a" };
    const config = {
      "current-context": "a",
      contexts: [{ name: "a", context }],
      clusters: [{ name: "a", cluster }],
      users: [{ name: "a", user: { tokenFile: "token" } }],
    };
    const KUBECONFIG = join(folder, "config");
    writeFileSync(KUBECONFIG, JSON.stringify(config));
    const probing = new ProbeSecrets({ folder, environment: { KUBECONFIG } }, silent, () => {});
    t.after(() => probing.close());
    const reference = "shop/kubernetes/on-call/token";
    probing.want(new Set([reference]));
    await until(() => Promise.resolve(probing.values.get(reference) === "first"));

    const body = secretNamed("on-call", "second");
    assert.equal(await kubernetes.ask("PUT", `${secrets}/on-call`, { body }), 200);
    await until(async () => (await read("on-call")) === "second");
    await until(() => Promise.resolve(probing.values.get(reference) === "second"));

    await kubernetes.stop();
    const fresh = new KubernetesSecrets(environment, folder);
    await assert.rejects(fresh.read("shop", "on-call", "token"), /is out of reach/);
    await sleep(4100);
    assert.equal(await read("on-call"), "second", "asked again, and in vain");

    await kubernetes.restart();
    assert.equal(await kubernetes.ask("DELETE", `${secrets}/on-call`), 200);
    await until(async () => /there is no Secret "on-call"/.test(await reasonOf(read("on-call"))));
  },
);

/** A step of a recovery plan scales an object once, whoever asks again, and back again unless somebody was there. */
async function scaledOnce(t: TestContext, kubernetes: KubeApiServer): Promise<void> {
  const { folder, does } = stepScene(t);
  const path = "/apis/apps/v1/namespaces/default/deployments";
  const container = { name: "c", image: "none" };
  const labels = { app: "web" };
  const body = {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
  assert.equal(await kubernetes.ask("POST", path, { body }), 201);
  const data = Buffer.from(kubernetes.ca).toString("base64");
  const cluster = {
    server: `https://127.0.0.1:${kubernetes.port}`,
    "certificate-authority-data": data,
  };
  const kubeconfig = (user: object): void =>
    writeFileSync(
      join(folder, "default", "kubeconfig"),
      JSON.stringify({
        "current-context": "a",
        contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
        clusters: [{ name: "a", cluster }],
        users: [{ name: "a", user }],
      }),
    );
  const target = {
    ...{ kubeconfig: { file: "kubeconfig" }, apiVersion: "apps/v1", resource: "deployments" },
    ...{ namespace: "default", name: "web" },
  };
  const scale = { kubernetes: { ...target, scale: { replicas: 5 } } };
  kubeconfig({ tokenFile: "/etc/passwd" });
  assert.match((await does(stepOf(scale))).detail, /neither token nor client certificate/);
  kubeconfig({ token: "nobody" });
  assert.match((await does(stepOf(scale))).detail, /Kubernetes answers 401/);
  kubeconfig({ token: "admin" });

  const intent = await does(stepOf(scale));
  assert.equal(intent.result, "going");
  const memo = intent.memo ?? {};
  assert.deepEqual(memo, { undo: '{"spec":{"replicas":2}}' });
  // Two controls at once, one of which has not heard that it does not lead any more.
  const both = await Promise.all([does(stepOf(scale, { memo })), does(stepOf(scale, { memo }))]);
  assert.ok(both.some(({ result }) => result === "done"));
  for (const each of both)
    if (each.result !== "done") assert.match(each.detail, /Kubernetes answers 409/);
  const again = await does(stepOf(scale, { memo, tries: 1 }));
  assert.deepEqual(again, { result: "done", detail: "changed deployments/web of default" });
  // The generation counts changes of what is wanted.
  const generation = (): Promise<string> =>
    kubernetes.text(`${path}/web`).then((text) => /"generation":\d+/.exec(text)?.[0] ?? "");
  assert.equal(await generation(), '"generation":2');
  const back = await does(stepOf(scale, { memo, state: "undoing" }));
  assert.equal(back.result, "done", back.detail);
  assert.match(await kubernetes.text(`${path}/web`), /"replicas":2/);

  const missing = { kubernetes: { ...target, name: "none", scale: { replicas: 1 } } };
  assert.match((await does(stepOf(missing))).detail, /Kubernetes answers 404/);
  // Somebody makes it anew: nothing of the run is on it.
  assert.equal(await kubernetes.ask("DELETE", `${path}/web`), 200);
  assert.equal(await kubernetes.ask("POST", path, { body }), 201);
  const late = await does(stepOf(scale, { memo, state: "undoing" }));
  assert.match(late.detail, /changed by another one since/);
}

test("clusterAccess() takes KUBECONFIG, then the account of the pod, and runs no command to log in", async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "config");
  const user = (spec: object): void =>
    writeFileSync(
      path,
      JSON.stringify({
        "current-context": "here",
        contexts: [
          { name: "other", context: { cluster: "none", user: "none" } },
          { name: "here", context: { cluster: "a", user: "b" } },
        ],
        clusters: [
          {
            name: "a",
            cluster: { server: "https://192.0.2.1:6443", "certificate-authority": "ca.pem" },
          },
        ],
        users: [{ name: "b", user: spec }],
      }),
    );
  writeFileSync(join(folder, "ca.pem"), "CA");
  writeFileSync(join(folder, "token"), "from-file\n");
  const base = { server: "https://192.0.2.1:6443", ca: "CA" };
  const KUBECONFIG = path;
  const pod = { KUBERNETES_SERVICE_HOST: "2001:db8::1" };
  user({ token: "written" });
  assert.deepEqual(await clusterAccess({ ...pod, KUBECONFIG }), { ...base, token: "written" });
  user({ tokenFile: "token" });
  assert.deepEqual(await clusterAccess({ KUBECONFIG }), { ...base, token: "from-file" });
  const data = Buffer.from("PEM").toString("base64");
  user({ "client-certificate-data": data, "client-key-data": data });
  assert.deepEqual(await clusterAccess({ KUBECONFIG }), {
    ...base,
    certificate: "PEM",
    key: "PEM",
  });
  user({ exec: { command: "aws" } });
  await assert.rejects(clusterAccess({ KUBECONFIG }), /neither token nor client certificate/);
  writeFileSync(path, "clusters: 1\n");
  await assert.rejects(clusterAccess({ KUBECONFIG }), /no context with a cluster at https/);

  writeFileSync(join(folder, "ca.crt"), "POD CA");
  assert.deepEqual(await clusterAccess(pod, folder), {
    server: "https://[2001:db8::1]:443",
    ...{ token: "from-file", ca: "POD CA" },
  });
  await assert.rejects(clusterAccess({ HOME: folder }), /\.kube\/config": there is no such file/);
});

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    return String(error);
  }
}

/** The runner's time limit ends what never is. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(250);
}
