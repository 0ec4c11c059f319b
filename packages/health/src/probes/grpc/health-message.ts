// SPDX-License-Identifier: Apache-2.0

// The two messages of grpc.health.v1.Health/Check, encoded by hand: a request with one string (field 1), an answer with one number
// (field 1), each behind the five-byte gRPC prefix (compressed flag, length).

/** Framed HealthCheckRequest for `service`. */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message =
    name.length === 0
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.of(0x0a), varint(name.length), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Names of ServingStatus by number. */
export const servingStatusNames: readonly string[] = [
  "UNKNOWN",
  "SERVING",
  "NOT_SERVING",
  "SERVICE_UNKNOWN",
];

/** ServingStatus of a framed HealthCheckResponse (0 where it has none), or undefined where the bytes are none. */
export function decodeHealthStatus(bytes: Uint8Array): number | undefined {
  if (bytes.length < 5 || bytes[0] !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(1) !== bytes.length - 5) return undefined;
  let status = 0;
  let at = 5;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined) return undefined;
    const wireType = tag.value % 8;
    if (wireType === 0) {
      const value = readVarint(bytes, tag.end);
      if (value === undefined) return undefined;
      if (tag.value >> 3 === 1) status = value.value;
      at = value.end;
    } else if (wireType === 2) {
      const length = readVarint(bytes, tag.end);
      if (length === undefined) return undefined;
      at = length.end + length.value;
    } else {
      return undefined;
    }
  }
  return at === bytes.length ? status : undefined;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  let scale = 1;
  // Five bytes hold every number a health answer can carry.
  for (let at = start; at < bytes.length && at < start + 5; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, end: at + 1 };
    scale *= 0x80;
  }
  return undefined;
}
