// SPDX-License-Identifier: Apache-2.0

import type { ControlReplica, EmbeddedOptions } from "@meridian/control";
import { CommandError, ExitCode } from "./exit-code.ts";

/** What the embedded control plane asks of the controls that share its store; `current` gives this one among them once it is started. */
export function sharedPublication(
  current: () => ControlReplica | undefined,
): NonNullable<EmbeddedOptions["shared"]> {
  const replica = (): ControlReplica => {
    const started = current();
    if (started !== undefined) return started;
    throw new CommandError(ExitCode.failed, "Cannot publish: this control is not started yet");
  };
  return {
    contentRevision: () => replica().contentRevision(),
    serials: () => replica().serials(),
    hosts: () => replica().hosts(),
    hostsChanged: (seen) => replica().hostsChanged(seen),
    agree: (candidate) => replica().agree(candidate),
    shifts: () => current()?.shifts() ?? [],
    putShifts: (shifts, verb) => replica().putShifts(shifts, verb),
    endShifts: (shifts) => replica().endShifts(shifts),
    expireShifts: (shifts) => replica().expireShifts(shifts),
    latch: (node, declared) => current()?.latch(node, declared) ?? {},
    latchesMoved: (latches) => current()?.latchesMoved(latches),
    failback: (latch) => replica().failback(latch),
  };
}
