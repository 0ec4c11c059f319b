// SPDX-License-Identifier: Apache-2.0

import type { LoadedZone, NameLookup, QueryName } from "@meridian/snapshot";

/** Whether a look-up ended at a wildcard: its node's name is by an asterisk longer than that of the closest encloser. */
export function isWildcard(
  zone: LoadedZone,
  { chunk, node, label }: NameLookup,
  name: QueryName,
): boolean {
  if (label === 0) return false;
  const encloserBytes = name.starts[name.labelCount - zone.originLabels]! - name.starts[label]!;
  return chunk!.bytes[node + 1] === encloserBytes + 2;
}
