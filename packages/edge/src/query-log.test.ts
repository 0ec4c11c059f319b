// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  LogEntry,
  makeLogBuffer,
  QueryLogReader,
  QueryLogWriter,
  type LogRecord,
} from "./query-log.ts";

const privacy = { prefixIpv4: 24, prefixIpv6: 56 };

function write(
  writer: QueryLogWriter,
  packet: Uint8Array,
  answer: Uint8Array,
  set: (entry: LogEntry) => void = () => undefined,
  source: Uint8Array = Uint8Array.of(192, 0, 2, 77),
): boolean {
  const entry = new LogEntry();
  entry.family = source.length === 16 ? 6 : 4;
  set(entry);
  return writer.write(entry, packet, 0, packet.length, answer, 0, answer.length, source, 0);
}

function drain(reader: QueryLogReader): LogRecord[] {
  const records: LogRecord[] = [];
  reader.drain((record) => records.push(record));
  return records;
}

test("drain() gives back what write() was given, the client cut to its prefix", () => {
  const buffer = makeLogBuffer(0);
  const writer = new QueryLogWriter(buffer, privacy);
  const packet = Uint8Array.of(1, 2, 3, 203, 0, 113, 255);
  const isWritten = write(writer, packet, Uint8Array.of(9, 8), (entry) => {
    entry.revision = 41;
    entry.sequence = 7;
    entry.timeMs = 1_700_000_000_123;
    entry.isTcp = true;
    entry.draw = 0xffff_fffe;
    entry.view = 3;
    entry.rcode = 3;
    entry.endpoints[0] = 5;
    entry.endpoints[1] = 100_000;
    entry.endpointCount = 2;
    entry.ecsAt = 3;
    entry.ecsFamily = 4;
    entry.ecsBytes = 4;
  });
  assert.ok(isWritten);
  assert.deepEqual(drain(new QueryLogReader(buffer)), [
    {
      revision: 41,
      sequence: 7,
      timeMs: 1_700_000_000_123,
      family: 4,
      prefixLength: 24,
      client: Uint8Array.of(192, 0, 2, 0),
      isTcp: true,
      isCut: false,
      draw: 0xffff_fffe,
      view: 3,
      rcode: 3,
      endpoints: [5, 100_000],
      packet: Uint8Array.of(1, 2, 3, 203, 0, 113, 0),
      answer: Uint8Array.of(9, 8),
    },
  ]);
});

test("write() keeps 56 bits of an IPv6 client", () => {
  const buffer = makeLogBuffer(0);
  const source = new Uint8Array(16).fill(0xff);
  write(new QueryLogWriter(buffer, privacy), Uint8Array.of(1), Uint8Array.of(2), undefined, source);
  const [record] = drain(new QueryLogReader(buffer));
  assert.deepEqual(
    [...(record?.client ?? [])],
    [...new Uint8Array(7).fill(0xff), ...new Uint8Array(9)],
  );
});

test("a full ring drops and counts, and goes on after a drain", () => {
  const buffer = makeLogBuffer(0);
  const writer = new QueryLogWriter(buffer, privacy);
  const reader = new QueryLogReader(buffer);
  const answer = new Uint8Array(1232);
  let written = 0;
  while (write(writer, Uint8Array.of(1), answer)) written += 1;
  assert.ok(written > 40);
  assert.equal(reader.dropped, 1);
  assert.equal(drain(reader).length, written);
  assert.ok(write(writer, Uint8Array.of(1), answer));
  assert.equal(drain(reader).length, 1);
});

test("records of any size come out whole and in order, many times around the ring", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 200 }),
      (sizes) => {
        const buffer = makeLogBuffer(0);
        const writer = new QueryLogWriter(buffer, privacy);
        const reader = new QueryLogReader(buffer);
        const seen: number[] = [];
        const expected: number[] = [];
        sizes.forEach((size, index) => {
          const packet = new Uint8Array(size).fill(index);
          if (write(writer, packet, Uint8Array.of(index)))
            expected.push(size * 256 + (index & 0xff));
          if (index % 7 === 6) {
            for (const record of drain(reader))
              seen.push(record.packet.length * 256 + (record.packet.at(-1) ?? 0));
          }
        });
        for (const record of drain(reader))
          seen.push(record.packet.length * 256 + (record.packet.at(-1) ?? 0));
        assert.deepEqual(seen, expected);
      },
    ),
    { numRuns: 50 },
  );
});
