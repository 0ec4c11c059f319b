// SPDX-License-Identifier: Apache-2.0

// What differs between two servers' answers to one question, and which differences are right on both sides.

import {
  formatRecord,
  fullRcode,
  rcodeToText,
  RRType,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";

const sections = ["answer", "authority", "additional"] as const;

/** What differs, as text. */
export interface AnswerDifference {
  readonly text: string;
  /** The heading in docs/reference/knot-differences.md, where the difference is accepted. */
  readonly accepted?: string;
}

/** Undefined where rcode, AA, AD, TC and all sections are equal, records in any order. */
export function differenceOf(ours: Message, theirs: Message): AnswerDifference | undefined {
  const [here, there] = [linesOf(ours), linesOf(theirs)];
  const only = (lines: readonly string[], others: readonly string[], mark: string): string[] =>
    lines.filter((line) => !others.includes(line)).map((line) => `${mark} ${line}`);
  const different = [...only(here, there, "meridian"), ...only(there, here, "knot    ")];
  if (different.length === 0) return undefined;
  const [name] = acceptedDifferences.find(([, isThis]) => isThis(ours, theirs, different)) ?? [];
  const text = different.join("\n");
  return name === undefined ? { text } : { text, accepted: name };
}

/** Aliases in one answer from which on where a server stops is its own business. */
const LONG_CHAIN = 5;
const ASTERISK = 0x2a;

type IsAccepted = (ours: Message, theirs: Message, different: readonly string[]) => boolean;

/** By the headings of docs/reference/knot-differences.md. */
const acceptedDifferences: readonly (readonly [string, IsAccepted])[] = [
  [
    "Addresses beside an answer",
    (ours, _theirs, different) =>
      ours.flags.aa &&
      different.every((line) =>
        /^knot +additional: \S+\t\d+\tin\t(?:a|aaaa|https|nsec3?|rrsig)\t/.test(line),
      ),
  ],
  [
    "A wildcard without records",
    (ours, theirs, different) =>
      ours.flags.aa &&
      theirs.flags.aa &&
      different.every((line) =>
        /^meridian authority: \S+\t\d+\tin\t(?:nsec\t\S+\.\*\.\S|rrsig\tnsec )/.test(line),
      ),
  ],
  [
    "A name that begins with an asterisk",
    (ours, theirs, different) =>
      ours.flags.aa &&
      theirs.flags.aa &&
      ours.question.some(({ name }) => name[0] === 1 && name[1] === ASTERISK) &&
      different.every((line) =>
        /^meridian authority: \S+\t\d+\tin\t(?:nsec3?\t|rrsig\tnsec3? )/.test(line),
      ),
  ],
  [
    "Long chains of aliases",
    (ours, theirs, different) =>
      aliasesOf(ours) >= LONG_CHAIN &&
      aliasesOf(theirs) >= LONG_CHAIN &&
      ours.flags.aa &&
      different.every((line) =>
        /^(?:meridian|knot +) ?(?:answer|authority|additional):/.test(line),
      ),
  ],
];

function aliasesOf({ answer }: Message): number {
  return answer.filter(({ type }) => type === RRType.CNAME).length;
}

function linesOf(message: Message): string[] {
  const { aa, tc } = message.flags;
  return [
    `${rcodeToText(fullRcode(message))}${aa ? " aa" : ""}${tc ? " tc" : ""}`,
    ...sections.flatMap((section) =>
      message[section].map((record) => `${section}: ${lineOf(record)}`),
    ),
  ];
}

function lineOf(record: ResourceRecord): string {
  return formatRecord(record).toLowerCase();
}
