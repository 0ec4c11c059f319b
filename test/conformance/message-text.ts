// SPDX-License-Identifier: Apache-2.0

import {
  formatName,
  formatRdata,
  fullRcode,
  rcodeToText,
  typeToText,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";

/** `owner ttl type rdata`. */
export function recordText(record: ResourceRecord): string {
  const rdata = formatRdata(record.type, record.rdata);
  return `${formatName(record.owner)} ${record.ttl} ${typeToText(record.type)} ${rdata}`;
}

/** What a test compares at once: rcode, flags that are set, and the sections as texts. */
export interface AnswerText {
  readonly rcode: string;
  readonly flags: string;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
}

export function answerText(message: Message): AnswerText {
  const flags = (["aa", "tc", "rd", "ra", "z", "ad", "cd"] as const).filter(
    (flag) => message.flags[flag],
  );
  return {
    rcode: rcodeToText(fullRcode(message)),
    flags: flags.join(" "),
    answer: message.answer.map(recordText),
    authority: message.authority.map(recordText),
    additional: message.additional.map(recordText),
  };
}
