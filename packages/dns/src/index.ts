// SPDX-License-Identifier: Apache-2.0
export * from "./constants.ts";
export {
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
export type { ZoneRecord } from "./zone-record.ts";
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
