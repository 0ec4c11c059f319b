// SPDX-License-Identifier: Apache-2.0

/** Who moves traffic, the one whose word counts most first. */
export const shiftPrecedences = ["manual", "automatic", "experiment", "drill"] as const;

export type ShiftPrecedence = (typeof shiftPrecedences)[number];

/** Whether `one` decides where `other` names the same target. */
export function outranks(one: ShiftPrecedence, other: ShiftPrecedence): boolean {
  return shiftPrecedences.indexOf(one) < shiftPrecedences.indexOf(other);
}
