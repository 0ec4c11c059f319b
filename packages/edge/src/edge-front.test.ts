// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { authoritiesOf } from "./client-certificate.ts";
import { SILENT_LOGGER } from "./edge-logger.ts";
import { EdgeFront } from "./edge-front.ts";

const folder = mkdtempSync(join(tmpdir(), "front-"));
after(() => rmSync(folder, { recursive: true }));
const first = "000102030405060708090a0b0c0d0e0f";
const second = "ffeeddccbbaa99887766554433221100";

function frontWith(text: string): EdgeFront {
  const path = join(folder, "secrets");
  writeFileSync(path, text);
  return new EdgeFront({ cookieSecrets: path }, SILENT_LOGGER);
}

test("EdgeFront reads cookie secrets, a line each, between comments", () => {
  const front = frontWith(`# of all edges\n${first}\n\n  ${second}  \n`);
  const { cookieSecrets = [] } = front.handlerData(2);
  assert.deepEqual(
    cookieSecrets.map((secret) => Buffer.from(secret).toString("hex")),
    [first, second],
  );
});

test("EdgeFront refuses a file that holds something else, with the line", () => {
  const code = { code: "EDGE_COOKIE_SECRETS_INVALID" };
  assert.throws(() => frontWith("# none\n"), code);
  assert.throws(() => frontWith(`${first}\nsecret\n`), { ...code, message: /line 2/ });
  assert.throws(() => frontWith(Array.from({ length: 5 }, () => first).join("\n")), code);
  assert.throws(() => new EdgeFront({ cookieSecrets: join(folder, "absent") }, SILENT_LOGGER), {
    ...code,
    message: /there is no such file/,
  });
});

/** May vouch for names below example.org. */
const constrained = `-----BEGIN CERTIFICATE-----
MIIBozCCAUmgAwIBAgIUOCmUrucPqi+2JzJXeQ1MS8cQm98wCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLc2Vjb25kYXJpZXMwIBcNMjYxMTIzMTcxODI1WhgPMjEyNjEw
MzAxNzE4MjVaMBYxFDASBgNVBAMMC3NlY29uZGFyaWVzMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEOekfIIfYu442Yg3Ect4QNRmT+h0KSXNQ+sAo9DJ17t43kBDz
ywK21iGBVZEAVF5xMuEglozmkhB7DbIRCiS0ZaNzMHEwHQYDVR0OBBYEFLFBcU3k
CLs30xbWwUsPH10fpxogMB8GA1UdIwQYMBaAFLFBcU3kCLs30xbWwUsPH10fpxog
MA8GA1UdEwEB/wQFMAMBAf8wHgYDVR0eAQH/BBQwEqAQMA6CDC5leGFtcGxlLm9y
ZzAKBggqhkjOPQQDAgNIADBFAiEA7M8R00tAXUyLIVRsu0Znfgo0UNTOeBGdghiy
FsFG6U4CIDS12b/uzgX6ev9t540EAgeor59KinRnohq8sCLpQa0+
-----END CERTIFICATE-----
`;

test("authorities of clients of which there are none, or that may vouch for some names alone, are refused", () => {
  assert.throws(() => authoritiesOf("# of secondaries\n"), /it has no certificate/);
  assert.throws(
    () => authoritiesOf(constrained),
    /^TypeError: "CN=secondaries" has name constraints, which are not looked at/,
  );
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  assert.throws(() => authoritiesOf(broken));
});

test("EdgeFront shares the rate out among workers, rounded up, and has none unless told", () => {
  const front = new EdgeFront({ rateLimit: 10, rateExempt: ["192.0.2.0/24"] }, SILENT_LOGGER);
  assert.equal(front.handlerData(4).limit?.rate, 3);
  assert.equal(new EdgeFront({}, SILENT_LOGGER).handlerData(4).limit, undefined);
});
