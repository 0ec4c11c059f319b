// SPDX-License-Identifier: Apache-2.0
export * from "./constants.ts";
export {
  canonicalKey,
  compareNames,
  equalNames,
  isName,
  isSubdomain,
  isWildcard,
  labelCount,
  labelStarts,
  lowerByte,
  lowerName,
  nameKey,
  nameLength,
  parentName,
  replaceSuffix,
  rootName,
  wildcardOf,
} from "./name.ts";
export { formatName, parseName } from "./name-text.ts";
export type { NameError, TextError } from "./text-error.ts";
export { encodeBase32Hex } from "./base-codec.ts";
export { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address.ts";
export { rdataNames, type RdataNames } from "./rdata-layout.ts";
export {
  formatGeneric,
  formatRdata,
  isRdata,
  parseRdata,
  parseRdataText,
  type Rdata,
} from "./rdata.ts";
export { SvcParamKey } from "./service-params.ts";
export { parseTtl, splitFields } from "./text-field.ts";
export {
  fullRcode,
  makeQuery,
  noFlags,
  type DecodeError,
  type Edns,
  type EdnsOption,
  type HeaderFlags,
  type Message,
  type QueryOptions,
  type Question,
  type ResourceRecord,
} from "./message.ts";
export { decodeMessage } from "./message-decode.ts";
export { encodeMessage, type EncodeOptions } from "./message-encode.ts";
export { formatMessage, formatRecord } from "./message-format.ts";
export {
  EcsFamily,
  cookieOption,
  ecsOption,
  edeOption,
  findOption,
  formatEcs,
  nsidOption,
  parseCookie,
  parseEcs,
  parseEde,
  parseNsid,
  parseTcpKeepalive,
  tcpKeepaliveOption,
  type ClientSubnet,
  type Cookie,
  type ExtendedErrorOption,
} from "./edns-option.ts";
export {
  MasterFileLimits,
  parseMasterFile,
  type MasterFileError,
  type MasterFileOptions,
  type OnRecord,
} from "./master-file.ts";
export { formatMasterFile, inMasterOrder } from "./master-write.ts";
export type { ZoneRecord } from "./zone-record.ts";
export { decodeRecords, encodeRecords, recordBytes } from "./record-bytes.ts";
export {
  TransferReader,
  isSerialAfter,
  readSoa,
  type SoaTimers,
  type TransferOutcome,
  type TransferQuestion,
  type ZoneDelta,
} from "./zone-transfer.ts";
export { diffZones, type ZoneDifference } from "./zone-difference.ts";
export {
  CHAIN_STEPS_MAX,
  resolveAuthority,
  type TwinAnswer,
  type TwinZone,
} from "./authority-twin.ts";
export {
  ZONE_PROBLEMS_MAX,
  checkZone,
  type ZoneProblem,
  type ZoneProblemCode,
} from "./zone-check.ts";
export { DnssecAlgorithm, DsDigest, publicKeyField, publicKeyOf } from "./dnssec/algorithm.ts";
export { canonicalRdata, canonicalRdatas, signedLabels, type Rrset } from "./dnssec/canonical.ts";
export {
  DnskeyFlags,
  dnskeyRdata,
  dsRdata,
  keyTagOf,
  readDnskey,
  readDs,
  type DnskeyFields,
  type DsFields,
} from "./dnssec/dnskey.ts";
export {
  deterministicSigner,
  readRrsig,
  rrsigFault,
  signRrset,
  type RrsigFault,
  type RrsigFields,
  type SignatureTimes,
  type Signer,
} from "./dnssec/rrsig.ts";
export { ZonemdHash, verifyZonemd, zoneDigest, zonemdRdata, type ZonemdVerdict } from "./zonemd.ts";
export {
  UPDATE_RECORDS_MAX,
  evaluateUpdate,
  isUpdateRefusal,
  readUpdate,
  updateNames,
  type RrsetChange,
  type UpdateFacts,
  type UpdateName,
  type UpdateRefusal,
  type UpdateRequest,
  type UpdateRrset,
} from "./update.ts";
export { encodeTypeBitmap } from "./type-bitmap.ts";
export { readTsig, type TsigRecord } from "./tsig-record.ts";
export { tsigKey } from "./tsig-secret.ts";
export {
  BADSIG,
  TSIG_FUDGE_SECONDS,
  TsigSession,
  keyOf,
  tsigAlgorithms,
  tsigBytes,
  tsigTime,
  withTsigError,
  type TsigAlgorithm,
  type TsigKey,
} from "./tsig.ts";
