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
  /** Name of the view that was seen; absent where none was. */
  readonly view?: string;
  /** The decision looked at more of the client's address than the line keeps. */
  readonly isCut: boolean;
  readonly endpoints: readonly string[];
  /** The packet and its answer in hexadecimal. */
  readonly query: string;
  readonly answer: string;
}

/** What indices of a record's revision stand for. */
export interface LogNames {
  endpoint(index: number): string;
  view(index: number): string;
}

/** One JSON line without line feed. */
export function formatLogLine(record: LogRecord, names: LogNames): string {
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
    ...(record.view < 0 ? {} : { view: names.view(record.view) }),
    isCut: record.isCut,
    endpoints: record.endpoints.map((index) => names.endpoint(index)),
    query: Buffer.from(record.packet).toString("hex"),
    answer: Buffer.from(record.answer).toString("hex"),
  };
  return JSON.stringify(line);
}
