// SPDX-License-Identifier: Apache-2.0

// Every command that asks a server, over HTTP with a token: with a role that allows what it needs and nothing else it works; without any
// part of that it is refused with exit code 3, and the refusal is in the audit log.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { AnswerCheck } from "@meridian/control/testing";
import type { RoleRule } from "@meridian/model";
import { ApiClient, memberOf } from "./api-client.ts";
import { CommandInput } from "./command.ts";
import { commands } from "./commands.ts";
import { ExitCode, exitCodeOf } from "./exit-code.ts";
import { rowsOf } from "./output.ts";
import { Server } from "./server.ts";

type Need = readonly [verb: RoleRule["verbs"][number], kind: string];

/** A command as it is typed, and all that it needs. */
interface Asked {
  readonly name: string;
  readonly words?: readonly string[];
  readonly options?: Readonly<Record<string, unknown>>;
  readonly needs: readonly Need[];
  /** Where it is not 0. */
  readonly exitCode?: ExitCode;
}

const get = (kind: string, verb: Need[0], of: string): Asked => ({
  name: "get",
  words: [kind],
  needs: [[verb, of]],
});

/** In an order in which each finds what it needs. */
function asked(folder: string, token: string): readonly Asked[] {
  const file = [join(folder, "pool.yaml")];
  const yes = true;
  return [
    { name: "diff", options: { file }, needs: [["diff", "Pool"]], exitCode: ExitCode.differences },
    { name: "plan", options: { file }, needs: [["diff", "*"]], exitCode: ExitCode.differences },
    { name: "apply", options: { file }, needs: [["apply", "Pool"]] },
    {
      name: "apply",
      options: { file, wait: true },
      needs: [
        ["apply", "Pool"],
        ["list", "Edge"],
      ],
    },
    { name: "describe", words: ["Pool/default/added"], needs: [["get", "Pool"]] },
    {
      name: "edit",
      words: ["Pool/default/added"],
      needs: [
        ["get", "Pool"],
        ["apply", "Pool"],
      ],
    },
    { name: "history", needs: [["history", "*"]] },
    {
      name: "diff",
      options: { from: "0" },
      needs: [["diff", "*"]],
      exitCode: ExitCode.differences,
    },
    get("Pool", "list", "Pool"),
    { name: "get", words: ["Pool", "added"], needs: [["get", "Pool"]] },
    get("endpoints", "list", "Endpoint"),
    get("sites", "list", "Site"),
    get("pools", "list", "Pool"),
    get("records", "list", "Record"),
    get("policies", "list", "TrafficPolicy"),
    get("health", "list", "Health"),
    get("shifts", "list", "Shift"),
    get("drills", "list", "Drill"),
    get("approvals", "list", "Approval"),
    get("latches", "list", "Latch"),
    get("notifications", "list", "Notification"),
    get("edges", "list", "Edge"),
    { name: "get", options: { top: "names" }, needs: [["list", "Name"]] },
    { name: "health history", words: ["endpoint/default/web/a"], needs: [["list", "Health"]] },
    { name: "explain", words: ["www.example.org"], needs: [["explain", "Record"]] },
    {
      name: "drain",
      words: ["pool/default/web"],
      options: { reason: "test", for: "1h", yes },
      needs: [
        ["drain", "Shift"],
        ["list", "Endpoint"],
      ],
    },
    {
      name: "extend",
      words: ["pool/default/web"],
      options: { for: "2h" },
      needs: [["drain", "Shift"]],
    },
    { name: "undrain", words: ["pool/default/web"], needs: [["undrain", "Shift"]] },
    {
      name: "failback",
      words: ["default/web/order"],
      needs: [
        ["list", "Latch"],
        ["failback", "Latch"],
      ],
    },
    {
      name: "control get",
      options: { namespace: "default" },
      needs: [["list", "RoutingControl"]],
    },
    {
      name: "control set",
      words: ["eu=Off"],
      options: { namespace: "default", reason: "test" },
      needs: [["set", "RoutingControl"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "approve",
      words: ["0"],
      options: { yes },
      needs: [
        ["list", "Approval"],
        ["approve", "Pool"],
      ],
      exitCode: ExitCode.notFound,
    },
    {
      name: "reject",
      words: ["0"],
      options: { reason: "test" },
      needs: [["approve", "Pool"]],
      exitCode: ExitCode.notFound,
    },
    get("recoveryplans", "list", "RecoveryPlan"),
    get("recoveryruns", "list", "RecoveryPlan"),
    {
      name: "recovery run",
      words: ["to-us"],
      options: { namespace: "default", reason: "test", yes },
      needs: [["run", "RecoveryPlan"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "recovery report",
      words: ["to-us"],
      options: { namespace: "default" },
      needs: [["get", "RecoveryPlan"]],
      exitCode: ExitCode.notFound,
    },
    ...["pause", "resume", "skip", "cancel", "rollback", "graceful", "ungraceful"].map((order) => ({
      name: `recovery ${order}`,
      words: ["to-us"],
      options: { namespace: "default", reason: "test", yes },
      needs: [["run", "RecoveryPlan"]] as const,
      exitCode: ExitCode.notFound,
    })),
    ...["approve", "decline"].map((order) => ({
      name: `recovery ${order}`,
      words: ["to-us"],
      options: { namespace: "default", reason: "test" },
      needs: [["approve", "RecoveryPlan"]] as const,
      exitCode: ExitCode.notFound,
    })),
    {
      name: "rollout status",
      options: { namespace: "default" },
      needs: [["list", "Rollout"]],
    },
    ...["start", "promote", "pause", "resume", "abort"].map((verb) => ({
      name: `rollout ${verb}`,
      words: ["shop"],
      options: { namespace: "default", reason: "test", yes: true },
      needs: [["rollout", "Rollout"]] as const,
      exitCode: ExitCode.notFound,
    })),
    {
      name: "drill run",
      words: ["none"],
      needs: [["run", "Drill"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "drill cancel",
      words: ["none"],
      needs: [["run", "Drill"]],
      exitCode: ExitCode.notFound,
    },
    { name: "dnssec status", needs: [["list", "Zone"]] },
    {
      name: "dnssec ds",
      words: ["example.org"],
      needs: [["list", "Zone"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "dnssec roll",
      words: ["example.org"],
      needs: [["apply", "Zone"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "dnssec export",
      words: ["example.org", "keys"],
      options: { yes, privateKeys: true },
      needs: [["token", "Zone"]],
      exitCode: ExitCode.notFound,
    },
    { name: "delete", words: ["Pool/default/added"], needs: [["delete", "Pool"]] },
    { name: "rollback", words: ["1"], options: { yes }, needs: [["rollback", "Pool"]] },
    { name: "token list", needs: [["token", "Token"]] },
    {
      name: "token create",
      words: ["ci"],
      options: { role: ["given"] },
      needs: [["token", "Token"]],
    },
    { name: "token create", words: ["eu-1"], options: { edge: true }, needs: [["token", "Edge"]] },
    {
      name: "edge revoke",
      words: ["eu-1"],
      options: { yes },
      needs: [["token", "Edge"]],
      exitCode: ExitCode.notFound,
    },
    {
      name: "control forget",
      words: ["c9"],
      needs: [["token", "Control"]],
      exitCode: ExitCode.notFound,
    },
    { name: "token revoke", words: [token], needs: [["token", "Token"]] },
    { name: "audit list", options: { count: "5" }, needs: [["audit", "Audit"]] },
    { name: "audit list", options: { refusals: true }, needs: [["audit", "Audit"]] },
    { name: "whoami", needs: [] },
    { name: "audit verify", needs: [["audit", "Audit"]] },
    { name: "audit export", needs: [["audit", "Audit"]] },
  ];
}

/** Commands that ask no server, or start one; `watch` has a test of its own. */
const others = [
  ...[
    "up",
    "control",
    "edge",
    "edge join",
    "probe",
    "check",
    "completion",
    "quickstart",
    "delegation",
    "bench dns",
    "dnssec rekey",
  ],
  ...[
    "snapshot inspect",
    "snapshot diff",
    "snapshot verify",
    "login",
    "logout",
    "context set",
    "context use",
    "context list",
    "simulate",
  ],
  ...["doctor", "zone import", "zone export", "zone diff", "zone check"],
  ...["store backup", "store restore", "store migrate", "store compact", "store verify", "watch"],
];

test("the table has every command", () => {
  const named = new Set([...asked("", "").map(({ name }) => name), ...others]);
  assert.deepEqual(
    commands.map(({ name }) => name).filter((name) => !named.has(name)),
    [],
  );
});

test("each command works with a role that allows it alone, and without is refused and audited; every answer is as described", async (t) => {
  const { folder, admin, remote: server } = await running(t);
  const undescribed: string[] = [];
  const remote = await checkedRelay(t, server, undescribed);
  process.env["EDITOR"] = "sed -i s/192.0.2.7/192.0.2.8/";
  t.after(() => delete process.env["EDITOR"]);
  await applyRole(admin, "given", [["token", "Token"]]);
  const revoked = String(memberOf(await makeToken(admin, ["given"]), "name"));
  const silence = t.mock.method(process.stdout, "write", () => true);
  const problems: string[] = [];
  for (const [at, command] of asked(folder, revoked).entries()) {
    const { needs, exitCode = ExitCode.done } = command;
    const title = [
      command.name,
      ...(command.words ?? []),
      ...Object.keys(command.options ?? {}),
    ].join(" ");
    for (const missing of needs.keys()) {
      const rest = needs.filter((_, index) => index !== missing);
      const before = await refusalCount(admin);
      const code = await run(
        command,
        remote,
        await tokenFile(folder, admin, `not-${at}-${missing}`, rest),
      );
      const audited = (await refusalCount(admin)) - before;
      if (code !== ExitCode.refused || audited !== 1)
        problems.push(
          `${title} without ${needs[missing]?.join(" ")}: ${code}, ${audited} refusals`,
        );
    }
    const code = await run(command, remote, await tokenFile(folder, admin, `only-${at}`, needs));
    if (code !== exitCode) problems.push(`${title}: ${code}, expected ${exitCode}`);
  }
  silence.mock.restore();
  assert.deepEqual(problems, []);
  assert.deepEqual(undescribed, []);
});

test("watch shows what a role allows, and is refused without", async (t) => {
  const { folder, admin, remote } = await running(t);
  const file = await tokenFile(folder, admin, "watcher", [["watch", "Pool"]]);
  const none = await tokenFile(folder, admin, "nobody", []);
  const watch = { name: "watch", words: ["Pool"], needs: [] };
  assert.equal(await run(watch, remote, none), ExitCode.refused);
  const token = readFileSync(file, "utf8");
  const client = new ApiClient({ server: new URL(remote), token });
  await admin.post("/v1/apply", pool("added"));
  for await (const piece of client.stream("/v1/documents/Pool", { watch: "true", revision: "0" }))
    if (piece.includes('"added"')) return;
  assert.fail("the watch ended");
});

/** The address of what stands before a server and holds each of its answers against its own description. */
async function checkedRelay(t: TestContext, to: string, problems: string[]): Promise<string> {
  const described: unknown = await (await fetch(`${to}/v1/openapi.json`)).json();
  const check = new AnswerCheck(described);
  const relay = createServer((asked, reply) => {
    const { method = "", url: path = "", headers } = asked;
    const onward = request(`${to}${path}`, { method, headers, agent: false }, (answer) => {
      const { statusCode: status = 0 } = answer;
      buffer(answer)
        .then((bytes) => {
          const contentType = answer.headers["content-type"] ?? "";
          const text = bytes.toString();
          const problem = check.problemOf({ method, path, status, contentType, text });
          if (problem !== undefined) problems.push(problem);
          reply.writeHead(status, answer.headers).end(bytes);
        })
        .catch(() => reply.destroy());
    });
    onward.on("error", () => reply.destroy());
    asked.pipe(onward);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  relay.listen(0, "127.0.0.1", resolve);
  await promise;
  t.after(() => {
    relay.closeAllConnections();
    relay.close();
  });
  const address = relay.address();
  return `http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}`;
}

interface Running {
  readonly folder: string;
  readonly admin: ApiClient;
  /** Address of the API. */
  readonly remote: string;
}

async function running(t: TestContext): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-verbs-"));
  mkdirSync(join(folder, "files"));
  writeFileSync(join(folder, "files", "a.yaml"), files);
  writeFileSync(join(folder, "pool.yaml"), JSON.stringify(pool("added")));
  const stateDir = join(folder, "state");
  const server = await Server.start({
    files: [join(folder, "files")],
    stateDir,
    listen: [],
    edges: "127.0.0.1:0",
    http: "127.0.0.1:0",
    access: {},
    workers: 1,
    transport: "auto",
    logLevel: "silent",
    queryLog: undefined,
    replace: false,
    allowEmpty: false,
    probing: true,
  });
  t.after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, admin: new ApiClient({ stateDir }), remote: server.httpAddress ?? "" };
}

const pool = (name: string): object => ({
  apiVersion: "meridian.dev/v1alpha1",
  kind: "Pool",
  metadata: { name },
  spec: { members: { a: { address: "192.0.2.7" } } },
});

const files = `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: web}
spec: {members: {a: {address: 192.0.2.1}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web}
spec:
  root: order
  nodes: {order: {failover: {failback: manual, tiers: [{branches: [{pool: web}]}]}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: www.example.org}
spec: {name: www.example.org, policy: web}
`;

/** The exit code of a command. */
async function run(
  { name, words = [], options = {} }: Asked,
  server: string,
  file: string,
): Promise<ExitCode> {
  const command = commands.find((each) => each.name === name);
  assert.ok(command !== undefined, name);
  const input = new CommandInput(words, { ...options, server, tokenFile: file });
  try {
    return await command.run(input);
  } catch (error) {
    return exitCodeOf(error);
  }
}

/** A file with a token of a role that has these rules; one that allows something of no use where there are none. */
async function tokenFile(
  folder: string,
  admin: ApiClient,
  role: string,
  needs: readonly Need[],
): Promise<string> {
  await applyRole(admin, role, needs);
  const path = join(folder, `${role}.token`);
  writeFileSync(path, String(memberOf(await makeToken(admin, [role]), "token")));
  return path;
}

async function applyRole(admin: ApiClient, name: string, needs: readonly Need[]): Promise<void> {
  const rules = needs.map(([verb, kind]) => ({ verbs: [verb], kinds: [kind] }));
  await admin.post("/v1/apply", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Role",
    metadata: { name },
    spec: { rules: rules.length > 0 ? rules : [{ verbs: ["push"], kinds: ["Nothing"] }] },
  });
}

function makeToken(admin: ApiClient, roles: readonly string[]): Promise<unknown> {
  return admin.post("/v1/tokens", { subject: roles.join(), roles, expiresIn: "1h" });
}

async function refusalCount(admin: ApiClient): Promise<number> {
  return rowsOf(await admin.get("/v1/audit/refusals")).length;
}
