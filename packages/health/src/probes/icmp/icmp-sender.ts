// SPDX-License-Identifier: Apache-2.0

/** Sends ICMP echo requests. An add-on with a raw or ping socket may stand in for the `ping` program. */
export interface IcmpSender {
  /**
   * Sends one echo to `address` (IPv4 or IPv6 text) and tells once whether it came back within `timeoutMs`, with a short reason
   * where it did not. The returned function stops waiting; nothing is told afterwards.
   */
  send(
    address: string,
    timeoutMs: number,
    done: (answered: boolean, reason: string) => void,
  ): () => void;
}

/** Whether ICMP checks can run here, and if not, why, for validation to refuse them with. */
export type IcmpAvailability =
  | { readonly available: true; readonly sender: IcmpSender }
  | { readonly available: false; readonly reason: string };
