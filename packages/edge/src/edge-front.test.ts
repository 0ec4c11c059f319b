// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { certificatesOf } from "./client-certificate.ts";
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

test("authorities of clients of which there are none are refused", () => {
  assert.throws(() => certificatesOf("# of secondaries\n"), /it has no certificate/);
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  assert.throws(() => certificatesOf(broken));
});

test("EdgeFront shares the rate out among workers, rounded up, and has none unless told", () => {
  const front = new EdgeFront({ rateLimit: 10, rateExempt: ["192.0.2.0/24"] }, SILENT_LOGGER);
  assert.equal(front.handlerData(4).limit?.rate, 3);
  assert.equal(new EdgeFront({}, SILENT_LOGGER).handlerData(4).limit, undefined);
});
