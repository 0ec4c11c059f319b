// SPDX-License-Identifier: Apache-2.0
import type { ClientHttp2Session } from "node:http2";
import { LinkPath } from "@meridian/snapshot";

/** A section that stops coming is given up after this. */
const FETCH_SILENCE_MS_MAX = 10_000;

/** Fetches the bytes that control has under this name; rejects where they are not so many. */
export function fetchSection(
  session: ClientHttp2Session,
  name: string,
  bytes: number,
): Promise<SharedArrayBuffer> {
  const { promise, resolve, reject } = Promise.withResolvers<SharedArrayBuffer>();
  if (session.destroyed) return Promise.reject(new Error("the connection is gone"));
  const stream = session.request({
    ":method": "GET",
    ":path": `${LinkPath.sections}${name}`,
  });
  const buffer = new SharedArrayBuffer(bytes);
  const content = new Uint8Array(buffer);
  let at = 0;
  const fail = (reason: string): void => {
    reject(new Error(`Section ${name}: ${reason}`));
    stream.close();
  };
  stream.setTimeout(FETCH_SILENCE_MS_MAX, () => fail("it stopped coming"));
  stream.on("response", (headers) => {
    const status = headers[":status"];
    if (status !== 200) fail(`control answers ${status}`);
  });
  stream.on("data", (chunk: Buffer) => {
    if (at + chunk.length > bytes) {
      fail(`it has more than ${bytes} bytes`);
      return;
    }
    content.set(chunk, at);
    at += chunk.length;
  });
  stream.on("error", (error) => fail(error.message));
  stream.on("end", () => {
    if (at === bytes) resolve(buffer);
    else fail(`it ends after ${at} bytes, expected ${bytes}`);
  });
  stream.on("close", () => reject(new Error(`Section ${name}: the connection is gone`)));
  return promise;
}
