// SPDX-License-Identifier: Apache-2.0

import { assert } from "@meridian/core";
import type { SectionWriter } from "../section-writer.ts";
import { ClientLocation, Shape, SHAPE_WORDS } from "./zone-format.ts";
import type { Binding, ServiceBinding, SrvBinding } from "./zone-writer.ts";

const KEY_IPV4HINT = 4;
const KEY_IPV6HINT = 6;

/** Equal for bindings that share a shape: everything but the target. */
export function shapeKey(binding: Binding): string {
  const { service, srv } = binding;
  const plain = `${binding.ttlMin} ${binding.ttlMax} ${binding.answers ?? 0} ${binding.clientLocation ?? 0} ${binding.objectiveSeconds ?? 0}`;
  if (service === undefined && srv === undefined) return plain;
  const serviceText =
    service === undefined
      ? ""
      : `${service.priority} ${hex(service.target)} ${hex(service.params)} ${service.hasHints ? 1 : 0}`;
  const srvText =
    srv === undefined
      ? ""
      : `${srv.priority} ${srv.weight} ${srv.port} ${hex(srv.target ?? new Uint8Array(0))}`;
  return `${plain}|${serviceText}|${srvText}`;
}

/** The words of a shape; what it points at goes to the heap of `writer`. */
export function shapeWords(binding: Binding, writer: SectionWriter): Uint32Array {
  assert(binding.ttlMin >= 0 && binding.ttlMin <= binding.ttlMax, "the TTL bounds are in order");
  const words = new Uint32Array(SHAPE_WORDS);
  words[Shape.ttlMin] = binding.ttlMin;
  words[Shape.ttlMax] = binding.ttlMax;
  words[Shape.answers] = binding.answers ?? 0;
  words[Shape.clientLocation] = binding.clientLocation ?? ClientLocation.inherit;
  words[Shape.objectiveSeconds] = binding.objectiveSeconds ?? 0;
  putService(words, binding.service ?? defaultService, writer);
  putSrv(words, binding.srv ?? defaultSrv, writer);
  return words;
}

const defaultService: ServiceBinding = {
  priority: 1,
  target: new Uint8Array(1),
  params: new Uint8Array(0),
  hasHints: true,
};
const defaultSrv: SrvBinding = { priority: 0, weight: 0, port: 0 };

/** SvcParams are written in rising order of their keys (RFC 9460 §2.2), so the hints split them in three. */
function putService(words: Uint32Array, service: ServiceBinding, writer: SectionWriter): void {
  const low: Uint8Array[] = [];
  const middle: Uint8Array[] = [];
  const high: Uint8Array[] = [];
  const { params } = service;
  for (let at = 0; at < params.length;) {
    const key = (params[at]! << 8) | params[at + 1]!;
    const end = at + 4 + ((params[at + 2]! << 8) | params[at + 3]!);
    assert(end <= params.length, "SvcParams are complete");
    assert(key !== KEY_IPV4HINT && key !== KEY_IPV6HINT, "the hints come from the decision");
    const part = key < KEY_IPV4HINT ? low : key < KEY_IPV6HINT ? middle : high;
    part.push(params.subarray(at, end));
    at = end;
  }
  words[Shape.servicePriority] = service.priority;
  putBytes(words, Shape.serviceTargetOffset, service.target, writer);
  putBytes(words, Shape.paramsLowOffset, Buffer.concat(low), writer);
  putBytes(words, Shape.paramsMiddleOffset, Buffer.concat(middle), writer);
  putBytes(words, Shape.paramsHighOffset, Buffer.concat(high), writer);
  // AliasMode has no parameters (RFC 9460 §2.4.2).
  words[Shape.hasHints] = service.hasHints && service.priority > 0 ? 1 : 0;
}

function putSrv(words: Uint32Array, srv: SrvBinding, writer: SectionWriter): void {
  words[Shape.srvPriority] = srv.priority;
  words[Shape.srvWeight] = srv.weight;
  words[Shape.srvPort] = srv.port;
  putBytes(words, Shape.srvTargetOffset, srv.target ?? new Uint8Array(0), writer);
}

/** Offset at `index`, length behind it. */
function putBytes(
  words: Uint32Array,
  index: number,
  bytes: Uint8Array,
  writer: SectionWriter,
): void {
  words[index] = writer.heap(bytes);
  words[index + 1] = bytes.length;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
