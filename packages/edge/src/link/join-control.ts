// SPDX-License-Identifier: Apache-2.0

// Joins a control plane: a new key is made here and never leaves; what is sent is its public half, signed with it, and the token.
//
// The authority's certificate comes from a control that is not trusted yet, and counts only where it is the very one that the token names.

import { X509Certificate, createHash, generateKeyPairSync, sign } from "node:crypto";
import { MeridianError } from "@meridian/core";
import { LinkPath, joinStatement, parseJoinToken } from "@meridian/snapshot";
import type { EdgeIdentity } from "./edge-identity.ts";
import { exchange } from "./exchange.ts";

/** The identity that a token and a control's URL give. Throws EDGE_JOIN_REFUSED, EDGE_LINK_FAILED. */
export async function joinControl(tokenText: string, url: string): Promise<EdgeIdentity> {
  const token = parseJoinToken(tokenText);
  if (token === undefined)
    throw refused(`the token has ${tokenText.length} characters in another form than Meridian's`);
  const shown = await exchange(url, { kind: "anyone" }, { path: LinkPath.authority });
  const authority = shown.body;
  const found = createHash("sha256").update(derOf(authority)).digest("hex");
  if (shown.status !== 200 || found !== token.fingerprint)
    throw refused(`${url} is of another control plane than the token`);
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = keys.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const signature = sign("sha256", joinStatement(token, publicKey), keys.privateKey);
  const { status, body } = await exchange(
    url,
    { kind: "authority", authority },
    {
      path: LinkPath.join,
      body: JSON.stringify({
        secret: token.secret,
        publicKey,
        signature: signature.toString("base64"),
      }),
    },
  );
  if (status !== 200)
    throw new MeridianError(
      "EDGE_JOIN_REFUSED",
      "user",
      body.startsWith("Cannot join") ? body : `Cannot join: ${body}`,
    );
  const { edge, certificate } = answerIn(body);
  const key = keys.privateKey.export({ format: "pem", type: "pkcs8" });
  return { edge, key, certificate, authority };
}

function derOf(certificate: string): Uint8Array {
  try {
    return new X509Certificate(certificate).raw;
  } catch {
    return new Uint8Array(0);
  }
}

/** What control answers to a join and to a renewal. */
export function answerIn(body: string): { readonly edge: string; readonly certificate: string } {
  const raw: unknown = JSON.parse(body);
  const member = (name: string): unknown =>
    typeof raw === "object" && raw !== null ? Reflect.get(raw, name) : undefined;
  const [edge, certificate] = [member("edge"), member("certificate")];
  if (typeof edge !== "string" || typeof certificate !== "string")
    throw refused("control gave no certificate");
  return { edge, certificate };
}

function refused(reason: string): MeridianError {
  return new MeridianError("EDGE_JOIN_REFUSED", "user", `Cannot join: ${reason}`);
}
