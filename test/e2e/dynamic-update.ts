// SPDX-License-Identifier: Apache-2.0

// Dynamic updates (RFC 2136) as tests make them, signed with a key whose secret is in a file of the state folder.

import assert from "node:assert/strict";
import {
  EdnsOptionCode,
  Opcode,
  RRClass,
  RRType,
  TsigSession,
  decodeMessage,
  encodeMessage,
  findOption,
  makeQuery,
  parseEde,
  parseRdataText,
  type Message,
  type ResourceRecord,
  type TsigKey,
} from "@meridian/dns";
import type { DnsClient } from "../conformance/dns-client.ts";
import { wire } from "../conformance/test-server.ts";

export const secret: string = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk=";
export const key: TsigKey = {
  name: wire("ddns.example."),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};

interface UpdateParts {
  readonly origin?: string;
  readonly prerequisites?: readonly ResourceRecord[];
  readonly updates?: readonly ResourceRecord[];
}

export function update({
  origin = "example.org.",
  prerequisites = [],
  updates = [],
}: UpdateParts): Uint8Array {
  const question = makeQuery(wire(origin), RRType.SOA, { edns: {} });
  return encodeMessage({
    ...question,
    opcode: Opcode.UPDATE,
    answer: prerequisites,
    authority: updates,
  });
}

export function signed(
  packet: Uint8Array,
  by: TsigKey = key,
  nowSeconds: number = Math.floor(Date.now() / 1000),
): Uint8Array {
  return new TsigSession(by).sign(packet, nowSeconds);
}

export async function askFor(client: DnsClient, packet: Uint8Array): Promise<Message> {
  const message = decodeMessage(await client.ask(packet));
  assert.ok(!("error" in message));
  return message;
}

export async function answersOf(
  client: DnsClient,
  name: string,
  type: number,
): Promise<Uint8Array[]> {
  const { answer } = await askFor(client, encodeMessage(makeQuery(wire(name), type)));
  return answer.map(({ rdata }) => rdata);
}

export function edeOf({ edns }: Message): ReturnType<typeof parseEde> {
  const option = findOption(edns?.options ?? [], EdnsOptionCode.EXTENDED_ERROR);
  return option === undefined ? undefined : parseEde(option.data);
}

export function txt(name: string): ResourceRecord {
  const parsed = parseRdataText(RRType.TXT, '"here"');
  assert.ok("rdata" in parsed);
  return { owner: wire(name), type: RRType.TXT, class: RRClass.IN, ttl: 60, rdata: parsed.rdata };
}

function empty(name: string, type: number, rrClass: number): ResourceRecord {
  return { owner: wire(name), type, class: rrClass, ttl: 0, rdata: new Uint8Array(0) };
}

export function present(name: string, type: number): ResourceRecord {
  return empty(name, type, RRClass.ANY);
}

export function absent(name: string): ResourceRecord {
  return empty(name, 255, RRClass.NONE);
}

export function remove(name: string): ResourceRecord {
  return empty(name, 255, RRClass.ANY);
}
