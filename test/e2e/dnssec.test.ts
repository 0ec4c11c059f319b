// SPDX-License-Identifier: Apache-2.0

// A zone that is signed by one line of its document: keys are made, delv validates what is and what is not, and the commands say what the
// parent has to hold.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { needs } from "../needs.ts";
import { ServerProcess, freePort, meridian, temporaryFolder, until } from "./process.ts";

const KEYS_MS_MAX = 30_000;
const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: signed.test }
spec:
  origin: signed.test
  ttl: 2s
  soa: { minimum: 2s }
  nameServers: [{ name: ns.signed.test, addresses: [192.0.2.53] }]
  records:
    - { name: "*.wild", type: A, values: [192.0.2.9] }
  dnssec:
    dnskeyTtl: 1s
    maxZoneTtl: 2s
    propagationDelay: 1s
    parentServers: [{ address: 127.0.0.1, port: 1 }]
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec: { members: { a: { address: 192.0.2.1 }, b: { address: 192.0.2.2 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.signed.test, pool: web, ttl: { min: 1s, max: 2s } }
`;

test(
  "a zone that asks for it is signed: delv validates it with the DS that the command prints, also after a restart",
  { skip: needs("delv", "bind9-dnsutils") },
  async (t) => {
    const folder = temporaryFolder(t);
    const [files, stateDir] = [join(folder, "a.yaml"), join(folder, "state")];
    writeFileSync(files, documents);
    const port = await freePort();
    const setup = { files, stateDir, port, flags: ["--no-probing"] };
    const server = await ServerProcess.start(t, setup);
    const command = (...words: readonly string[]): ReturnType<typeof meridian> =>
      meridian("dnssec", ...words, "--state", stateDir);

    let ds: string[] = [];
    await until("a DS", KEYS_MS_MAX, async () => {
      const { code, stdout } = await command("ds", "signed.test");
      ds = stdout.split("\n").filter((line) => / IN DS /.test(line));
      return code === 0 && ds.length === 1;
    });
    const anchor = join(folder, "anchor.conf");
    const [tag, algorithm, kind, digest] = (ds[0] ?? "").split(" DS ")[1]?.split(" ") ?? [];
    writeFileSync(
      anchor,
      `trust-anchors { "signed.test." static-ds ${tag} ${algorithm} ${kind} "${digest}"; };\n`,
    );
    const validate = async (name: string, type: string, wanted: RegExp): Promise<void> => {
      const { stdout, stderr } = await promisify(execFile)("delv", [
        ...["@127.0.0.1", "-p", String(port), "-a", anchor, "+root=signed.test", name, type],
      ]);
      assert.match(`${stdout}${stderr}`, wanted, `${name} ${type}: ${stdout}${stderr}`);
    };
    const validateAll = async (): Promise<void> => {
      await validate("www.signed.test", "A", /; fully validated\n.*192\.0\.2\.[12]/);
      await validate("any.wild.signed.test", "A", /; fully validated\n.*192\.0\.2\.9/);
      await validate(
        "www.signed.test",
        "MX",
        /negative response, fully validated[^]*ncache nxrrset/,
      );
      await validate(
        "gone.signed.test",
        "A",
        /negative response, fully validated[^]*ncache nxdomain/,
      );
      await validate("signed.test", "CDS", /; fully validated/);
    };
    await validateAll();

    const { stdout: shown } = await command("status");
    assert.match(shown, /signed\.test +ksk +\d+ +ECDSAP256SHA256 +submitted/);
    assert.match(shown, /signed\.test +zsk +\d+ +ECDSAP256SHA256 +active/);
    assert.equal((await command("ds", "other.test")).code, 4);
    assert.equal((await command("roll", "signed.test", "--role", "csk")).code, 2);

    const keys = join(folder, "keys");
    assert.equal((await command("export", "signed.test", keys)).code, 3);
    const exported = await command("export", "signed.test", keys, "--private-keys", "--yes");
    assert.equal(exported.code, 0, exported.stderr);
    const names = readdirSync(keys).toSorted();
    assert.deepEqual(
      names.map((name) => name.replace(/\+\d{5}\./, "+TAG.")),
      ["key", "private", "key", "private"].map((end) => `Ksigned.test.+013+TAG.${end}`),
    );
    for (const name of names) assert.equal(statSync(join(keys, name)).mode & 0o777, 0o600);
    // Nothing of a private key is in a log.
    const secret = /PrivateKey: (\S+)/.exec(readFileSync(join(keys, names[1] ?? ""), "utf8"))?.[1];
    assert.ok(secret !== undefined && !server.log.includes(secret));

    assert.equal((await command("roll", "signed.test", "--role", "zsk")).code, 0);
    await until("a new ZSK that signs", KEYS_MS_MAX, async () =>
      /zsk +\d+ +\S+ +retired/.test((await command("status")).stdout),
    );
    await validateAll();
    await server.stop();
    await ServerProcess.start(t, setup);
    await validateAll();
  },
);
