// SPDX-License-Identifier: Apache-2.0
export { LinksFile } from "./links-file.ts";
export { OverlayEncoder } from "./overlay-encoder.ts";
export { decodeOverlay, encodeOverlay, type StoredOverlay } from "./overlay-file.ts";
export {
  SnapshotStore,
  manifestSection,
  type OpenedRevision,
  type RefusedManifest,
  type SectionSource,
  type StoredRevision,
} from "./snapshot-store.ts";
export { StateDir, replaceDurably, syncPath, writeDurably } from "./state-dir.ts";
