// SPDX-License-Identifier: Apache-2.0

import type { Certificate, CertificateMessage } from "./tcp-encryption.ts";

/** Certificates that came after the worker's start, which a worker that was replaced is told before its sockets are there. */
export class CertificateRenewals {
  newest: Certificate | undefined;
  onRenewed: (certificate: Certificate) => void = () => undefined;

  /** False where the message is about something else. */
  take(message: unknown): boolean {
    if (!isCertificateMessage(message)) return false;
    this.newest = message;
    this.onRenewed(message);
    return true;
  }
}

function isCertificateMessage(message: unknown): message is CertificateMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "certificate"
  );
}
