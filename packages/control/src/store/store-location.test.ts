// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStoreLocation } from "./store-location.ts";

test("parseStoreLocation() reads what people write", () => {
  assert.deepEqual(parseStoreLocation("sqlite:/var/lib/a:b.sqlite", true), {
    kind: "sqlite",
    path: "/var/lib/a:b.sqlite",
    isReadOnly: true,
  });
  const plain = {
    kind: "etcd",
    endpoints: ["10.0.0.1:2379"],
    isReadOnly: false,
    prefix: "/meridian/",
    tls: undefined,
    user: undefined,
    passwordFile: undefined,
    passwordVariable: undefined,
    mirrorPath: undefined,
  };
  assert.deepEqual(parseStoreLocation("etcd://10.0.0.1:2379"), plain);
  assert.deepEqual(
    parseStoreLocation(
      "etcd://[::1]:1,etcd-2.example.org:2379/a/b/?tls=true&user=m&password-file=/run/p&mirror=/m",
    ),
    {
      ...plain,
      endpoints: ["[::1]:1", "etcd-2.example.org:2379"],
      prefix: "/a/b/",
      tls: { caFile: undefined, certificateFile: undefined, keyFile: undefined },
      user: "m",
      passwordFile: "/run/p",
      mirrorPath: "/m",
    },
  );
});

test("parseStoreLocation() refuses the rest with a reason, and shows no password", () => {
  for (const [text, reason] of [
    ["", /expected sqlite:PATH or etcd:/],
    ["sqlite:", /expected sqlite:PATH or etcd:/],
    ["etcd://host", /"host" is no HOST:PORT/],
    ["etcd://a:1,,b:2", /"" is no HOST:PORT/],
    ["etcd://a:1/x?pasword-file=/p", /"pasword-file" is unknown, expected any of tls, ca/],
    ["etcd://a:1?user=m", /user needs password-file or password-env/],
    ["etcd://a:1?password-env=P", /they need user/],
    ["etcd://m:geheim@a:1", /^((?!geheim)[^])*$/],
  ] as const)
    assert.throws(() => parseStoreLocation(text), {
      code: "STORE_REQUEST_INVALID",
      message: reason,
    });
});
