// SPDX-License-Identifier: Apache-2.0
import type { ZoneDocument } from "@meridian/model";
import type { SecondarySettings } from "@meridian/snapshot";

/** What edges know of a secondary zone. */
export function secondarySettings(
  { spec }: ZoneDocument,
  expiresSeconds: number,
): SecondarySettings {
  const { primaries = [], allowNotify = [] } = spec.secondary ?? {};
  const notify = primaries.map(({ address, tsigKey }) => ({
    clients: [`${address}/${address.includes(":") ? 128 : 32}`],
    ...(tsigKey === undefined ? {} : { key: tsigKey }),
  }));
  return {
    expiresSeconds,
    notify: allowNotify.length === 0 ? notify : [...notify, { clients: allowNotify }],
  };
}
