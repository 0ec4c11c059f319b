// SPDX-License-Identifier: Apache-2.0

/** `reason` for the `skip` option of a test; an error in continuous integration (MERIDIAN_CI=1), where a skip proves nothing. */
export function missing(reason: string): string {
  if (process.env["MERIDIAN_CI"] === "1") throw new Error(`Cannot skip a test in CI: ${reason}`);
  return reason;
}
