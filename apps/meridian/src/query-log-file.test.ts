// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { LogRecord } from "@meridian/edge";
import { QueryLogFile } from "./query-log-file.ts";

const record: LogRecord = {
  ...{ revision: 1, sequence: 1, timeMs: 0, family: 4, isTcp: false, prefixLength: 24 },
  ...{ isCut: false, draw: 0, view: -1, rcode: 0, endpoints: [] },
  client: Uint8Array.of(192, 0, 2, 0),
  packet: new Uint8Array(0),
  answer: new Uint8Array(0),
};

/** A log whose one worker has been asked so many queries each time it is looked at. */
function logOf(
  t: TestContext,
  path: string,
  queries: number,
): { log: QueryLogFile; said: string[] } {
  const said: string[] = [];
  const drain = (take: (each: LogRecord) => void): number => {
    for (let query = 0; query < queries; query++) take(record);
    return queries;
  };
  const log = new QueryLogFile(
    path,
    () => [{ drain }],
    (reason) => said.push(reason),
  );
  t.after(() => log.close());
  return { log, said };
}

test("QueryLogFile writes a line of JSON for each logged query", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-query-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "queries");
  const { log, said } = logOf(t, path, 2);
  log.drain();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line): unknown => JSON.parse(line).client),
    ["192.0.2.0/24", "192.0.2.0/24"],
  );
  assert.deepEqual(said, []);
});

test(
  "a disk that takes no more of the query log is told of once, and ends nothing",
  { skip: existsSync("/dev/full") ? false : "there is no /dev/full" },
  (t) => {
    const { log, said } = logOf(t, "/dev/full", 1);
    log.drain();
    log.drain();
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /ENOSPC/);
  },
);
