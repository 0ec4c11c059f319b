// SPDX-License-Identifier: Apache-2.0

import {
  RRType,
  deterministicSigner,
  readRrsig,
  signRrset,
  type Rrset,
  type SignatureTimes,
} from "@meridian/dns";
import type { Denial, LoadedZone, SigningMaterial } from "@meridian/snapshot";
import { serialShift, signingKeysOf } from "../dnssec/signed-zone.ts";
import type { OwnerSet } from "./owner-sets.ts";

/** How a zone is signed as a whole. */
export interface ZoneSigning {
  /** Another one for other keys, times or denial: then all signatures are other ones. */
  readonly id: string;
  readonly serialShift: number;
  readonly denial: Denial;
  /** Whether digests will be in it. */
  readonly hasDigests: boolean;
  /** Sets that control has signed, by type. */
  readonly apex: ReadonlyMap<number, OwnerSet>;
  /** RRSIG rdata of every key that signs. */
  readonly sign: (set: Rrset) => Uint8Array[];
}

/** Signatures hold as long as those of the keys: undefined where there is none. Throws for a key that cannot be read. */
export function zoneSigning(
  zone: LoadedZone,
  material: SigningMaterial,
  hasDigests: boolean,
): ZoneSigning | undefined {
  const times = timesOf(material);
  if (times === undefined) return undefined;
  const signers = signingKeysOf(material).map(({ signer }) => deterministicSigner(signer));
  const tags = signers.map(({ keyTag }) => keyTag).join();
  const { sequence, denial, apex } = material;
  return {
    id: `${sequence} ${times.inception} ${times.expiration} ${tags} ${denial} ${hasDigests}`,
    serialShift: serialShift(zone, material),
    denial,
    hasDigests,
    apex: new Map(apex.map(({ type, ...set }) => [type, { ...set, isSigned: true }])),
    sign: (set) => signers.flatMap((signer) => signRrset(set, signer, times) ?? []),
  };
}

/** When all signatures of the keys hold. */
function timesOf({ apex }: SigningMaterial): SignatureTimes | undefined {
  const rrsigs = apex
    .filter(({ type }) => type === RRType.DNSKEY)
    .flatMap((set) => set.rrsigs.flatMap((rdata) => readRrsig(rdata) ?? []));
  if (rrsigs.length === 0) return undefined;
  return {
    inception: Math.max(...rrsigs.map(({ inception }) => inception)),
    expiration: Math.min(...rrsigs.map(({ expiration }) => expiration)),
  };
}
