// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hpkeOpen, hpkeSeal, type HpkeCipher } from "./hpke.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A private key of P-256 by its scalar and its uncompressed point. */
function keyOf(scalar: string, point: string): KeyObject {
  const part = (from: number, to?: number): string =>
    Buffer.from(hex(point).subarray(from, to)).toString("base64url");
  const d = Buffer.from(scalar, "hex").toString("base64url");
  const key = { kty: "EC", crv: "P-256", x: part(1, 33), y: part(33), d };
  return createPrivateKey({ key, format: "jwk" });
}

/** RFC 9180, appendix A.3.1: base mode, first encryption. */
const vector = {
  cipher: { id: 1, name: "aes-128-gcm", keyBytes: 16 } satisfies HpkeCipher,
  receiver: keyOf(
    "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
    "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
  ),
  ephemeral: keyOf(
    "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
  ),
  context: {
    info: hex("4f6465206f6e2061204772656369616e2055726e"),
    aad: hex("436f756e742d30"),
  },
  content: hex("4265617574792069732074727574682c20747275746820626561757479"),
  sealed:
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4" +
    "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
};

test("hpkeSeal() gives what RFC 9180 A.3.1 has", () => {
  const { receiver, context, content, cipher, ephemeral, sealed } = vector;
  const found = hpkeSeal(createPublicKey(receiver), context, content, cipher, ephemeral);
  assert.equal(text(found), sealed);
});

test("hpkeOpen() gives what RFC 9180 A.3.1 has", () => {
  const { receiver, context, content, cipher, sealed } = vector;
  assert.deepEqual(hpkeOpen(receiver, context, hex(sealed), cipher), content);
});

test("hpkeOpen() opens what was sealed for the key, bound to the context, and nothing that was altered", () => {
  const [own, other] = [0, 1].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  assert.ok(own !== undefined && other !== undefined);
  const context = { info: hex("01"), aad: hex("02") };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (content, at) => {
      const sealed = hpkeSeal(own.publicKey, context, content);
      assert.deepEqual(hpkeOpen(own.privateKey, context, sealed), content);
      assert.equal(hpkeOpen(other.privateKey, context, sealed), undefined);
      assert.equal(hpkeOpen(own.privateKey, { ...context, aad: hex("03") }, sealed), undefined);
      assert.equal(hpkeOpen(own.privateKey, { ...context, info: hex("") }, sealed), undefined);
      const torn = sealed.slice();
      torn[at % torn.length] = (torn[at % torn.length] ?? 0) ^ 1;
      assert.equal(hpkeOpen(own.privateKey, context, torn), undefined);
      assert.equal(
        hpkeOpen(own.privateKey, context, sealed.subarray(0, at % sealed.length)),
        undefined,
      );
    }),
    { numRuns: 50 },
  );
});

test("hpkeOpen() never throws, whatever the bytes are", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      assert.equal(hpkeOpen(privateKey, { info: hex(""), aad: hex("") }, bytes), undefined);
      assert.equal(
        hpkeOpen(privateKey, { info: hex(""), aad: hex("") }, Uint8Array.of(4, ...bytes)),
        undefined,
      );
    }),
  );
});

test("hpkeSeal() refuses a key of another curve", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  assert.throws(() => hpkeSeal(publicKey, { info: hex(""), aad: hex("") }, hex("00")));
});
