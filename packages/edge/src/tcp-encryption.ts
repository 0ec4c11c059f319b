// SPDX-License-Identifier: Apache-2.0

// TLS for the connections of a TcpServer: DNS over TLS (RFC 7858) goes on as any connection, DNS over HTTPS (RFC 8484) as a session of
// HTTP/2. Loaded only where one of the two is listened on.
//
//   accepted socket ──► handshake ──► "dot": TcpConnection over the TLS socket
//                                 └─► "doh": DohSession
//
// A connection counts from its acceptance on: a handshake that does not end falls to the idle time-out like any other silence.

import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket, createSecureContext, type SecureContext } from "node:tls";

/** PEM texts: a certificate with its chain, and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What `Edge.post` sends to have connections made with another certificate. */
export interface CertificateMessage extends Certificate {
  readonly kind: "certificate";
}

/** What is spoken inside TLS. */
export type EncryptedService = "dot" | "doh";

const PROTOCOLS: Readonly<Record<EncryptedService, readonly string[]>> = {
  dot: ["dot"],
  doh: ["h2"],
};

export class TlsWrapper {
  #context: SecureContext;

  constructor(certificate: Certificate) {
    this.#context = contextOf(certificate);
  }

  /** Handshakes that begin from now on are with another certificate. Throws where it does not fit its key. */
  renew(certificate: Certificate): void {
    this.#context = contextOf(certificate);
  }

  /** Begins the handshake as a server. `onSecure` comes once, with the protocol that was agreed on ("" for none); errors close. */
  wrap(socket: Socket, service: EncryptedService, onSecure: (protocol: string) => void): TLSSocket {
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: [...PROTOCOLS[service]],
    });
    secure.once("secure", () => onSecure(secure.alpnProtocol || ""));
    return secure;
  }
}

function contextOf({ cert, key }: Certificate): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion: "TLSv1.2",
    // A client could have the server's half of a handshake done over and over in one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
