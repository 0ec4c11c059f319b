// SPDX-License-Identifier: Apache-2.0

// The API over TLS, with client certificates, asked by the command; and that it is not served in clear beyond loopback by mistake.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needs } from "../needs.ts";
import { document } from "./documents.ts";
import { ServerProcess, freePort, meridian, temporaryFolder } from "./process.ts";

/** An authority, and what it signed: the server's certificate and that of the client `deployer`; and a client of nobody's. */
function makeCertificates(folder: string): void {
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test");
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-x509"];
  const leaf = (name: string, subject: string, by: readonly string[], ...more: readonly string[]) =>
    openssl(
      ...["req", ...key, ...by, "-keyout", `${name}.key`, "-out", `${name}.pem`],
      ...["-subj", `/CN=${subject}`, ...more],
    );
  leaf("server", "localhost", signed, "-addext", "subjectAltName=IP:127.0.0.1");
  leaf("client", "deployer", signed);
  leaf("foreign", "deployer", ["-x509"]);
}

test(
  "the API is asked over TLS with a token or a client certificate, and believes no foreign one",
  { skip: needs("openssl", "openssl") },
  async (t) => {
    const folder = temporaryFolder(t);
    const [files, stateDir] = [join(folder, "files"), join(folder, "state")];
    mkdirSync(files);
    const zoneSpec = { origin: "example.org", nameServers: [{ name: "ns1.example.net" }] };
    writeFileSync(join(files, "zone.yaml"), document("Zone", "example.org", zoneSpec));
    makeCertificates(folder);
    const at = (name: string): string => join(folder, name);
    const http = `127.0.0.1:${await freePort()}`;
    const tls = ["--tls-cert", at("server.pem"), "--tls-key", at("server.key")];
    const flags = ["--http", http, ...tls, "--client-ca", at("ca.pem")];
    await ServerProcess.start(t, { files, stateDir, flags });
    const server = ["--server", `https://${http}`];
    const ca = ["--ca", at("ca.pem")];
    const shows = (name: string) => [
      "--client-cert",
      at(`${name}.pem`),
      "--client-key",
      at(`${name}.key`),
    ];

    const role = {
      apiVersion: "meridian.dev/v1alpha1",
      kind: "Role",
      metadata: { name: "deployer" },
      spec: { rules: [{ verbs: ["apply", "list"] }], members: [{ certificate: "deployer" }] },
    };
    writeFileSync(at("role.json"), JSON.stringify(role));
    writeFileSync(
      at("pool.yaml"),
      document("Pool", "web", { members: { a: { address: "192.0.2.1" } } }),
    );
    assert.equal((await meridian("apply", "-f", at("role.json"), "--state", stateDir)).code, 0);
    const [good, none, foreign, unknown] = await Promise.all([
      meridian("apply", "-f", at("pool.yaml"), ...server, ...ca, ...shows("client")),
      meridian("apply", "-f", at("pool.yaml"), ...server, ...ca),
      meridian("apply", "-f", at("pool.yaml"), ...server, ...ca, ...shows("foreign")),
      meridian("get", "Pool", ...server),
    ]);
    assert.equal(good.code, 0, good.stderr);
    assert.equal(none.code, 3);
    assert.match(foreign.stderr, /Cannot take the client certificate/);
    assert.equal(foreign.code, 3);
    assert.match(unknown.stderr, /certificate/);
    assert.equal(unknown.code, 5);
    const audit = await meridian("audit", "list", "--state", stateDir);
    assert.match(audit.stdout, /certificate:deployer +apply +Pool\/default\/web/);

    const context = ["context", "set", "prod", ...server, ...ca, ...shows("client")];
    process.env["XDG_CONFIG_HOME"] = at("config");
    t.after(() => delete process.env["XDG_CONFIG_HOME"]);
    assert.equal((await meridian(...context)).code, 0);
    assert.match((await meridian("get", "Pool")).stdout, /web/);

    const clear = ["--state", at("other"), "--http", `0.0.0.0:${await freePort()}`];
    const refused = await meridian("up", "-f", files, "--listen", "127.0.0.1:0", ...clear);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /tokens would go in clear, expected loopback, or --tls-cert/);
  },
);
