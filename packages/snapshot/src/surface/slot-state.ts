// SPDX-License-Identifier: Apache-2.0
import { Admin, adminOf, CAPACITY_SHIFT, CHANGE_SHIFT, DIAL_SHIFT } from "../index.ts";

const verdictNames = ["unknown", "healthy", "unhealthy", "unknown"] as const;
const adminNames = Object.fromEntries(Object.entries(Admin).map(([name, value]) => [value, name]));

/** What an endpoint's slot says, in words. */
export interface SlotState {
  readonly verdict: string;
  readonly admin: string;
  /** 0 to 100. */
  readonly dial: number;
  readonly capacityFactor: number;
  /** Least seconds until the verdict could change. */
  readonly changeSeconds: number;
}

export function slotState(slot: number): SlotState {
  return {
    verdict: verdictNames[slot & 3] ?? "unknown",
    admin: adminNames[adminOf(slot)] ?? "active",
    dial: ((slot >>> DIAL_SHIFT) & 0x3ff) / 10,
    capacityFactor: ((slot >>> CAPACITY_SHIFT) & 0x3ff) / 1000,
    changeSeconds: 2 ** ((slot >>> CHANGE_SHIFT) & 31),
  };
}
