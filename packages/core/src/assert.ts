// SPDX-License-Identifier: Apache-2.0

/** A broken invariant: a programmer error, never caused by input from outside. */
export class AssertionError extends Error {
  override readonly name: string = "AssertionError";
}

/** Stops the program where `condition` does not hold. On in production (house rule: crash, restart). */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
