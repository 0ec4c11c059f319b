// SPDX-License-Identifier: Apache-2.0
export { assert, AssertionError } from "./assert.ts";
export { ManualClock, systemClock, type Clock } from "./clock.ts";
export { patchedMap } from "./patched-map.ts";
export { MeridianError, reasonOf, type ErrorCause } from "./error.ts";
export { ByteList, WordList } from "./growing-list.ts";
export { Haste } from "./haste.ts";
export { hash32, key64, mix32, keyHigh, keyLow } from "./hash.ts";
export { parseDuration, formatDuration } from "./duration.ts";
export { Pcg32, type Random } from "./random.ts";
export { SpareMemory } from "./spare-memory.ts";
