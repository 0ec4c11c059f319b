// SPDX-License-Identifier: Apache-2.0
import type { ViewDocument, ZoneDocument } from "@meridian/model";
import type { TransferRule, TransferSettings } from "@meridian/snapshot";
import { secretName } from "./probe-targets.ts";

/** Who may have a zone as a whole, as its section says it. */
export function transferSettings({
  metadata,
  spec,
}: Pick<ZoneDocument, "metadata" | "spec">): TransferSettings {
  const { allow = [], notify = [], zonemd = [], transferAs = "omit" } = spec.transfers ?? {};
  return {
    // By that one control alone signs: edges are not to have it.
    keys: zoneKeys({ metadata, spec }).filter(({ name }) => name !== spec.publishTo?.tsigKey),
    allow: transferRules(allow.filter(({ certificate }) => certificate === undefined)),
    ...certifiedRules(allow),
    ...(notify.length === 0
      ? {}
      : {
          notify: notify.map(({ address, port, key }) => ({
            address,
            port,
            ...(key === undefined ? {} : { key }),
          })),
        }),
    ...(spec.dnssec === undefined ? {} : { isSigned: true }),
    ...(spec.catalog === undefined ? {} : { isCatalog: true }),
    ...(spec.transfers?.encryptedOnly === true ? { encryptedOnly: true } : {}),
    ...(zonemd.length === 0 ? {} : { digests: zonemd }),
    transferAs,
    ...(spec.updates === undefined ? {} : { takesUpdates: true }),
  };
}

type AllowedTransfer = NonNullable<ZoneDocument["spec"]["transfers"]>["allow"][number];

/** Those that want a certificate. */
function certifiedRules(allow: readonly AllowedTransfer[]): Pick<TransferSettings, "certified"> {
  const certified = allow.flatMap((rule) => {
    if (rule.certificate === undefined) return [];
    const { name, spki } = rule.certificate;
    const certificate = {
      ...(name === undefined ? {} : { name: name.replace(/\.$/, "") }),
      ...(spki === undefined ? {} : { spki }),
    };
    return transferRules([rule]).map((each) => ({ ...each, certificate }));
  });
  return certified.length === 0 ? {} : { certified };
}

/** Rules without what is not set. */
export function transferRules(
  rules: NonNullable<ZoneDocument["spec"]["allowQuery"]>,
): readonly TransferRule[] {
  return rules.map(({ clients, key }) => ({
    ...(clients === undefined ? {} : { clients }),
    ...(key === undefined ? {} : { key }),
  }));
}

/** The keys of a zone. */
export function zoneKeys({
  metadata,
  spec,
}: Pick<ZoneDocument, "metadata" | "spec">): TransferSettings["keys"] {
  return Object.entries(spec.tsigKeys ?? {}).map(([name, { algorithm, secret }]) => ({
    name,
    algorithm,
    secret: secretName(metadata.namespace, secret),
  }));
}

/** Views belong to no tenant: their secrets are those of this namespace. */
const VIEW_NAMESPACE = "default";

/** The keys of a view. */
export function viewKeys({ spec }: Pick<ViewDocument, "spec">): TransferSettings["keys"] {
  return Object.entries(spec.tsigKeys ?? {}).map(([name, { algorithm, secret }]) => ({
    name,
    algorithm,
    secret: secretName(VIEW_NAMESPACE, secret),
  }));
}
