// SPDX-License-Identifier: Apache-2.0

// The flags of `up` and `control` that say who may come in over HTTP.

import { resolve } from "node:path";
import type { ApiAccess } from "@meridian/control";
import type { CommandInput, OptionDefinition } from "./command.ts";
import { CommandError, ExitCode } from "./exit-code.ts";

/** In the order of the help. */
export const accessOptions: readonly OptionDefinition[] = [
  {
    flags: "--tls-cert <FILE>",
    summary: "Certificate (PEM, with its chain) of the HTTP interface; read again when it changes.",
    environment: "MERIDIAN_TLS_CERT",
  },
  {
    flags: "--tls-key <FILE>",
    summary: "Its private key.",
    environment: "MERIDIAN_TLS_KEY",
  },
  {
    flags: "--client-ca <FILE>",
    summary:
      "Who signs the certificates that clients may show instead of a token; Roles name their common names.",
    environment: "MERIDIAN_CLIENT_CA",
  },
  {
    flags: "--insecure-http",
    summary: "Serve HTTP beyond loopback without TLS: something in front ends it.",
    environment: "MERIDIAN_INSECURE_HTTP",
  },
  {
    flags: "--oidc-issuer <URL>",
    summary: "OpenID provider whose tokens are taken; Roles name its groups and subjects.",
    environment: "MERIDIAN_OIDC_ISSUER",
  },
  {
    flags: "--oidc-audience <TEXT>",
    summary: "Whom its tokens have to be made for.",
    environment: "MERIDIAN_OIDC_AUDIENCE",
    defaultValue: "meridian",
  },
  {
    flags: "--oidc-subject-claim <NAME>",
    summary: "Claim that says who it is.",
    environment: "MERIDIAN_OIDC_SUBJECT_CLAIM",
    defaultValue: "sub",
  },
  {
    flags: "--oidc-groups-claim <NAME>",
    summary: "Claim with the groups.",
    environment: "MERIDIAN_OIDC_GROUPS_CLAIM",
    defaultValue: "groups",
  },
];

/** Who may come in. */
export function accessOf(input: CommandInput): ApiAccess {
  const [certificate, key] = [input.text("tlsCert"), input.text("tlsKey")];
  const clientAuthority = input.text("clientCa");
  const issuer = input.text("oidcIssuer");
  if ((certificate === undefined) !== (key === undefined))
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: one of --tls-cert and --tls-key is given, expected both",
    );
  if (clientAuthority !== undefined && certificate === undefined)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: --client-ca is given without --tls-cert, expected both",
    );
  if (issuer !== undefined && !/^https?:\/\//.test(issuer))
    throw new CommandError(
      ExitCode.invalid,
      `Cannot start: --oidc-issuer is "${issuer}", expected an address such as https://login.example.org`,
    );
  return {
    isInsecureAllowed: input.flag("insecureHttp"),
    ...(certificate === undefined || key === undefined
      ? {}
      : {
          tls: {
            certificate: resolve(certificate),
            key: resolve(key),
            ...(clientAuthority === undefined ? {} : { clientAuthority: resolve(clientAuthority) }),
          },
        }),
    ...(issuer === undefined
      ? {}
      : {
          oidc: {
            issuer,
            audience: input.requiredText("oidcAudience"),
            subjectClaim: input.requiredText("oidcSubjectClaim"),
            groupsClaim: input.requiredText("oidcGroupsClaim"),
          },
        }),
  };
}
