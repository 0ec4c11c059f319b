// SPDX-License-Identifier: Apache-2.0

/** What signatures are asked for: answers to clients, those of the time to come, or only to see which are there. */
export const SigningRole = { answerer: 0, ahead: 1, looker: 2 } as const;
