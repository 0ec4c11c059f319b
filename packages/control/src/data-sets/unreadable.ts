// SPDX-License-Identifier: Apache-2.0
import { MeridianError } from "@meridian/core";

/** The error of a data set whose bytes are not what they should be; the last good one stays in use. */
export function unreadable(message: string, options?: ErrorOptions): MeridianError {
  return new MeridianError("DATA_SET_UNREADABLE", "user", message, options);
}
