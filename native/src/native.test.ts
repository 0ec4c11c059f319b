// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readSync, rmSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { IcmpPinger } from "./icmp.ts";
import { loadNative } from "./load.ts";
import { TURN_POLL, TURN_SEND, TURN_WAIT } from "./native.ts";
import type { Native } from "./native.ts";

const loaded = loadNative();
const skip = loaded.kind === "missing" ? loaded.reason : false;

function native(): Native {
  assert.equal(loaded.kind, "loaded");
  return loaded.native;
}

describe("loadNative()", () => {
  it("says what is wrong with a file that is not there", () => {
    const result = loadNative("/nonexistent/meridian.node");
    assert.equal(result.kind, "missing");
    assert.match(result.reason, /"\/nonexistent\/meridian\.node" has not been built/);
  });
});

describe("openUdp()", { skip }, () => {
  it("throws EADDRINUSE for a port that is bound without sharing", () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 65_536, 50);
    const port = native().socketPort(fd);
    assert.throws(() => native().openUdp("127.0.0.1", port, 1, 65_536, 50), { code: "EADDRINUSE" });
    native().closeSocket(fd);
  });

  it("throws EINVAL for what is not a numeric address", () => {
    assert.throws(() => native().openUdp("example.org", 0, 0, 65_536, 50), { code: "EINVAL" });
    assert.throws(() => native().openUdp("127.0.0.1", 65_536, 0, 65_536, 50), { code: "EINVAL" });
  });

  it("throws EADDRNOTAVAIL for an address of another host", () => {
    assert.throws(() => native().openUdp("192.0.2.1", 0, 0, 65_536, 50), { code: "EADDRNOTAVAIL" });
  });
});

describe("turn()", { skip }, () => {
  it("returns 0 after the receive time-out, and at once when polling", () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 65_536, 30);
    const batch = native().createBatch([fd], 4, 512, 512);
    const start = performance.now();
    assert.equal(batch.turn(0, TURN_WAIT), 0);
    const waited = performance.now() - start;
    assert.ok(waited >= 20, `waited ${waited} ms`);
    assert.equal(batch.turn(0, TURN_POLL), 0);
    native().closeSocket(fd);
  });

  it("says how full the receive buffer is, and once that packets were lost", async () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 65_536, 1000);
    const batch = native().createBatch([fd], 64, 2048, 512);
    assert.equal(batch.pressure(), 0);
    const client = createSocket("udp4").bind(0, "127.0.0.1");
    await once(client, "listening");
    const packet = new Uint8Array(1024);
    const port = native().socketPort(fd);
    for (let sent = 0; sent < 1000; sent += 1)
      await new Promise((resolve) => client.send(packet, port, "127.0.0.1", resolve));
    assert.ok(batch.pressure() < -500);
    assert.ok(batch.pressure() > 500);
    while (batch.turn(0, TURN_POLL) > 0);
    assert.equal(batch.pressure(), 0);
    client.close();
    native().closeSocket(fd);
  });

  it("takes several packets at once, flags one that is too long, and sends only what has a length", async () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 1 << 20, 1000);
    const client = createSocket("udp4");
    client.bind(0, "127.0.0.1");
    await once(client, "listening");
    const packets = ["one", "x".repeat(600), "three"];
    for (const packet of packets) {
      client.send(packet, native().socketPort(fd), "127.0.0.1");
    }
    const size = 8;
    const batch = native().createBatch([fd], size, 512, 512);
    const meta = new Int32Array(batch.meta);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(batch.turn(0, TURN_WAIT), 3);
    assert.deepEqual([...meta.subarray(0, 3)], [3, 0, 5]);
    assert.deepEqual([...meta.subarray(3 * size, 3 * size + 3)], [4, 4, 4]);
    const source = new Uint8Array(batch.sources, meta[2 * size], 4);
    assert.deepEqual([...source], [127, 0, 0, 1]);
    assert.equal(new Float64Array(batch.stats)[1], 1);
    // Answer only the third.
    new Uint8Array(batch.output).set(Buffer.from("answer"), 2 * 512);
    meta.set([0, 0, 6], size);
    const answered = once(client, "message");
    batch.turn(3, TURN_SEND);
    const message: unknown = (await answered)[0];
    assert.equal(String(message), "answer");
    client.close();
    native().closeSocket(fd);
  });

  it("serves several sockets of both families in one batch", async () => {
    const fds = [
      native().openUdp("127.0.0.1", 0, 0, 1 << 20, 50),
      native().openUdp("::1", 0, 0, 1 << 20, 50),
    ];
    const batch = native().createBatch(fds, 8, 512, 512);
    const meta = new Int32Array(batch.meta);
    const clients = [createSocket("udp4"), createSocket("udp6")] as const;
    clients[0].send("four", native().socketPort(fds[0] ?? -1), "127.0.0.1");
    clients[1].send("six", native().socketPort(fds[1] ?? -1), "::1");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(batch.turn(0, TURN_WAIT), 2);
    const output = new Uint8Array(batch.output);
    for (let i = 0; i < 2; i += 1) {
      output.set(Buffer.from(`${meta[24 + i]}`), i * 512);
      meta[8 + i] = 1;
    }
    const replies = Promise.all(clients.map((client) => once(client, "message")));
    batch.turn(2, TURN_SEND);
    assert.deepEqual(
      (await replies).map(([message]) => String(message)),
      ["4", "6"],
    );
    for (const client of clients) client.close();
    for (const fd of fds) native().closeSocket(fd);
  });

  it("goes on past an answer that cannot be sent and counts it", async () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 1 << 20, 1000);
    const client = createSocket("udp4");
    client.send("a", native().socketPort(fd), "127.0.0.1");
    client.send("b", native().socketPort(fd), "127.0.0.1");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const batch = native().createBatch([fd], 8, 512, 512);
    const meta = new Int32Array(batch.meta);
    assert.equal(batch.turn(0, TURN_WAIT), 2);
    new Uint8Array(batch.sources).fill(0, 2, 4); // The first client's port becomes 0.
    meta.set([1, 1], 8);
    const answered = once(client, "message");
    batch.turn(2, TURN_SEND);
    await answered;
    assert.equal(new Float64Array(batch.stats)[0], 1);
    client.close();
    native().closeSocket(fd);
  });

  it("throws for a descriptor that is no socket", () => {
    const fd = native().openUdp("127.0.0.1", 0, 0, 65_536, 30);
    const batch = native().createBatch([fd], 4, 512, 512);
    native().closeSocket(fd);
    assert.throws(() => batch.turn(0, TURN_POLL), { code: "EBADF" });
  });
});

describe("sendSockets()", { skip }, () => {
  it("passes descriptors in order, with what is queued in them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-native-"));
    const path = join(folder, "receiver.sock");
    const receiver = native().openHandover(path);
    assert.deepEqual(native().receiveSockets(receiver), []);
    const fds = [1, 2, 3].map(() => native().openUdp("127.0.0.1", 0, 0, 65_536, 50));
    const ports = fds.map((fd) => native().socketPort(fd));
    const client = createSocket("udp4");
    client.send("queued", ports[1] ?? 0, "127.0.0.1");
    await new Promise((resolve) => setTimeout(resolve, 50));
    native().sendSockets(path, fds);
    for (const fd of fds) native().closeSocket(fd);
    const received = native().receiveSockets(receiver);
    assert.deepEqual(
      received.map((fd) => native().socketPort(fd)),
      ports,
    );
    assert.equal(
      native()
        .createBatch([received[1] ?? -1], 1, 512, 512)
        .turn(0, TURN_WAIT),
      1,
    );
    for (const fd of [...received, receiver]) native().closeSocket(fd);
    client.close();
    rmSync(folder, { recursive: true });
  });
});

describe("IcmpPinger", { skip }, () => {
  for (const [family, address] of [
    [4, "127.0.0.1"],
    [6, "::1"],
  ] as const) {
    it(`gets an echo from ${address}, and none from an address that drops`, async (test) => {
      let pinger: IcmpPinger;
      try {
        pinger = IcmpPinger.open(native(), family);
      } catch (error) {
        test.skip(`no ICMP socket is allowed here: ${String(error)}`);
        return;
      }
      const results = await Promise.all([1, 2, 3].map(() => pinger.echo(address, 1000)));
      for (const result of results) assert.equal(result.kind, "reply");
      const wrong = await pinger.echo(family === 4 ? "::1" : "127.0.0.1", 100);
      assert.equal(wrong.kind, "failed");
      const pending = pinger.echo(family === 4 ? "224.0.0.1" : "2001:db8::1", 50);
      assert.notEqual((await pending).kind, "reply");
      pinger.close();
      pinger.close();
    });
  }
});

describe("adviseHugePages()", { skip }, () => {
  it("leaves bytes as they are, of shared memory too, and refuses what is no bytes", () => {
    const bytes = new Uint8Array(new SharedArrayBuffer(3_000_001));
    bytes[2_999_999] = 7;
    native().adviseHugePages(bytes);
    native().adviseHugePages(bytes.subarray(1, 2));
    native().adviseHugePages(new Uint8Array(0));
    assert.deepEqual([bytes[0], bytes[2_999_999]], [0, 7]);
    // @ts-expect-error -- what TypeScript keeps callers from
    assert.throws(() => native().adviseHugePages("no bytes"), TypeError);
  });
});

describe("setSlice()", { skip }, () => {
  it("takes a slice for this thread, keeps its nice value, and refuses what is no number", () => {
    const before = getPriority(0);
    native().setSlice(100_000);
    assert.equal(getPriority(0), before);
    native().setSlice(3_000_000);
    // @ts-expect-error -- what TypeScript keeps callers from
    assert.throws(() => native().setSlice("short"), TypeError);
  });
});

describe("setPatience()", { skip }, () => {
  it("changes how this thread wakes, keeps its nice value, and refuses what is no number", () => {
    const before = getPriority(0);
    native().setPatience(1);
    assert.equal(policyOfThread(), SCHED_BATCH);
    assert.equal(getPriority(0), before);
    native().setPatience(0);
    assert.equal(policyOfThread(), SCHED_OTHER);
    // @ts-expect-error -- what TypeScript keeps callers from
    assert.throws(() => native().setPatience("very"), TypeError);
  });
});

describe("setUrgency()", { skip }, () => {
  it("goes before fair threads and back, and refuses what is no number", (context) => {
    const before = getPriority(0);
    try {
      native().setUrgency(1, 0);
    } catch (error) {
      assert.match(String(error), /EPERM|EINVAL/);
      context.skip("this user may have no policy of real time here");
      return;
    }
    assert.equal(policyOfThread(), SCHED_FIFO);
    native().setPatience(1);
    assert.equal(policyOfThread(), SCHED_BATCH);
    native().setUrgency(1, 0);
    native().setUrgency(0, 0);
    assert.equal(policyOfThread(), SCHED_OTHER);
    assert.equal(getPriority(0), before);
    // @ts-expect-error -- what TypeScript keeps callers from
    assert.throws(() => native().setUrgency("very", 0), TypeError);
  });
});

/** As sched(7) numbers them, and /proc/thread-self/stat has them in its 41st field. */
const SCHED_OTHER = 0;
const SCHED_FIFO = 1;
const SCHED_BATCH = 3;

function policyOfThread(): number {
  const [, afterName = ""] = readFileSync("/proc/thread-self/stat", "utf8").split(") ");
  // The first field after the name is the third.
  return Number(afterName.split(" ")[38]);
}

describe("notifyManager()", { skip }, () => {
  it("sends a datagram to a path, and throws where nobody is", () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-native-"));
    const path = join(folder, "notify");
    const fd = native().openHandover(path);
    native().notifyManager(path, "READY=1");
    native().notifyManager(path, "");
    const bytes = Buffer.alloc(64);
    assert.equal(bytes.toString("utf8", 0, readSync(fd, bytes)), "READY=1");
    native().closeSocket(fd);
    assert.throws(() => native().notifyManager(path, "READY=1"), { code: "ECONNREFUSED" });
    rmSync(folder, { recursive: true });
    assert.throws(() => native().notifyManager(path, "READY=1"), { code: "ENOENT" });
    assert.throws(() => native().notifyManager("@meridian-nobody", "x"), { code: "ECONNREFUSED" });
    assert.throws(() => native().notifyManager(path, "x".repeat(1024)), TypeError);
  });
});
