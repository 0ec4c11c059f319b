// SPDX-License-Identifier: Apache-2.0
import type { ClientHttp2Session } from "node:http2";
import { reasonOf } from "@meridian/core";
import { ExtendedError, Rcode } from "@meridian/dns";
import {
  LinkPath,
  UPDATE_ANSWER_BYTES_MAX,
  UPDATE_CLIENT_HEADER,
  UPDATE_MS_MAX,
  decodeUpdateAnswer,
  type UpdateAnswer,
} from "@meridian/snapshot";

/** Asks control to do an update. Never rejects: whoever cannot be asked, or does not answer, is SERVFAIL. */
export async function handOnUpdate(
  session: ClientHttp2Session | undefined,
  packet: Uint8Array,
  client: string,
  view: string | undefined,
): Promise<UpdateAnswer> {
  if (session === undefined || session.destroyed)
    return failed("control is out of reach: nothing was changed");
  try {
    const answer = decodeUpdateAnswer(await ask(session, packet, client, view));
    return answer ?? failed("control does not take updates: nothing was changed");
  } catch (error) {
    // It may have been done: the same packet again is answered as the first one should have been.
    return failed(`no answer from control (${reasonOf(error)}): send it again`);
  }
}

function ask(
  session: ClientHttp2Session,
  packet: Uint8Array,
  client: string,
  view: string | undefined,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const stream = session.request({
    ":method": "POST",
    // A control that does not know of views does not know this place.
    ":path": view === undefined ? LinkPath.update : `${LinkPath.updateInView}${view}`,
    [UPDATE_CLIENT_HEADER]: client,
  });
  let body = "";
  const fail = (reason: string): void => {
    reject(new Error(reason));
    stream.close();
  };
  const timer = setTimeout(() => fail("none in time"), UPDATE_MS_MAX);
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    body += chunk;
    if (body.length > UPDATE_ANSWER_BYTES_MAX) fail("it is too long");
  });
  stream.on("error", (error) => fail(error.message));
  stream.on("end", () => resolve(body));
  stream.on("close", () => {
    clearTimeout(timer);
    reject(new Error("the connection is gone"));
  });
  stream.end(packet);
  return promise;
}

function failed(text: string): UpdateAnswer {
  return { rcode: Rcode.SERVFAIL, ede: ExtendedError.NETWORK_ERROR, text };
}
