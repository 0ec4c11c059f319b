// SPDX-License-Identifier: Apache-2.0

// TLS for the connections of a TcpServer: DNS over TLS (RFC 7858) goes on as any connection, DNS over HTTPS (RFC 8484) as a session of
// HTTP/2. Loaded only where one of the two is listened on.
//
//   accepted socket ──► handshake ──► "dot": TcpConnection over the TLS socket
//                                 └─► "doh": DohSession
//
// A connection counts from its acceptance on: a handshake that does not end falls to the idle time-out like any other silence.

import { constants, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket, createSecureContext, type SecureContext } from "node:tls";
import { ClientCertificate, authoritiesOf } from "./client-certificate.ts";

/** PEM texts: a certificate with its chain, and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients' certificates, which clients are asked for then; PEM. */
  readonly clientAuthorities?: string;
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
  /** Undefined where clients are not asked for certificates. */
  #authorities: readonly X509Certificate[] | undefined;

  constructor(certificate: Certificate) {
    this.#context = contextOf(certificate);
    this.#authorities = shownAuthorities(certificate);
  }

  /** Handshakes that begin from now on are with another certificate. Throws where it does not fit its key. */
  renew(certificate: Certificate): void {
    const authorities = shownAuthorities(certificate);
    this.#context = contextOf(certificate);
    this.#authorities = authorities;
  }

  /** What the client of a connection that is secure has shown; undefined where it has shown nothing, or was not asked. */
  shownBy(secure: TLSSocket): ClientCertificate | undefined {
    const shown = this.#authorities && secure.getPeerX509Certificate();
    return shown && new ClientCertificate(shown, this.#authorities ?? []);
  }

  /** Begins the handshake as a server. `onSecure` comes once, with the protocol that was agreed on ("" for none); errors close. */
  wrap(socket: Socket, service: EncryptedService, onSecure: (protocol: string) => void): TLSSocket {
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: [...PROTOCOLS[service]],
      // Who shows none, or one that nobody knows, is answered as anybody: what certificates are good for is the zones' to say.
      requestCert: service === "dot" && this.#authorities !== undefined,
      rejectUnauthorized: false,
    });
    secure.once("secure", () => onSecure(secure.alpnProtocol || ""));
    return secure;
  }
}

function shownAuthorities({
  clientAuthorities,
}: Certificate): readonly X509Certificate[] | undefined {
  return clientAuthorities === undefined ? undefined : authoritiesOf(clientAuthorities);
}

function contextOf({ cert, key, clientAuthorities }: Certificate): SecureContext {
  return createSecureContext({
    cert,
    key,
    ...(clientAuthorities === undefined ? {} : { ca: clientAuthorities }),
    // Sessions that were begun with a certificate are resumed in a context that has a name alone.
    sessionIdContext: "meridian",
    minVersion: "TLSv1.2",
    // A client could have the server's half of a handshake done over and over in one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
