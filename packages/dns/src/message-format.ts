// SPDX-License-Identifier: Apache-2.0
//
// A message as text in the layout that `dig` made familiar.

import { encodeHex } from "./base-codec.ts";
import {
  EdnsOptionCode,
  classToText,
  extendedErrorToText,
  opcodeToText,
  rcodeToText,
  typeToText,
} from "./constants.ts";
import { formatEcs, parseEcs, parseEde, parseNsid } from "./edns-option.ts";
import {
  fullRcode,
  type Edns,
  type EdnsOption,
  type Message,
  type ResourceRecord,
} from "./message.ts";
import { formatName } from "./name-text.ts";
import { formatRdata } from "./rdata.ts";

const FLAG_NAMES = ["qr", "aa", "tc", "rd", "ra", "z", "ad", "cd"] as const;

/** Several lines of text, the last one with its line feed. */
export function formatMessage(message: Message): string {
  const lines = [...formatHeader(message)];
  if (message.edns !== undefined) {
    lines.push("", ";; OPT PSEUDOSECTION:", ...formatEdns(message.edns));
  }
  if (message.question.length > 0) {
    lines.push("", ";; QUESTION SECTION:");
    for (const { name, type, class: rrClass } of message.question) {
      lines.push(`;${formatName(name)}\t\t${classToText(rrClass)}\t${typeToText(type)}`);
    }
  }
  lines.push(...formatSection("ANSWER", message.answer));
  lines.push(...formatSection("AUTHORITY", message.authority));
  lines.push(...formatSection("ADDITIONAL", message.additional));
  return `${lines.join("\n")}\n`;
}

/** One record in a line: owner, TTL, class, type, data, with tabs between. */
export function formatRecord(record: ResourceRecord): string {
  return [
    formatName(record.owner),
    record.ttl,
    classToText(record.class),
    typeToText(record.type),
    formatRdata(record.type, record.rdata),
  ].join("\t");
}

function formatHeader(message: Message): string[] {
  const flags = FLAG_NAMES.filter((name) => message.flags[name]).join(" ");
  const opcode = opcodeToText(message.opcode);
  const additionalCount = message.additional.length + (message.edns === undefined ? 0 : 1);
  return [
    `;; ->>HEADER<<- opcode: ${opcode}, status: ${rcodeToText(fullRcode(message))}, id: ${message.id}`,
    `;; flags:${flags === "" ? "" : ` ${flags}`}; QUERY: ${message.question.length}, ANSWER: ${message.answer.length}, AUTHORITY: ${message.authority.length}, ADDITIONAL: ${additionalCount}`,
  ];
}

function formatEdns(edns: Edns): string[] {
  const flags = edns.do ? " do" : "";
  return [
    `; EDNS: version: ${edns.version}, flags:${flags}; udp: ${edns.udpSize}`,
    ...edns.options.map(formatOption),
  ];
}

function formatOption(option: EdnsOption): string {
  const hex = encodeHex(option.data).toLowerCase();
  switch (option.code) {
    case EdnsOptionCode.CLIENT_SUBNET: {
      const subnet = parseEcs(option.data);
      return `; CLIENT-SUBNET: ${subnet === undefined ? hex : formatEcs(subnet)}`;
    }
    case EdnsOptionCode.NSID:
      return `; NSID: ${hex} (${JSON.stringify(parseNsid(option.data))})`;
    case EdnsOptionCode.COOKIE:
      return `; COOKIE: ${hex}`;
    case EdnsOptionCode.EXTENDED_ERROR: {
      const error = parseEde(option.data);
      return error === undefined
        ? `; EDE: ${hex}`
        : `; EDE: ${error.infoCode} (${extendedErrorToText(error.infoCode)}): ${JSON.stringify(error.text)}`;
    }
    default:
      return `; OPT=${option.code}: ${hex}`;
  }
}

function formatSection(title: string, records: readonly ResourceRecord[]): string[] {
  return records.length === 0 ? [] : ["", `;; ${title} SECTION:`, ...records.map(formatRecord)];
}
