// SPDX-License-Identifier: Apache-2.0

import { MeridianError, type Clock } from "@meridian/core";
import { CONTROL_NAME } from "@meridian/snapshot";
import type { JoinRole } from "./edge-roster.ts";
import type { JoinTokens } from "./join-tokens.ts";
import { JOIN_MS_MAX } from "./limits.ts";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** A token for one edge, shown once. */
export interface EdgeInvitation {
  readonly edge: string;
  readonly token: string;
  readonly expiresAtMs: number;
}

/** Tokens with which edges and probes join. */
export class EdgeInvitations {
  readonly #tokens: Pick<JoinTokens, "create">;
  /** Of the authority that they are to believe. */
  readonly #fingerprint: string;
  readonly #clock: Clock;

  constructor(tokens: Pick<JoinTokens, "create">, fingerprint: string, clock: Clock) {
    this.#tokens = tokens;
    this.#fingerprint = fingerprint;
    this.#clock = clock;
  }

  /** Makes a token with which `edge` may join once. Throws EDGE_INVITATION_INVALID. */
  async invite(edge: string, forMs: number, role: JoinRole): Promise<EdgeInvitation> {
    if (!NAME.test(edge) || edge === CONTROL_NAME)
      throw invalid(`the name is "${edge}", expected letters, digits and hyphens, at most 63`);
    if (!(forMs > 0 && forMs <= JOIN_MS_MAX))
      throw invalid(`it would hold for ${forMs} ms, expected 1 to ${JOIN_MS_MAX}`);
    const nowMs = this.#clock.wallMs();
    const expiresAtMs = nowMs + forMs;
    const secret = await this.#tokens.create({ edge, role, expiresAtMs }, nowMs);
    return { edge, token: `mrj_${secret}_${this.#fingerprint}`, expiresAtMs };
  }
}

function invalid(reason: string): MeridianError {
  return new MeridianError("EDGE_INVITATION_INVALID", "user", `Cannot invite an edge: ${reason}`);
}
