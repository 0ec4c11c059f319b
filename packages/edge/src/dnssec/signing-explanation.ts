// SPDX-License-Identifier: Apache-2.0

// What a signed answer is signed with, for explain: a query path of its own, which makes no signature, is asked as the client would.

import {
  decodeMessage,
  ecsOption,
  encodeMessage,
  makeQuery,
  parseName,
  readRrsig,
  RRType,
  typeFromText,
} from "@meridian/dns";
import {
  OverlayReader,
  OverlayWriter,
  QueryName,
  SigningMaterials,
  type World,
  type ZoneTable,
} from "@meridian/snapshot";
import type { ExplainQuestion, ExplainSigning } from "@meridian/snapshot/surface";
import { WorkerCounters } from "../counters.ts";
import { QueryHandler } from "../query-handler.ts";
import { ServedSnapshot } from "../query-state.ts";
import { SKEW_SECONDS } from "./signed-zone.ts";
import type { SigningMessage } from "./signed-answers.ts";
import { SigningRole } from "./signing-role.ts";

const RESPONSE_BYTES_MAX = 65_535;

/** What is served now. */
export interface SigningView {
  readonly world: World;
  readonly slots: Uint32Array;
}

/** How the zone of a question is signed among those that the client sees, and whether the answer's signature is there; undefined where it is not. */
export function explainSigning(
  { world, slots }: SigningView,
  message: SigningMessage,
  question: ExplainQuestion,
  zones: ZoneTable,
): ExplainSigning | undefined {
  const name = parseName(question.name.endsWith(".") ? question.name : `${question.name}.`);
  const type = typeFromText(question.type);
  if (!(name instanceof Uint8Array) || type === undefined) return undefined;
  const asked = new QueryName(world.zones.seed);
  asked.set(name, 0, name.length, 0);
  const zone = zones.find(asked, 0);
  const material =
    zone === undefined ? undefined : new SigningMaterials(message.materials).of(zone);
  if (material === undefined) return undefined;
  const { denial, keys, signatureValiditySeconds: validitySeconds, refreshSeconds } = material;
  const overlay = new OverlayWriter(slots);
  const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
  const handler = new QueryHandler(new ServedSnapshot(0, world, reader, message.orders), {
    ignoresViews: true,
    counters: new WorkerCounters(),
    nowMs: () => question.nowSeconds * 1000,
  });
  handler.sign(message, SigningRole.looker);
  handler.lastQuery.zones = zones;
  const fields = signatureOf(handler, name, type, question);
  return {
    keys: keys
      .filter(({ signs }) => signs)
      .map(({ keyTag, algorithm }) => ({ tag: keyTag, algorithm })),
    ...{ denial, validitySeconds, refreshSeconds },
    isReady: fields !== undefined,
    ...(fields === undefined
      ? {}
      : {
          inception: timeText(fields.inception),
          expiration: timeText(fields.expiration),
          refresh: timeText(fields.inception + SKEW_SECONDS + refreshSeconds),
        }),
  };
}

/** Of the first signature in the answer; undefined where it is yet to be made. */
function signatureOf(
  handler: QueryHandler,
  name: Uint8Array,
  type: number,
  { client, resolver }: ExplainQuestion,
): ReturnType<typeof readRrsig> {
  const options = client === undefined ? [] : [ecsOption(client.bytes, client.prefixLength)];
  const edns = { udpSize: 1232, do: true, options };
  const packet = encodeMessage(makeQuery(name, type, { edns }));
  const output = new Uint8Array(RESPONSE_BYTES_MAX);
  handler.beginBatch();
  const length = handler.handle(
    packet,
    0,
    packet.length,
    output,
    0,
    RESPONSE_BYTES_MAX,
    resolver.bytes,
    0,
    resolver.family,
    true,
  );
  handler.endBatch();
  const response = decodeMessage(output.subarray(0, length));
  if ("error" in response) return undefined;
  const signature = [...response.answer, ...response.authority].find(
    (record) => record.type === RRType.RRSIG,
  );
  return signature === undefined ? undefined : readRrsig(signature.rdata);
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
