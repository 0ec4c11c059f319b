// SPDX-License-Identifier: Apache-2.0

// The stream of one edge: what it says goes to the hub, what the hub says goes to it.

import type { KeyObject } from "node:crypto";
import { constants, type ServerHttp2Stream } from "node:http2";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  TAKES_DISK,
  TAKES_HEADER,
  TAKES_TRAFFIC,
  TAKES_UNMOVED,
  SILENCE_MS_MAX,
  decodeAcknowledgement,
  decodeAnswerCounts,
  decodeDiskTrouble,
  decodeNotified,
  decodeHello,
  decodeLeaseRequest,
  decodeStatus,
  decodeTrafficCounts,
  type TrafficCounts,
} from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { EdgeHub, EdgeStream } from "./edge-hub.ts";
import type { SigningHub } from "./signing-hub.ts";

export interface EdgeLinkOptions {
  readonly hub: EdgeHub;
  readonly signing: SigningHub;
  /** Where an edge has sent clients. */
  readonly traffic: (edge: string, counts: TrafficCounts) => void;
  /** An edge has heard that a secondary zone has changed. */
  readonly notified: (zone: string) => void;
  readonly logger: Logger;
}

/** Whose stream it is. */
export interface LinkedEdge {
  readonly name: string;
  readonly address: string;
  readonly key: KeyObject | undefined;
}

/** Serves an edge until its stream ends, or it says what is not understood. */
export function serveEdgeLink(
  stream: ServerHttp2Stream,
  { name, address, key }: LinkedEdge,
  options: EdgeLinkOptions,
): void {
  const { hub, signing, logger } = options;
  const link: EdgeStream = {
    get backlogBytes() {
      return stream.writableLength;
    },
    write: (bytes) => void stream.write(bytes),
    end: () => stream.close(),
  };
  const decoder = new FrameDecoder([
    FrameKind.hello,
    FrameKind.acknowledgement,
    FrameKind.status,
    FrameKind.counts,
    FrameKind.traffic,
    FrameKind.notified,
    FrameKind.disk,
    FrameKind.lease,
  ]);
  let isGreeted = false;
  const fail = (reason: string): void => {
    logger.warn({ edge: name, address, reason }, "Cut an edge off");
    stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  };
  const taken = [TAKES_TRAFFIC, TAKES_UNMOVED, TAKES_DISK].join(", ");
  stream.respond({ ":status": 200, [TAKES_HEADER]: taken });
  stream.setTimeout(SILENCE_MS_MAX * 2, () => fail("it says nothing"));
  stream.on("data", (chunk: Buffer) => {
    const frames = decoder.push(chunk);
    if (typeof frames === "string") {
      fail(frames);
      return;
    }
    for (const { kind, payload } of frames) {
      if (!isGreeted) {
        const hello = kind === FrameKind.hello ? decodeHello(payload) : undefined;
        if (hello?.protocol !== LINK_PROTOCOL) {
          fail(`its protocol is ${hello?.protocol ?? "unknown"}, expected ${LINK_PROTOCOL}`);
          return;
        }
        isGreeted = true;
        // Before the revision that is signed with it.
        signing.join(name, key, link);
        hub.join(name, hello, link, address);
        logger.info(
          { edge: name, address, revision: hello.revision, sequence: hello.sequence },
          "An edge is connected",
        );
        continue;
      }
      const status = kind === FrameKind.status ? decodeStatus(payload) : undefined;
      if (status !== undefined) {
        hub.report(name, link, status);
        continue;
      }
      const counts = kind === FrameKind.counts ? decodeAnswerCounts(payload) : undefined;
      if (counts !== undefined) {
        hub.count(name, link, counts);
        continue;
      }
      const traffic = kind === FrameKind.traffic ? decodeTrafficCounts(payload) : undefined;
      if (traffic !== undefined) {
        options.traffic(name, traffic);
        continue;
      }
      const lease = kind === FrameKind.lease ? decodeLeaseRequest(payload) : undefined;
      if (lease !== undefined) {
        hub.lease(name, link, lease);
        continue;
      }
      const notified = kind === FrameKind.notified ? decodeNotified(payload) : undefined;
      if (notified !== undefined) {
        options.notified(notified);
        continue;
      }
      const trouble = kind === FrameKind.disk ? decodeDiskTrouble(payload) : undefined;
      if (trouble !== undefined) {
        hub.takeDisk(name, link, trouble === "well" ? undefined : trouble);
        continue;
      }
      const position =
        kind === FrameKind.acknowledgement ? decodeAcknowledgement(payload) : undefined;
      if (position === undefined) {
        fail("a message is malformed");
        return;
      }
      hub.acknowledge(name, link, position);
    }
  });
  stream.on("close", () => {
    if (!isGreeted) return;
    hub.leave(name, link);
    signing.leave(name, link);
    logger.warn({ edge: name, address }, "An edge is gone");
  });
}
