// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sealSecrets } from "@meridian/snapshot";
import type { EdgeIdentity } from "../link/edge-identity.ts";
import { SecretStore } from "./secret-store.ts";

const silent = { info() {}, warn() {}, error() {} };

function identity(): EdgeIdentity {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ format: "pem", type: "pkcs8" });
  return { edge: "eu-1", key, certificate: "", authority: "" };
}

test("secrets are on disk sealed to the newest certificate, and to no other", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-secrets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [before, after] = [identity(), identity()];
  const given = new Map([["shop/file/token", "clear-text"]]);
  let own = before;
  const store = new SecretStore(folder, () => own, silent);
  const sealed = sealSecrets("eu-1", createPublicKey(before.key), given);
  assert.equal(store.take(before, sealed), true);
  assert.equal(store.take(before, sealed), false);
  assert.deepEqual(store.values, given);
  const openedBy = (each: EdgeIdentity): ReadonlyMap<string, string> => {
    const other = new SecretStore(folder, () => each, silent);
    other.load();
    return other.values;
  };
  assert.deepEqual(openedBy(before), given);
  assert.equal(openedBy(after).size, 0);

  // The certificate is renewed: the key of before opens nothing any more.
  own = after;
  store.reseal();
  assert.equal(openedBy(before).size, 0);
  assert.deepEqual(openedBy(after), given);
  assert.ok(!readFileSync(join(folder, "secrets.sealed")).includes("clear-text"));

  // What a connection that is older brings is of its own key.
  const more = sealSecrets("eu-1", createPublicKey(before.key), new Map([["shop/env/B", "b"]]));
  assert.equal(store.take(after, more), undefined);
  assert.equal(store.take(before, more), true);
  store.keepOnly(new Set(["shop/env/B"]));
  assert.deepEqual([...openedBy(after)], [["shop/env/B", "b"]]);
});

test("what was sealed for another edge is refused", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-secrets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const own = identity();
  const store = new SecretStore(folder, () => own, silent);
  const foreign = sealSecrets("eu-2", createPublicKey(own.key), new Map([["a/file/b", "c"]]));
  assert.equal(store.take(own, foreign), undefined);
  assert.equal(store.values.size, 0);
});
