// SPDX-License-Identifier: Apache-2.0

// A real kube-apiserver on an etcd of its own, with static tokens and RBAC.

import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster } from "../store/testing/etcd-cluster.ts";

const START_MS_MAX = 90_000;

/** For the `skip` option of `node:test`: false where there is a kube-apiserver, else how to get one. */
export function kubernetesMissing(): string | false {
  const folder = process.env["KUBEBUILDER_ASSETS"];
  return folder !== undefined && existsSync(join(folder, "kube-apiserver"))
    ? false
    : 'there is no kube-apiserver; run: export KUBEBUILDER_ASSETS="$(setup-envtest use -p path)"';
}

export class KubeApiServer {
  readonly folder: string;
  readonly port: number;
  readonly #etcd: EtcdCluster;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, etcd: EtcdCluster) {
    this.folder = folder;
    this.port = port;
    this.#etcd = etcd;
  }

  /** Resolves when it answers. `users` are tokens by user; `admin` is there and may do everything. */
  static async start(users: Readonly<Record<string, string>>): Promise<KubeApiServer> {
    const folder = mkdtempSync(join(tmpdir(), "meridian-kubernetes-"));
    const etcd = await EtcdCluster.start({ members: 1 });
    const server = new KubeApiServer(folder, await freePort(), etcd);
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(join(folder, "sa.key"), privateKey.export({ format: "pem", type: "pkcs8" }));
    writeFileSync(join(folder, "sa.pub"), publicKey.export({ format: "pem", type: "spki" }));
    const lines = Object.entries(users).map(([user, token], index) => `${token},${user},u${index}`);
    writeFileSync(
      join(folder, "tokens.csv"),
      ["admin,admin,a,system:masters", ...lines, ""].join("\n"),
    );
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Where the certificate lies by which it is known. */
  get ca(): string {
    return readFileSync(join(this.folder, "certificates", "apiserver.crt"), "utf8");
  }

  async restart(): Promise<void> {
    await this.stop();
    const at = (name: string): string => join(this.folder, name);
    this.#process = spawn(
      join(process.env["KUBEBUILDER_ASSETS"] ?? "", "kube-apiserver"),
      [
        ...["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"],
        ...["--secure-port", String(this.port), "--cert-dir", at("certificates")],
        ...["--etcd-servers", `http://${this.#etcd.endpoints(0)}`],
        ...["--authorization-mode", "RBAC", "--token-auth-file", at("tokens.csv")],
        ...["--service-account-issuer", "https://kubernetes.default.svc"],
        ...["--service-account-key-file", at("sa.pub")],
        ...["--service-account-signing-key-file", at("sa.key")],
        ...["--service-cluster-ip-range", "10.96.0.0/16"],
      ],
      { stdio: "ignore" },
    );
    const endMs = performance.now() + START_MS_MAX;
    while (!(await this.#isReady())) {
      if (performance.now() > endMs) throw new Error("kube-apiserver does not answer");
      await sleep(200);
    }
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    running.once("exit", () => resolve());
    running.kill("SIGKILL");
    await promise;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#etcd.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Asks as `admin` unless another token is given. */
  ask(
    method: string,
    path: string,
    { token = "admin", body }: { readonly token?: string; readonly body?: object } = {},
  ): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const options = {
      method,
      ca: this.ca,
      agent: false,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    };
    const asked = request(`https://127.0.0.1:${this.port}${path}`, options, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** What `admin` reads at a path. */
  text(path: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const headers = { authorization: "Bearer admin" };
    const options = { ca: this.ca, agent: false, headers };
    const asked = request(`https://127.0.0.1:${this.port}${path}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject);
    asked.end();
    return promise;
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await this.ask("GET", "/readyz")) === 200;
    } catch {
      return false;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  const port = await promise;
  server.close();
  return port;
}
