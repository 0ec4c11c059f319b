// SPDX-License-Identifier: Apache-2.0

// What an edge needs to sign a zone: how, the sets at the apex that the key signing keys have signed already, and the keys of the zone.
// Control makes it; it is replaced as a whole. On the way and on disk it is sealed to the edge's certificate (sealed-secrets.ts).

import { equalNames, isName, lowerName } from "@meridian/dns";

/** How a zone says that something is not there. */
export const Denial = { nsec: "nsec", nsec3: "nsec3", compact: "compact" } as const;
export type Denial = (typeof Denial)[keyof typeof Denial];

/** A set that is shown as it is: DNSKEY, CDS or CDNSKEY. */
export interface PresignedSet {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
  /** RRSIG rdata over the set. */
  readonly rrsigs: readonly Uint8Array[];
}

/** A key of the zone. In a zone with one key for all it is that one. */
export interface ZoneKey {
  readonly keyTag: number;
  /** As in DNSKEY (`DnssecAlgorithm`). */
  readonly algorithm: number;
  /** As in DNSKEY rdata (`publicKeyField()`). */
  readonly publicKey: Uint8Array;
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
  /** Whether signatures are made with it; else it waits for its time, or is on its way out. */
  readonly signs: boolean;
}

export interface SigningMaterial {
  /** Apex, lower case, in wire form. */
  readonly zone: Uint8Array;
  /** Name of the view that the zone belongs to. */
  readonly view?: string;
  /** Grows with each change of the zone's material. */
  readonly sequence: number;
  readonly denial: Denial;
  /** How long a signature holds, and after what time it is made anew. */
  readonly signatureValiditySeconds: number;
  readonly refreshSeconds: number;
  readonly apex: readonly PresignedSet[];
  readonly keys: readonly ZoneKey[];
}

/** Bytes of the material of one zone. */
export const SIGNING_MATERIAL_BYTES_MAX = 131_072;
const KEYS_MAX = 16;
const APEX_SETS_MAX = 8;
const RECORDS_MAX = 64;
const FIELD_BYTES_MAX = 8192;
const SECONDS_MAX = 2 ** 31 - 1;
const VIEW_CHARS_MAX = 253;

/** Text that `parseSigningMaterial()` reads. */
export function encodeSigningMaterial(material: SigningMaterial): string {
  return JSON.stringify({
    ...material,
    zone: toText(material.zone),
    apex: material.apex.map((set) => ({
      ...set,
      rdatas: set.rdatas.map(toText),
      rrsigs: set.rrsigs.map(toText),
    })),
    keys: material.keys.map((key) => ({
      ...key,
      publicKey: toText(key.publicKey),
      privateKey: toText(key.privateKey),
    })),
  });
}

/** The material that a text holds; undefined for anything else, and for more than its bounds allow. */
export function parseSigningMaterial(text: string): SigningMaterial | undefined {
  if (text.length > SIGNING_MATERIAL_BYTES_MAX) return undefined;
  const raw = fieldsOf(parsed(text));
  const denial = Object.values(Denial).find((one) => one === raw["denial"]);
  const zone = bytesOf(raw["zone"]);
  const view = viewOf(raw["view"]);
  const sequence = numberOf(raw["sequence"], Number.MAX_SAFE_INTEGER);
  const signatureValiditySeconds = numberOf(raw["signatureValiditySeconds"], SECONDS_MAX);
  const refreshSeconds = numberOf(raw["refreshSeconds"], SECONDS_MAX);
  const apex = listOf(raw["apex"], APEX_SETS_MAX, setOf);
  const keys = listOf(raw["keys"], KEYS_MAX, keyOf);
  if (
    denial === undefined ||
    zone === undefined ||
    !isName(zone) ||
    !equalBytes(zone, lowerName(zone)) ||
    view === undefined ||
    sequence === undefined ||
    signatureValiditySeconds === undefined ||
    refreshSeconds === undefined ||
    refreshSeconds >= signatureValiditySeconds ||
    apex === undefined ||
    keys === undefined ||
    !keys.some(({ signs }) => signs)
  )
    return undefined;
  const times = { signatureValiditySeconds, refreshSeconds };
  return { zone, ...view, sequence, denial, ...times, apex, keys };
}

/** The materials with one of a zone put in the place of what was there. */
export function withMaterial(
  materials: readonly SigningMaterial[],
  added: SigningMaterial,
): readonly SigningMaterial[] {
  const others = materials.filter(
    ({ zone, view }) => view !== added.view || !equalNames(zone, added.zone),
  );
  return [...others, added];
}

/** Which zone is signed with what. */
export class SigningMaterials {
  readonly all: readonly SigningMaterial[];
  readonly #byZone: ReadonlyMap<string, SigningMaterial>;

  constructor(all: readonly SigningMaterial[]) {
    this.all = all;
    this.#byZone = new Map(
      all.map((material) => [zoneText(material.zone, material.view), material]),
    );
  }

  /** Its own; of a zone of a view without keys of its own, here or elsewhere, that of the zone of its origin that is in no view. */
  of({ origin, view, hasOwnKeys, isPresigned }: SignableZone): SigningMaterial | undefined {
    const own = this.#byZone.get(zoneText(origin, view));
    const isShared = !hasOwnKeys && !isPresigned;
    return own ?? (isShared ? this.#byZone.get(zoneText(origin, undefined)) : undefined);
  }
}

function zoneText(origin: Uint8Array, view: string | undefined): string {
  return `${toText(origin)} ${view ?? ""}`;
}

/** What says of a zone which keys are its own. */
export interface SignableZone {
  /** Lower case, in wire form. */
  readonly origin: Uint8Array;
  readonly view: string | undefined;
  readonly hasOwnKeys: boolean;
  /** Whether it was signed elsewhere. */
  readonly isPresigned: boolean;
}

function viewOf(value: unknown): { readonly view?: string } | undefined {
  if (value === undefined) return {};
  return typeof value === "string" && value !== "" && value.length <= VIEW_CHARS_MAX
    ? { view: value }
    : undefined;
}

function setOf(value: unknown): PresignedSet | undefined {
  const raw = fieldsOf(value);
  const type = numberOf(raw["type"], 0xffff);
  const ttl = numberOf(raw["ttl"], SECONDS_MAX);
  const rdatas = listOf(raw["rdatas"], RECORDS_MAX, bytesOf);
  const rrsigs = listOf(raw["rrsigs"], RECORDS_MAX, bytesOf);
  return type === undefined || ttl === undefined || rdatas === undefined || rrsigs === undefined
    ? undefined
    : { type, ttl, rdatas, rrsigs };
}

function keyOf(value: unknown): ZoneKey | undefined {
  const raw = fieldsOf(value);
  const keyTag = numberOf(raw["keyTag"], 0xffff);
  const algorithm = numberOf(raw["algorithm"], 0xff);
  const publicKey = bytesOf(raw["publicKey"]);
  const privateKey = bytesOf(raw["privateKey"]);
  const { signs } = raw;
  return keyTag === undefined ||
    algorithm === undefined ||
    publicKey === undefined ||
    privateKey === undefined ||
    typeof signs !== "boolean"
    ? undefined
    : { keyTag, algorithm, publicKey, privateKey, signs };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function listOf<T>(
  value: unknown,
  countMax: number,
  read: (one: unknown) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(value) || value.length > countMax) return undefined;
  const list = value.map(read).filter((one) => one !== undefined);
  return list.length === value.length ? list : undefined;
}

function numberOf(value: unknown, most: number): number | undefined {
  const isGood =
    typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
  return isGood ? value : undefined;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || value.length > FIELD_BYTES_MAX) return undefined;
  return /^[A-Za-z0-9+/]*={0,2}$/.test(value)
    ? new Uint8Array(Buffer.from(value, "base64"))
    : undefined;
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
