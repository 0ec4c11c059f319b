// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Secrets } from "./secrets/secrets.ts";
import { ApiFixture } from "./testing/api-fixture.ts";
import { makeNotifier } from "./testing/notifier-fixture.ts";
import { httpReceiver, mailReceiver } from "./testing/receivers.ts";
import { TransitionHistory } from "@meridian/health";

const apiVersion = "meridian.dev/v1alpha1";

function notification(name: string, spec: object, namespace = "default"): object {
  return {
    apiVersion,
    kind: "Notification",
    metadata: { name, namespace },
    spec: { groupWait: "1ms", ...spec },
  };
}

/** A pool of one endpoint that a TCP check judges ten times a second, behind a failover of two tiers. */
function documents(port: number): string {
  return `apiVersion: ${apiVersion}
kind: HealthCheck
metadata: {name: web}
spec: {tcp: {port: ${port}}, interval: 100ms, timeout: 50ms, unhealthyThreshold: 1, healthyThreshold: 1}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: web}
spec: {healthCheck: web, members: {a: {address: 127.0.0.1}}}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: spare}
spec: {members: {b: {address: 192.0.2.2}}}
---
apiVersion: ${apiVersion}
kind: TrafficPolicy
metadata: {name: web}
spec:
  root: order
  nodes:
    order: {failover: {tiers: [{branches: [{pool: web}]}, {branches: [{pool: spare}]}]}}
---
apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example}
spec: {origin: example.org, nameServers: [{name: ns.example.org, addresses: [192.0.2.53]}]}
---
apiVersion: ${apiVersion}
kind: Record
metadata: {name: www}
spec: {name: www.example.org, policy: web}
`;
}

test("receivers of every kind are told of a pool that is down, of what it leads to, and that it is over", async (context) => {
  const endpoint = createServer((socket) => socket.destroy());
  const port = await listen(endpoint, 0);
  const api = await ApiFixture.start(context, { "a.yaml": documents(port) }, { probing: true });
  const http = await httpReceiver(context);
  const mail = await mailReceiver(context);
  secret(api.folder, "default", "token", "s3cret\n");
  secret(api.folder, "default", "slack", `${http.url}/slack/T0/B0`);
  const made = await api.local("POST", "/v1/apply", {
    body: [
      notification("hook", {
        events: ["verdict", "all-down", "failover"],
        webhook: { url: `${http.url}/hook`, token: { file: "token" } },
        link: "https://gtm.example.org/",
      }),
      notification("chat", { events: ["all-down"], slack: { url: { file: "slack" } } }),
      notification("alerts", { alertmanager: { url: http.url } }),
      notification("mail", {
        events: ["all-down"],
        email: {
          server: mail.server,
          tls: "none",
          from: "gtm@example.org",
          to: ["a@example.org", "b@example.org"],
        },
      }),
      notification("other", { webhook: { url: `${http.url}/other` } }, "shop"),
    ],
  });
  assert.equal(made.status, 200, made.text);

  await closed(endpoint);
  await ticking(api, () => http.posted.length >= 3 && mail.mails.length >= 1);
  const hook = http.posted.find(({ path }) => path === "/hook");
  assert.equal(hook?.authorization, "Bearer s3cret");
  assert.deepEqual(firing(hook?.body), [
    "verdict endpoint/default/web/a",
    "all-down pool/default/web",
    "failover node/default/web/order",
  ]);
  assert.match(
    JSON.stringify(hook?.body),
    /https:\/\/gtm\.example\.org\/v1\/health\/history\?endpoint=endpoint%2Fdefault%2Fweb%2Fa/,
  );
  const chat = http.posted.find(({ path }) => path === "/slack/T0/B0");
  assert.match(JSON.stringify(chat?.body), /Every endpoint of pool default\/web is unhealthy/);
  const alerts = http.posted.find(({ path }) => path === "/api/v2/alerts");
  assert.match(
    JSON.stringify(alerts?.body),
    /"alertname":"MeridianAllDown","subject":"pool\/default\/web"/,
  );
  assert.deepEqual(mail.mails[0]?.to, ["a@example.org", "b@example.org"]);
  assert.match(
    mail.mails[0].text,
    /Subject: \[Meridian\] Every endpoint of pool default\/web is unhealthy/,
  );
  assert.match(mail.mails[0].text, /meridian health history endpoint\/default\/web\//);

  await listen(endpoint, port);
  context.after(() => closed(endpoint));
  const before = http.posted.length;
  await ticking(api, () => http.posted.length >= before + 3 && mail.mails.length >= 2);
  const over = http.posted.slice(before).find(({ path }) => path === "/hook");
  assert.match(JSON.stringify(over?.body), /"firing":\[\],"resolved":\[\{"event":"verdict"/);
  assert.match(mail.mails[1]?.text ?? "", /Subject: \[Meridian\] ended: Every endpoint/);
  assert.ok(
    !http.posted.some(({ path }) => path === "/other"),
    "another namespace is told nothing",
  );

  const { body } = await api.local("GET", "/v1/notifications");
  const states = body.items.map((row) => `${row.name} ${String(Reflect.get(row, "state"))}`);
  assert.deepEqual(states.toSorted(), [
    "default/alerts told",
    "default/chat told",
    "default/hook told",
    "default/mail told",
    "shop/other told",
  ]);
});

test("a receiver that fails is asked again, shows in lists and metrics, and a restart tells nothing twice", async (context) => {
  const api = await ApiFixture.start(context, {});
  const http = await httpReceiver(context);
  const body = notification("hook", { scope: "all", webhook: { url: http.url } });
  assert.equal((await api.local("POST", "/v1/apply", { body })).status, 200);
  const edge = { event: "isolated-edge", subject: "edge/eu-1", namespace: "" } as const;
  api.notifier.board.raise({ ...edge, summary: "Edge eu-1 is alone" });
  http.status = 503;
  await ticking(api, () => http.posted.length === 1);
  const row = await rowOf(api, (each) => Reflect.get(each, "failed") === 1);
  assert.equal(Reflect.get(row, "state"), "failing");
  assert.equal(Reflect.get(row, "lastError"), "it answered 503");
  const metrics = (await api.local("GET", "/metrics")).text;
  assert.match(metrics, /meridian_notification_failing\{notification="default\/hook"\} 1/);
  assert.match(metrics, /meridian_alerts\{event="isolated-edge"\} 1/);
  http.status = 200;
  await ticking(api, () => http.posted.length === 2);
  assert.deepEqual(
    http.posted[1]?.body,
    http.posted[0]?.body,
    "the same message, with the same id",
  );
  await ticking(api, () => readTold(api.folder).includes("edge/eu-1"));

  const next = makeNotifier(api.embedded, api.documents, new TransitionHistory(), api.folder);
  context.after(() => next.close());
  next.board.raise({ ...edge, summary: "Edge eu-1 is alone" });
  for (let turn = 0; turn < 5; turn++) {
    next.tick();
    await pause();
  }
  assert.equal(http.posted.length, 2);
  next.board.clear(edge.event, edge.subject);
  await ticking({ notifier: next }, () => http.posted.length === 3);
  assert.deepEqual(firing(http.posted[2]?.body), []);
});

test("who may not do everything writes no Notification of all, and finds none of others' secrets", async (context) => {
  const api = await ApiFixture.start(context, {});
  const token = await api.tokenOf("shop", [{ verbs: ["*"], namespaces: ["shop"] }]);
  const hook = { webhook: { url: "http://127.0.0.1:9/" } };
  const send = (document: object) => api.http("POST", "/v1/apply", { token, body: document });
  assert.equal((await send(notification("a", hook, "shop"))).status, 200);
  assert.equal((await send(notification("b", { ...hook, scope: "all" }, "shop"))).status, 403);
  assert.equal((await send(notification("c", hook))).status, 403);
  const kubernetes = { kubernetesSecret: { name: "../a", key: "b" } };
  const refused = await send(notification("d", { slack: { url: kubernetes } }, "shop"));
  assert.match(refused.text, /expected the name of a Secret/);
  const outside = await send(notification("e", { slack: { url: { file: "../a/b" } } }, "shop"));
  assert.equal(outside.status, 400);

  const folder = mkdtempSync(join(tmpdir(), "meridian-secrets-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const secrets = new Secrets(folder, {
    MERIDIAN_SECRET_A_B__KEY: "x",
    MERIDIAN_SECRET_A__KEY: "",
  });
  assert.equal(await secrets.read("a-b", { env: "KEY" }), "x");
  await assert.rejects(secrets.read("a", { env: "KEY" }), /MERIDIAN_SECRET_A__KEY is not set/);
  await assert.rejects(secrets.read("a", { file: "none" }), /there is no such file/);
  mkdirSync(join(folder, "a"));
  writeFileSync(join(folder, "a", "long"), "x".repeat(70_000));
  await assert.rejects(secrets.read("a", { file: "long" }), /is larger than 65536 bytes/);
});

function secret(folder: string, namespace: string, name: string, text: string): void {
  mkdirSync(join(folder, "secrets", namespace), { recursive: true });
  writeFileSync(join(folder, "secrets", namespace, name), text);
}

function readTold(folder: string): string {
  try {
    return readFileSync(join(folder, "notifications.json"), "utf8");
  } catch {
    return "";
  }
}

async function rowOf(api: ApiFixture, isWanted: (row: object) => boolean): Promise<object> {
  for (;;) {
    const { body } = await api.local("GET", "/v1/notifications");
    const found = body.items.find(isWanted);
    if (found !== undefined) return found;
    await pause();
  }
}

function firing(body: unknown): string[] {
  const alerts: unknown =
    typeof body === "object" && body !== null ? Reflect.get(body, "firing") : [];
  return Array.isArray(alerts) ? alerts.map(({ event, subject }) => `${event} ${subject}`) : [];
}

/** Looks until something is so; the runner's time limit ends what never is. */
async function ticking(
  { notifier }: Pick<ApiFixture, "notifier">,
  isSo: () => boolean,
): Promise<void> {
  while (!isSo()) {
    notifier.tick();
    await pause();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(port, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  return promise;
}

function closed(server: ReturnType<typeof createServer>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  return promise;
}

test("a secret that is written down is refused where it stands, and nowhere kept", async (context) => {
  const api = await ApiFixture.start(context, {});
  const written = "hunter2-hunter2";
  const receivers = [
    { webhook: { url: "https://example.org/hook", token: written } },
    { slack: { url: `https://hooks.example.org/${written}` } },
    { webhook: { url: "https://example.org/hook", token: { value: written } } },
  ];
  for (const receiver of receivers) {
    const body = {
      apiVersion: "meridian.dev/v1alpha1",
      kind: "Notification",
      metadata: { name: "hook" },
      spec: receiver,
    };
    const refused = await api.local("POST", "/v1/apply", { body });
    assert.deepEqual([refused.status, refused.body.code], [400, "DOCUMENTS_INVALID"], refused.text);
    assert.match(String(refused.body.problems[0]?.path), /^spec\.(webhook\.token|slack\.url)/);
  }
  assert.equal((await api.store.head()).revision, 0);
  const kept = readFileSync(join(api.folder, "store.sqlite")).toString("latin1");
  assert.ok(!kept.includes(written));
});
