// SPDX-License-Identifier: Apache-2.0

import {
  decodeMessage,
  formatIpv4,
  formatIpv6,
  formatName,
  rcodeToText,
  typeToText,
} from "@meridian/dns";
import type { LogRecord } from "./query-log.ts";

/** What a line says of a query; `parseLogLine` gives the record back. */
export interface LogLine {
  readonly time: string;
  readonly revision: number;
  readonly sequence: number;
  readonly transport: "udp" | "tcp";
  /** Prefix that the client lies in. */
  readonly client: string;
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly draw: number;
  /** The decision looked at more of the client's address than the line keeps. */
  readonly isCut: boolean;
  readonly endpoints: readonly string[];
  /** The packet and its answer in hexadecimal. */
  readonly query: string;
  readonly answer: string;
}

/** One JSON line without line feed. `endpointName` turns an index of the record's revision into a text. */
export function formatLogLine(record: LogRecord, endpointName: (index: number) => string): string {
  const message = decodeMessage(record.packet);
  const question = "error" in message ? undefined : message.question[0];
  const address = record.family === 6 ? formatIpv6(record.client, 0) : formatIpv4(record.client, 0);
  const line: LogLine = {
    time: new Date(record.timeMs).toISOString(),
    revision: record.revision,
    sequence: record.sequence,
    transport: record.isTcp ? "tcp" : "udp",
    client: `${address}/${record.prefixLength}`,
    name: question === undefined ? "" : formatName(question.name),
    type: question === undefined ? "" : typeToText(question.type),
    rcode: rcodeToText(record.rcode),
    draw: record.draw,
    isCut: record.isCut,
    endpoints: record.endpoints.map(endpointName),
    query: Buffer.from(record.packet).toString("hex"),
    answer: Buffer.from(record.answer).toString("hex"),
  };
  return JSON.stringify(line);
}
