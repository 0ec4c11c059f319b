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
