// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from "node:crypto";
import { constants, type ServerHttp2Stream } from "node:http2";
import {
  FrameDecoder,
  FrameKind,
  LINK_PROTOCOL,
  SILENCE_MS_MAX,
  decodeVantageHello,
} from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { JoinRole } from "./edge-roster.ts";
import type { VantageHub, VantageStream } from "./vantage-hub.ts";

/** Who has opened a stream of reports. */
export interface VantagePeer {
  /** What its certificate says; undefined for a control, which says it itself. */
  readonly name: string | undefined;
  readonly address: string;
  /** Of its certificate, for what is sealed; undefined for a control, which has its own secrets. */
  readonly key?: KeyObject | undefined;
  readonly role: JoinRole;
}

/** Serves a vantage on `stream` for as long as it lasts. */
export function serveVantage(
  stream: ServerHttp2Stream,
  { name: certified, address, key, role }: VantagePeer,
  hub: VantageHub,
  logger: Logger,
): void {
  const link: VantageStream = {
    get backlogBytes() {
      return stream.writableLength;
    },
    write: (bytes) => void stream.write(bytes),
    end: () => stream.close(),
  };
  const decoder = new FrameDecoder([FrameKind.hello, FrameKind.reports]);
  let name = certified ?? "";
  let isGreeted = false;
  const fail = (reason: string): void => {
    logger.warn({ vantage: name, address, reason }, "Cut a vantage off");
    stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  };
  const greet = (payload: Uint8Array): void => {
    const hello = decodeVantageHello(payload);
    if (hello?.protocol !== LINK_PROTOCOL) {
      fail(`its protocol is ${hello?.protocol ?? "unknown"}, expected ${LINK_PROTOCOL}`);
      return;
    }
    if (certified === undefined) name = hello.name ?? "";
    if (name === "") {
      fail("it does not say which control it is");
      return;
    }
    isGreeted = true;
    logger.info({ vantage: name, site: hello.site, address }, "A vantage is connected");
    hub.join({ name, key, role }, hello.site, link);
  };
  stream.respond({ ":status": 200 });
  stream.setTimeout(SILENCE_MS_MAX * 2, () => fail("it says nothing"));
  stream.on("data", (chunk: Buffer) => {
    const frames = decoder.push(chunk);
    if (typeof frames === "string") {
      fail(frames);
      return;
    }
    for (const { kind, payload } of frames) {
      if ((kind === FrameKind.hello) === isGreeted) fail("a message comes out of turn");
      else if (isGreeted) hub.report(name, link, payload);
      else greet(payload);
      if (stream.closed) return;
    }
  });
  stream.on("close", () => {
    if (!isGreeted) return;
    hub.leave(name, link);
    logger.warn({ vantage: name, address }, "A vantage is gone");
  });
}
