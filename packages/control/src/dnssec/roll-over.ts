// SPDX-License-Identifier: Apache-2.0

// How the keys of a zone follow one another: a pure function of the keys, the time and what the parent was seen to say.
//
//                      published          ready                       old one out of every cache
//   answers (§3.2.1)   │ Dprp + TTLkey    │ new one signs, old one not │ Dprp + TTLsig      │ old one gone
//   keys (§3.3.1)      │ Dprp + TTLkey    │ CDS names the new one      │ parent's DS is seen, then DprpP + TTLds │ old one gone
//
// (RFC 7583.) Every key that the parent may name signs DNSKEY, CDS and CDNSKEY for as long as it is published. A key that does both
// (CSK) goes when both are over; so a zone comes from two keys to one, and back, by the same steps.
//
// Another algorithm comes from the answers up and goes from the parent down (RFC 6781 §4.1.4, the conservative way), so that whatever
// algorithm a DS or DNSKEY in some cache tells of, all below it is signed with that, too:
//
//   new signs answers │ Dprp + TTLsig │ published │ Dprp + TTLkey │ CDS names it │ DS is seen, then DprpP + TTLds │
//                                                  old one out of DNSKEY, signs on │ Dprp + TTLkey │ old one gone
//
// Steps may come late, never early: each wait counts from when the one before was taken, so that at no moment a cache holds a DS, DNSKEY
// and answer that do not validate together (roll-over.test.ts looks at all of them).

import type { KeyTiming } from "./key-timing.ts";
import {
  isEntry,
  isNamed,
  isOfTarget,
  isRetired,
  isShown,
  readyMs,
  rolesOf,
  signedMs,
  signsAnswers,
  type KeyRole,
  type KeyTarget,
  type NeededKey,
  type RolledKey,
} from "./rolled-key.ts";

/** With so many keys a zone first gets to what it is on its way to, whatever its settings are by now: they may go back and forth. */
const KEYS_MANY = 6;

/** What the parent's servers were seen to say, by key tag. */
export interface ParentView {
  /** All of them name it. */
  readonly everywhere: ReadonlySet<number>;
  /** Some of them name it. */
  readonly somewhere: ReadonlySet<number>;
}

/** What is asked for. */
export interface RollOrders {
  /** False where the zone is to be signed no more. */
  readonly isWanted: boolean;
  /** Roles that are to be rolled now, whatever their age. */
  readonly rolls: readonly KeyRole[];
}

/** Where the keys of a zone are. */
export interface KeyState<Key extends RolledKey = RolledKey> {
  readonly keys: readonly Key[];
  /** The parent is asked to name no key at all (RFC 8078 §4), since. */
  readonly removalMs?: number;
  /** No server of the parent has named a key since, while that was asked. */
  readonly goneMs?: number;
}

export interface Stepped<Key extends RolledKey> extends KeyState<Key> {
  /** Keys that have to be made now. */
  readonly needs: readonly NeededKey[];
}

/** What a step looks at besides the keys. */
interface Moment {
  readonly timing: KeyTiming;
  readonly nowMs: number;
  readonly parent: ParentView | undefined;
  readonly target: KeyTarget;
}

/** One step at `nowMs`; `parent` is undefined while it is not known what it says. */
export function step<Key extends RolledKey>(
  state: KeyState<Key>,
  timing: KeyTiming,
  nowMs: number,
  parent: ParentView | undefined,
  { isWanted, rolls }: RollOrders,
): Stepped<Key> {
  const seen = state.keys.map((key) => withParent(key, parent, nowMs));
  if (!isWanted) return stepRemoval({ ...state, keys: seen }, timing, nowMs, parent);
  const moment = { timing, nowMs, parent, target: targetOf(seen, timing) };
  const used = seen.filter((key) => !isUnused(key, moment.target));
  const shown = used.map((key) => withPublication(key, moment));
  const signing = stepAnswers(shown, moment);
  const named = stepNames(signing, moment);
  const leaving = stepWithdrawal(named, moment);
  const keys = leaving.filter((key) => !isOver(key, leaving, moment));
  return { keys, needs: neededKeys(keys, moment, rolls) };
}

/** What the settings say; but an algorithm that has left DNSKEY is gone for good before anything else begins. */
function targetOf(keys: readonly RolledKey[], timing: KeyTiming): KeyTarget {
  const newest = keys.length < KEYS_MANY ? undefined : keys.at(-1);
  const isLeaving = keys.some(({ withdrawnMs }) => withdrawnMs !== undefined);
  const { algorithm } = (isLeaving ? keys.find(isShown) : newest) ?? timing;
  return { algorithm, isCsk: newest === undefined ? timing.isCsk : newest.role === "csk" };
}

function withParent<Key extends RolledKey>(
  key: Key,
  parent: ParentView | undefined,
  nowMs: number,
): Key {
  if (parent === undefined || !isEntry(key)) return key;
  if (!parent.everywhere.has(key.keyTag)) return unseen(key);
  return key.dsSeenMs === undefined ? { ...key, dsSeenMs: nowMs } : key;
}

/** Whether it was made for settings that are others again, and nothing came to need it. */
function isUnused(key: RolledKey, target: KeyTarget): boolean {
  if (isOfTarget(key, target)) return false;
  if (key.publishedMs === undefined) return true;
  const { algorithm, signsSinceMs, dsWantedMs } = key;
  return algorithm === target.algorithm && signsSinceMs === undefined && dsWantedMs === undefined;
}

/** A new algorithm is told of once every answer is signed with it. */
function withPublication<Key extends RolledKey>(key: Key, { timing, nowMs }: Moment): Key {
  const isDue = key.publishedMs === undefined && signedMs(key, timing) <= nowMs;
  return isDue ? { ...key, publishedMs: nowMs } : key;
}

/** Pre-publication (RFC 7583 §3.2.1): the new key signs once it is in all caches, and the old one then does no more. */
function stepAnswers<Key extends RolledKey>(
  keys: readonly Key[],
  { timing, nowMs, target }: Moment,
): readonly Key[] {
  const next = keys.find(
    (key) =>
      key.role !== "ksk" &&
      isOfTarget(key, target) &&
      key.signsSinceMs === undefined &&
      readyMs(key, timing) <= nowMs,
  );
  if (next === undefined) return keys;
  return keys.map((key) => {
    if (key === next) return { ...key, signsSinceMs: nowMs };
    const isBefore = signsAnswers(key) && key.algorithm === next.algorithm;
    return isBefore ? { ...key, signsUntilMs: nowMs } : key;
  });
}

/** Double-KSK (RFC 7583 §3.3.1): the parent is asked to name the new key once it is in all caches. */
function stepNames<Key extends RolledKey>(
  keys: readonly Key[],
  { timing, nowMs, target }: Moment,
): readonly Key[] {
  const isFirst = !keys.some(({ dsWantedMs }) => dsWantedMs !== undefined);
  // Of a zone that was not signed, caches hold answers without signatures.
  const waitMs = isFirst ? Math.max(0, timing.maxZoneTtlMs - timing.dnskeyTtlMs) : 0;
  const next = keys.find(
    (key) =>
      isEntry(key) &&
      isOfTarget(key, target) &&
      key.dsWantedMs === undefined &&
      !isRetired(key) &&
      readyMs(key, timing) + waitMs <= nowMs,
  );
  if (next === undefined) return keys;
  return keys.map((key) => {
    if (key === next) return { ...key, dsWantedMs: nowMs };
    return isNamed(key) ? { ...key, dsUnwantedMs: nowMs } : key;
  });
}

/** Keys of another algorithm leave DNSKEY together, once no cache can hold a DS of any of them. */
function stepWithdrawal<Key extends RolledKey>(
  keys: readonly Key[],
  moment: Moment,
): readonly Key[] {
  const isOther = ({ algorithm }: RolledKey): boolean => algorithm !== moment.target.algorithm;
  const others = keys.filter((key) => isOther(key) && isShown(key));
  const own = keys.filter((key) => !isOther(key) && isShown(key));
  const isReady = own.some(isEntry) && own.some(signsAnswers);
  if (!isReady || others.some((key) => isEntry(key) && mayBeNamed(key, keys, moment))) return keys;
  return keys.map((key) => (others.includes(key) ? { ...key, withdrawnMs: moment.nowMs } : key));
}

/** Whether some cache may hold a DS of the key. */
function mayBeNamed(
  { keyTag, dsWantedMs, dsUnwantedMs }: RolledKey,
  keys: readonly RolledKey[],
  { timing, nowMs, parent }: Moment,
): boolean {
  if (dsWantedMs === undefined) return parent?.somewhere.has(keyTag) === true;
  const { parentPropagationMs, parentDsTtlMs } = timing;
  const { dsSeenMs = Infinity } = keys.find(isNamed) ?? {};
  const isReplaced =
    dsUnwantedMs !== undefined && nowMs >= dsSeenMs + parentPropagationMs + parentDsTtlMs;
  return !isReplaced || parent?.somewhere.has(keyTag) !== false;
}

/** Whether nothing needs a key any more. */
function isOver(key: RolledKey, keys: readonly RolledKey[], moment: Moment): boolean {
  const { timing, nowMs, target } = moment;
  const { role, algorithm, withdrawnMs, signsUntilMs = Infinity } = key;
  if (withdrawnMs !== undefined)
    return !signsAnswers(key) || nowMs >= withdrawnMs + timing.propagationMs + timing.dnskeyTtlMs;
  if (role !== "ksk" && nowMs < signsUntilMs + timing.propagationMs + timing.maxZoneTtlMs)
    return false;
  if (role === "zsk") return true;
  // An algorithm that goes leaves DNSKEY as a whole.
  if (algorithm !== target.algorithm || !isRetired(key) || isNamed(key)) return false;
  return !mayBeNamed(key, keys, moment);
}

function neededKeys(
  keys: readonly RolledKey[],
  { timing, nowMs, target }: Moment,
  rolls: readonly KeyRole[],
): NeededKey[] {
  const { algorithm } = target;
  const own = keys.filter((key) => key.algorithm === algorithm);
  const isComing = keys.some(isShown) && !own.some(isShown);
  const roles = rolesOf(target).filter((role) => {
    const ofRole = own.filter((key) => key.role === role);
    const only = ofRole.find((key) => !isRetired(key));
    // Of an algorithm that comes, answers are signed first.
    if (only === undefined) return role !== "ksk" || !isComing;
    if (ofRole.length > 1 || own.length < keys.length) return false;
    return isDue(only, timing, nowMs) || (rolls.includes(role) && isSettled(only));
  });
  return roles.map((role) => ({ role, algorithm }));
}

/** Whether a key is where it was to come: one that is on its way is not rolled. */
function isSettled({ role, signsSinceMs, dsWantedMs }: RolledKey): boolean {
  return role === "zsk" ? signsSinceMs !== undefined : dsWantedMs !== undefined;
}

/** By age; a key that the parent does not name yet has no successor by age. */
function isDue(key: RolledKey, timing: KeyTiming, nowMs: number): boolean {
  const { role, publishedMs = Infinity, signsSinceMs = Infinity, dsSeenMs } = key;
  return role === "zsk"
    ? nowMs >= signsSinceMs + timing.zskLifetimeMs
    : dsSeenMs !== undefined && nowMs >= publishedMs + timing.kskLifetimeMs;
}

/** All keys stay until no cache can hold a DS of any. */
function stepRemoval<Key extends RolledKey>(
  { keys, removalMs = Infinity, goneMs }: KeyState<Key>,
  timing: KeyTiming,
  nowMs: number,
  parent: ParentView | undefined,
): Stepped<Key> {
  if (keys.length === 0) return { keys, needs: [] };
  const isNone = parent !== undefined && !keys.some(({ keyTag }) => parent.somewhere.has(keyTag));
  const sinceMs = parent === undefined ? goneMs : isNone ? (goneMs ?? nowMs) : undefined;
  const { parentPropagationMs, parentDsTtlMs } = timing;
  if (isNone && sinceMs !== undefined && nowMs >= sinceMs + parentPropagationMs + parentDsTtlMs)
    return { keys: [], needs: [] };
  return {
    keys,
    needs: [],
    removalMs: Math.min(removalMs, nowMs),
    ...(sinceMs === undefined ? {} : { goneMs: sinceMs }),
  };
}

function unseen<Key extends RolledKey>(key: Key): Key {
  if (key.dsSeenMs === undefined) return key;
  const copy: Key & { dsSeenMs?: number } = { ...key };
  delete copy.dsSeenMs;
  return copy;
}
