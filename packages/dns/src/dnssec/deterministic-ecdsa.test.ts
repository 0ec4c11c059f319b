// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { test } from "node:test";
import { DeterministicEcdsa } from "./deterministic-ecdsa.ts";

test("the signatures of RFC 6979 §A.2.5 are made", () => {
  const hex = (text: string): string => Buffer.from(text, "hex").toString("base64url");
  const key = createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
      x: hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"),
      y: hex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"),
    },
  });
  const ecdsa = new DeterministicEcdsa(key);
  const signature = (text: string): string =>
    Buffer.from(ecdsa.sign(Buffer.from(text)))
      .toString("hex")
      .toUpperCase();
  assert.equal(
    signature("sample"),
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716" +
      "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
  );
  assert.equal(
    signature("test"),
    "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367" +
      "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
  );
});

test("others verify what is signed, and the same is signed alike", () => {
  for (let round = 0; round < 20; round++) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const message = Buffer.from(`message ${round}`);
    const signature = new DeterministicEcdsa(privateKey).sign(message);
    assert.deepEqual(new DeterministicEcdsa(privateKey).sign(message), signature);
    const key = createPublicKey(privateKey);
    assert.ok(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature));
  }
});

test("a key of another curve is refused", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  assert.throws(
    () => new DeterministicEcdsa(privateKey),
    /"P-384", expected a private key of P-256/,
  );
});
