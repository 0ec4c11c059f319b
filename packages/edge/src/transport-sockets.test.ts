// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";

import { loadNative } from "@meridian/native";
import type { Native } from "@meridian/native";

import { activatedSockets, closeSockets, openSockets, shareOfWorker } from "./transport-sockets.ts";
import type { OpenSocket } from "./transport-sockets.ts";

const loaded = loadNative();
const skip = loaded.kind === "missing" ? loaded.reason : false;
const ANY = { address: "127.0.0.1", port: 0, family: 4 } as const;

function native(): Native {
  assert.equal(loaded.kind, "loaded");
  return loaded.native;
}

const udpOf = (sockets: readonly OpenSocket[]): OpenSocket[] =>
  sockets.filter((socket) => socket.protocol === "udp");

describe("openSockets()", { skip }, () => {
  it("opens one UDP socket a worker and one TCP listener, all on the port that the kernel chose", () => {
    const sockets = openSockets(native(), [ANY], 3, [], 16);
    assert.deepEqual(
      sockets.map((socket) => socket.protocol),
      ["udp", "udp", "udp", "tcp"],
    );
    assert.equal(new Set(sockets.map((socket) => socket.listen.port)).size, 1);
    closeSockets(native(), sockets);
  });

  it("keeps all inherited sockets of an address, adds what is missing, closes those of other addresses", () => {
    const before = openSockets(native(), [ANY, ANY], 2, [], 16);
    const listen = before[0]?.listen ?? ANY;
    const kept = before.filter((socket) => socket.listen.port === listen.port);
    const more = openSockets(native(), [listen], 3, before, 16);
    assert.deepEqual(more.slice(0, kept.length), kept);
    assert.equal(udpOf(more).length, 3);
    for (const socket of before.filter((candidate) => !kept.includes(candidate))) {
      assert.throws(() => native().socketPort(socket.fd));
    }
    // Fewer workers than sockets: each socket is still read by exactly one.
    const shares = [0, 1].map((index) => shareOfWorker(more, index, 2));
    assert.deepEqual(
      shares.flat().toSorted((a, b) => a - b),
      udpOf(more)
        .map((socket) => socket.fd)
        .toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      shares.map((share) => share.length),
      [2, 1],
    );
    closeSockets(native(), more);
  });

  it("closes what it had opened when a later address fails", () => {
    const open = openSockets(native(), [ANY], 1, [], 16);
    const taken = open[0]?.listen ?? ANY;
    assert.throws(() => openSockets(native(), [ANY, taken], 1, [], 16), {
      code: "EDGE_LISTEN_IN_USE",
    });
    closeSockets(native(), open);
    closeSockets(native(), openSockets(native(), [taken], 1, [], 16));
  });
});

describe("activatedSockets()", { skip }, () => {
  it("finds none where the manager meant another process", () => {
    assert.deepEqual(activatedSockets(native(), { LISTEN_PID: "1", LISTEN_FDS: "2" }, 2), []);
    assert.deepEqual(activatedSockets(native(), {}, 2), []);
  });

  it("describes and adopts descriptors 3 and on", async () => {
    const sockets = openSockets(native(), [ANY], 1, [], 16);
    const [udp, tcp] = sockets;
    assert.ok(udp !== undefined && tcp !== undefined);
    const moduleUrl = new URL("transport-sockets.ts", import.meta.url).href;
    const script = `
      const { loadNative } = await import(${JSON.stringify(import.meta.resolve("@meridian/native"))});
      const { activatedSockets } = await import(${JSON.stringify(moduleUrl)});
      const environment = { LISTEN_PID: String(process.pid), LISTEN_FDS: "2" };
      console.log(JSON.stringify(activatedSockets(loadNative().native, environment, process.pid)));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit", udp.fd, tcp.fd],
    });
    const output: unknown = (await once(child.stdout ?? child, "data"))[0];
    const { listen } = udp;
    assert.deepEqual(JSON.parse(String(output)), [
      { protocol: "udp", listen, fd: 3 },
      { protocol: "tcp", listen, fd: 4 },
    ]);
    closeSockets(native(), sockets);
  });
});
