// SPDX-License-Identifier: Apache-2.0

/** How long certificates of edges and of control hold. */
export const CERTIFICATE_MS: number = 24 * 3_600_000;
/** Clocks of edges may be this much behind: certificates hold from then. */
export const SKEW_MS: number = 24 * 3_600_000;
/** An edge that was away for longer than its certificate holds may renew it for this long; then it has to join again. */
export const RENEWAL_GRACE_MS: number = 30 * 24 * 3_600_000;
/** Longest time for which an edge may be invited. */
export const JOIN_MS_MAX: number = 7 * 24 * 3_600_000;
