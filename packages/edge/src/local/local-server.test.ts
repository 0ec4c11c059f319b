// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { request, type RequestOptions } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { TransitionHistory } from "@meridian/health";
import type { EdgeFigures } from "@meridian/snapshot/surface";
import { loadWorld, member, pool } from "@meridian/snapshot/testing";
import { SILENT_LOGGER } from "../edge-logger.ts";
import { EdgeState } from "../link/edge-state.ts";
import type { LocalEdge } from "./local-edge.ts";
import type { LocalRoutesOptions } from "./local-routes.ts";
import { LocalServer } from "./local-server.ts";

const FIGURES: EdgeFigures = {
  totals: {},
  rcodes: {},
  zones: new Float64Array(),
  policies: new Float64Array(),
  pools: new Float64Array(1),
  endpoints: new Float64Array(2),
  nodes: new Float64Array(),
  branches: new Float64Array(),
  audiences: new Float64Array(),
  transport: "dgram",
  workers: [],
  addresses: ["127.0.0.1:53"],
};

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A server of an edge that serves one pool, and how to ask it. */
class Scene {
  readonly socketPath: string;
  readonly url: URL;

  private constructor(socketPath: string, url: URL) {
    this.socketPath = socketPath;
    this.url = url;
  }

  static async open(
    context: TestContext,
    options: Partial<LocalRoutesOptions> & { readonly isServing?: boolean } = {},
  ): Promise<Scene> {
    const folder = mkdtempSync(join(tmpdir(), "meridian-local-"));
    mkdirSync(join(folder, "history"));
    const socketPath = join(folder, "edge.sock");
    const state = new EdgeState(folder, SILENT_LOGGER);
    const server = new LocalServer({
      edge: edgeOf(state, options.isServing ?? true),
      figures: { figures: () => FIGURES, topNames: () => [] },
      replay: () => "no such line",
      ...options,
      socketPath,
      http: "127.0.0.1:0",
    });
    const url = await server.start();
    context.after(async () => {
      await server.close();
      state.journal.close();
      rmSync(folder, { recursive: true });
    });
    return new Scene(socketPath, new URL(url ?? ""));
  }

  /** Over the socket of the state folder. */
  ask(method: string, path: string, body = ""): Promise<Answer> {
    return ask({ socketPath: this.socketPath, method, path }, body);
  }

  /** Over the listener that a load balancer asks. */
  askOpen(path: string): Promise<Answer> {
    return ask({ host: this.url.hostname, port: this.url.port, path }, "");
  }
}

function edgeOf(state: EdgeState, isServing: boolean): LocalEdge {
  const world = loadWorld([pool("default/web", [member("a", 1), member("b", 2)])], []);
  return {
    name: "edge-1",
    version: "0.1.0",
    position: { epoch: 1, revision: 7, sequence: 3 },
    served: isServing ? { world, slots: world.initialSlots(), sinceMs: 0 } : undefined,
    link: {
      control: undefined,
      lastWordAgeMs: undefined,
      staleMs: undefined,
      isIsolated: true,
      disk: undefined,
      leaseMs: 0,
      fencedEndpoints: 0,
    },
    routingControls: undefined,
    health: undefined,
    signingOf: () => undefined,
    transitions: new TransitionHistory(),
    state,
  };
}

function ask(options: RequestOptions, body: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ ...options, agent: false }, (response) => {
    void text(response).then((answered) => {
      const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
      const found: unknown = isJson ? JSON.parse(answered) : answered;
      resolve({ status: response.statusCode ?? 0, body: found });
    }, reject);
  });
  asked.on("error", reject);
  asked.end(body);
  return promise;
}

test("a request that meets an error is refused, and the next one is answered", async (context) => {
  let isTorn = true;
  const scene = await Scene.open(context, {
    replay: () => {
      throw new RangeError("the file is torn");
    },
    figures: {
      // What JSON has no words for fails as the answer is written.
      figures: () => (isTorn ? ({ ...FIGURES, addresses: [1n] } as never) : FIGURES),
      topNames: () => [],
    },
  });
  assert.deepEqual(await scene.ask("POST", "/v1/replay", `{"line":"x"}`), {
    status: 500,
    body: { error: "Cannot answer: the file is torn" },
  });
  const { status } = await scene.ask("GET", "/v1/status");
  assert.equal(status, 500);
  isTorn = false;
  assert.equal((await scene.ask("GET", "/v1/status")).status, 200);
});

test("the socket is the administrator's alone, and the open listener shows no more than a balancer needs", async (context) => {
  const scene = await Scene.open(context);
  assert.equal(statSync(scene.socketPath).mode & 0o777, 0o600);
  assert.deepEqual(await scene.askOpen("/readyz"), {
    status: 200,
    body: { ready: true, revision: 7 },
  });
  assert.equal((await scene.askOpen("/metrics")).status, 200);
  for (const path of ["/v1/status", "/v1/endpoints", "/v1/explain?name=example.org"])
    assert.equal((await scene.askOpen(path)).status, 404, path);
  assert.equal((await scene.ask("GET", "/v1/endpoints")).status, 200);
});

test("an edge that serves nothing yet is not ready, and lists nothing", async (context) => {
  const scene = await Scene.open(context, { isServing: false });
  assert.equal((await scene.askOpen("/healthz")).status, 200);
  assert.equal((await scene.askOpen("/readyz")).status, 503);
  assert.deepEqual((await scene.ask("GET", "/v1/pools")).body, { items: [] });
  assert.deepEqual(await scene.ask("GET", "/v1/explain?name=example.org"), {
    status: 404,
    body: { error: "Nothing is served yet" },
  });
});

test("requests that are wrong or too large are refused", async (context) => {
  const scene = await Scene.open(context);
  const many = Array.from({ length: 33 }, (_, at) => `p${at}=`).join("&");
  const cases: readonly (readonly [number, string, string, string?])[] = [
    [400, "GET", "/v1/endpoints?limit=x"],
    [400, "GET", "/v1/endpoints?continue=!"],
    [400, "GET", "/v1/top/names?count=-1"],
    [400, "GET", "/metrics?top=x"],
    [400, "GET", `/v1/endpoints?${many}`],
    [400, "GET", `/v1/endpoints?a=${"x".repeat(1025)}`],
    [400, "POST", "/v1/replay", "{"],
    [400, "POST", "/v1/replay", "null"],
    [404, "POST", "/v1/replay", `{"line":"x"}`],
    [404, "GET", "/v1/constructor"],
    [404, "GET", "/v1/policies/counts?policy=default/none"],
    [404, "GET", "/"],
    [404, "DELETE", "/v1/endpoints"],
    [431, "GET", `/v1/endpoints?a=${"x".repeat(20_000)}`],
  ];
  for (const [status, method, path, body] of cases) {
    const answer = await scene.ask(method, path, body);
    assert.equal(answer.status, status, `${method} ${path.slice(0, 60)} ${body ?? ""}`);
  }
});

test("a body without end is cut off", async (context) => {
  const scene = await Scene.open(context);
  await assert.rejects(scene.ask("POST", "/v1/replay", "x".repeat(4 * 1024 * 1024)), {
    code: /ECONNRESET|EPIPE/,
  });
  assert.equal((await scene.ask("GET", "/v1/status")).status, 200);
});
