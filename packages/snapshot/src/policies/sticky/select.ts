// SPDX-License-Identifier: Apache-2.0
import { mix32 } from "@meridian/core";
import { FAMILY_IPV4, maskWord, type Client } from "../../client.ts";
import { memberHash, memberHashLow } from "../../rendezvous.ts";
import type { Selector } from "../../selector.ts";
import { Status } from "../../trace.ts";
import { slotWeight } from "../by-weight.ts";
import { BranchTarget, BranchWord, CANDIDATES_MAX, NodeWord } from "../policies-format.ts";

/**
 * `sticky`: the same client prefix gets the same branch, and inside its pool the same member, as long as that one is eligible. Both
 * choices are weighted rendezvous, over the keys of what the branches point at (not their order), so removing one moves only the
 * clients that it had. What lies deeper draws from the client's hash, so it is as stable.
 */
export function selectSticky(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  const client = selector.client;
  if (client === null) return Status.noMatch;
  const prefixes = policies.nodeWord(node, NodeWord.extra);
  const stated = client.family === FAMILY_IPV4 ? prefixes & 0xff : (prefixes >>> 8) & 0xff;
  const bits = Math.min(stated, client.prefixLength);
  if (bits > selector.scope) selector.scope = bits;
  const salt = policies.nodeWord(node, NodeWord.salt);
  const clientHash = hashOfPrefix(client, bits);
  const outerDraw = selector.draw;
  const outerDial = selector.dialDraw;
  const outerSalt = selector.stickySalt;
  const outerHash = selector.stickyHash;
  selector.defaultAnswers = 1;
  selector.draw = mix32(clientHash ^ salt) | 0;
  selector.dialDraw = selector.draw;
  selector.stickySalt = salt | 1;
  selector.stickyHash = clientHash;
  const status = selectByScore(selector, node, mode, salt, clientHash);
  selector.draw = outerDraw;
  selector.dialDraw = outerDial;
  selector.stickySalt = outerSalt;
  selector.stickyHash = outerHash;
  return status;
}

/** Hash of the client's address cut to `bits`. */
export function hashOfPrefix(client: Client, bits: number): number {
  const first = mix32(maskWord(client.word0, bits) ^ (client.family << 8) ^ bits);
  if (client.family === FAMILY_IPV4) return first;
  const second = mix32(first ^ maskWord(client.word1, bits - 32));
  return mix32(
    mix32(second + maskWord(client.word2, bits - 64)) ^ maskWord(client.word3, bits - 96),
  );
}

/** Best score first; what fails is left out and the next best tried. Zero weights come after every other. */
function selectByScore(
  selector: Selector,
  node: number,
  mode: number,
  salt: number,
  clientHash: number,
): number {
  const policies = selector.world.policies;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const count = policies.nodeWord(node, NodeWord.branchCount);
  const base = selector.depth * CANDIDATES_MAX;
  for (let index = 0; index < count; index++) {
    selector.weights[base + index] = score(
      selector,
      first + index,
      slotWeight(selector, first + index),
      salt,
      clientHash,
    );
  }
  let result: number = Status.unhealthy;
  for (let tries = 0; tries < count; tries++) {
    let best = -1;
    for (let index = 0; index < count; index++) {
      const own = selector.weights[base + index]!;
      if (own < 0) continue;
      const leader = best < 0 ? -1 : selector.weights[base + best]!;
      const isTied = own === leader;
      if (
        own > leader ||
        (isTied &&
          tieHash(selector, first + index, salt, clientHash) >
            tieHash(selector, first + best, salt, clientHash))
      )
        best = index;
    }
    if (best < 0) break;
    selector.weights[base + best] = -1;
    const status = selector.branch(
      first + best,
      mode,
      tries,
      slotWeight(selector, first + best),
      0,
    );
    if (status === Status.ok || status === Status.stopped) return status;
    if (status === Status.dialed) result = Status.dialed;
  }
  return result;
}

/** weight ÷ −log2(u), scaled; a zero weight scores below every other, by its hash alone. */
function score(
  selector: Selector,
  branch: number,
  weight: number,
  salt: number,
  clientHash: number,
): number {
  const kind = selector.world.policies.branchWord(branch, BranchWord.settings) & 0xff;
  const hash = memberHash(salt, branchKey(selector, branch, kind), kind, clientHash);
  if (weight === 0) return hash * 2 ** -70;
  return weight / selector.logTable.minusLog2(hash);
}

/** Scores are coarse enough to tie (about once in 65,536): the other half of the hash then decides, not the order of the branches. */
function tieHash(selector: Selector, branch: number, salt: number, clientHash: number): number {
  const kind = selector.world.policies.branchWord(branch, BranchWord.settings) & 0xff;
  return memberHashLow(salt, branchKey(selector, branch, kind), kind, clientHash) >>> 0;
}

/** What a branch is known by wherever it stands: the key of its pool, node or name. */
function branchKey(selector: Selector, branch: number, kind: number): number {
  const policies = selector.world.policies;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.pool) return selector.world.poolSalt(policies.poolOfLink[target]!);
  if (kind === BranchTarget.node) return policies.nodeWord(target, NodeWord.salt);
  return policies.nameHash(target);
}
