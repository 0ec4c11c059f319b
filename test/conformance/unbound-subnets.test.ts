// SPDX-License-Identifier: Apache-2.0

// Unbound with subnetcache between two client nets and an edge (RFC 7871): each net has its own region, and an answer is kept for just those whom
// its scope names. Resolvers that send no subnet are located by the table of resolvers.

import assert from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import {
  decodeMessage,
  EdnsOptionCode,
  encodeMessage,
  findOption,
  formatEcs,
  formatName,
  makeQuery,
  parseEcs,
  RRType,
  type Message,
} from "@meridian/dns";
import {
  parsePrefix,
  writeClassifier,
  writeResolvers,
  type AddressPrefix,
} from "@meridian/snapshot/writer";
import { needs } from "../needs.ts";
import { startUnbound } from "../peers/unbound.ts";
import { boundModel } from "./bound-model.ts";
import { RunningEdge } from "./running-edge.ts";
import { wire } from "./test-server.ts";

const EU = "192.0.2.11";
const US = "192.0.2.21";
const name = "app.example.org.";

function prefix(text: string): AddressPrefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

const classifier = writeClassifier({
  orders: [[1], [0]],
  defaultClass: 0,
  prefixes: [{ prefix: prefix("127.0.10.0/24"), cls: 1 }],
  isExactPrefix: true,
});
const model = {
  ...boundModel,
  sections: [
    classifier,
    writeResolvers([{ resolver: prefix("127.0.30.0/24"), client: prefix("127.0.10.0/24") }]),
  ],
  policies: (boundModel.policies ?? []).map((policy) => ({
    ...policy,
    nodes: policy.nodes.map((node) =>
      node.classifier === undefined ? node : { ...node, classifier: classifier.key },
    ),
  })),
};

test(
  "each client net behind Unbound has its own region, as far as the scope reaches",
  { skip: needs("unbound", "unbound") },
  async (t) => {
    const edge = await RunningEdge.start();
    t.after(() => edge.close());
    await edge.serve(model);
    const relay = await Relay.start(t, edge.address.port);
    const resolver = await startUnbound(t, [{ origin: "example.org", port: relay.port }], {
      modules: "subnetcache iterator",
      server: [
        "qname-minimisation: no",
        'client-subnet-zone: "example.org"',
        "max-client-subnet-ipv4: 24",
      ],
    });
    const askFrom = async (client: string, to: string): Promise<void> =>
      assert.equal(addressIn(await ask(t, client, resolver)), to, client);
    await askFrom("127.0.10.5", EU);
    await askFrom("127.0.20.5", US);
    // Unbound asks again where a busy machine is slow to answer.
    const asked = relay.subnets.length;
    assert.deepEqual([...new Set(relay.subnets)], ["127.0.10.0/24", "127.0.20.0/24"]);
    await askFrom("127.0.10.6", EU);
    await askFrom("127.0.20.6", US);
    assert.equal(relay.subnets.length, asked, "others of a net have what is kept for it");
    assert.equal(addressIn(await ask(t, "127.0.30.53", edge.address.port)), EU);
    assert.equal(addressIn(await ask(t, "127.0.20.53", edge.address.port)), US);
  },
);

async function bound(t: TestContext, address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

async function ask(t: TestContext, from: string, port: number): Promise<Message> {
  const socket = await bound(t, from);
  socket.send(
    encodeMessage(makeQuery(wire(name), RRType.A, { rd: true, edns: {} })),
    port,
    "127.0.0.1",
  );
  const [bytes]: Buffer[] = await once(socket, "message");
  const message = decodeMessage(bytes ?? new Uint8Array(0));
  assert.ok(!("error" in message), JSON.stringify(message));
  return message;
}

function addressIn({ answer }: Message): string {
  return answer.map(({ rdata }) => rdata.join(".")).join(" ");
}

/** Stands between a resolver and an edge, and notes which subnets the name is asked for. */
class Relay {
  readonly subnets: string[] = [];
  readonly port: number;

  private constructor(socket: Socket, edgePort: number, upstream: Socket) {
    this.port = socket.address().port;
    const waiting = new Map<number, RemoteInfo>();
    socket.on("message", (bytes, from) => {
      this.#note(bytes);
      waiting.set(bytes.readUInt16BE(0), from);
      upstream.send(bytes, edgePort, "127.0.0.1");
    });
    upstream.on("message", (bytes) => {
      const to = waiting.get(bytes.readUInt16BE(0));
      if (to !== undefined) socket.send(bytes, to.port, to.address);
    });
  }

  static async start(t: TestContext, edgePort: number): Promise<Relay> {
    return new Relay(await bound(t, "127.0.0.1"), edgePort, await bound(t, "127.0.0.1"));
  }

  #note(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if ("error" in message) return;
    const isAsked = message.question.some(
      (question) => question.type === RRType.A && formatName(question.name).toLowerCase() === name,
    );
    if (!isAsked) return;
    const option = findOption(message.edns?.options ?? [], EdnsOptionCode.CLIENT_SUBNET);
    const subnet = option === undefined ? undefined : parseEcs(option.data);
    this.subnets.push(subnet === undefined ? "none" : formatEcs(subnet).replace(/\/0$/, ""));
  }
}
