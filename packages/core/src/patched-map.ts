// SPDX-License-Identifier: Apache-2.0

// A map that differs from another in few entries, without a copy of it: of thirty thousand entries one takes some milliseconds and megabytes
// of garbage, which has V8 look through its heap, and a small change makes one.
//
//   base ─ entries that are gone ─ entries that are other, in their place ─ entries that are new, at the end

/** Entries that may differ; of more a copy is made, so that no patch lies on another and each copies few. */
const OWN_MAX = 256;

class PatchedMap<Key, Value> implements ReadonlyMap<Key, Value> {
  readonly size: number;
  readonly base: ReadonlyMap<Key, Value>;
  readonly own: ReadonlyMap<Key, Value>;
  /** All of them are in the base. */
  readonly gone: ReadonlySet<Key>;

  constructor(base: ReadonlyMap<Key, Value>, own: ReadonlyMap<Key, Value>, gone: ReadonlySet<Key>) {
    this.base = base;
    this.own = own;
    this.gone = gone;
    let added = 0;
    for (const key of own.keys()) if (!base.has(key)) added += 1;
    this.size = base.size - gone.size + added;
  }

  get(key: Key): Value | undefined {
    if (this.gone.has(key)) return undefined;
    return this.own.has(key) ? this.own.get(key) : this.base.get(key);
  }

  has(key: Key): boolean {
    return !this.gone.has(key) && (this.own.has(key) || this.base.has(key));
  }

  *entries(): MapIterator<[Key, Value]> {
    const { base, own, gone } = this;
    for (const [key, value] of base) {
      if (gone.has(key)) continue;
      yield [key, own.has(key) ? (own.get(key) ?? value) : value];
    }
    for (const [key, value] of own) if (!base.has(key)) yield [key, value];
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  *keys(): MapIterator<Key> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  forEach(each: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const [key, value] of this.entries()) each(value, key, this);
  }
}

/** `map` without the entries `removed`, then with those of `set`, each of which counts over an earlier one; `map` must not change any more. */
export function patchedMap<Key, Value extends object>(
  map: ReadonlyMap<Key, Value>,
  removed: Iterable<Key>,
  set: Iterable<readonly [Key, Value]>,
): ReadonlyMap<Key, Value> {
  const before = isPatched(map) ? map : undefined;
  const base = before?.base ?? map;
  const own = new Map(before?.own);
  const gone = new Set(before?.gone);
  for (const key of removed) {
    own.delete(key);
    if (base.has(key)) gone.add(key);
  }
  for (const [key, value] of set) {
    own.set(key, value);
    gone.delete(key);
  }
  const patched = new PatchedMap(base, own, gone);
  return own.size + gone.size > OWN_MAX ? new Map(patched) : patched;
}

function isPatched<Key, Value>(map: ReadonlyMap<Key, Value>): map is PatchedMap<Key, Value> {
  return map instanceof PatchedMap;
}
