// SPDX-License-Identifier: Apache-2.0

// Random names of a mixed zone, there or not, judged by validators that others wrote. `VALIDATED_NAMES=10000` asks Unbound for that many
// with each kind of denial, `DELV_NAMES=10000` delv for as many of them, a process each. Another number of names is another list.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Pcg32 } from "@meridian/core";
import {
  decodeMessage,
  encodeMessage,
  formatRdata,
  makeQuery,
  Rcode,
  RRType,
  typeToText,
  type Message,
} from "@meridian/dns";
import { PER_MILLE } from "@meridian/snapshot";
import type { BranchInput, PolicyInput } from "@meridian/snapshot/writer";
import { needs } from "../needs.ts";
import { startUnbound } from "../peers/unbound.ts";
import { toPolicy, toPool } from "./bound-model.ts";
import { udpClient } from "./dns-client.ts";
import { RunningEdge } from "./running-edge.ts";
import { signingFixture } from "./signing-fixture.ts";
import { testMember, testPool, wire, type TestModel } from "./test-server.ts";

const NAMES = Number(process.env["VALIDATED_NAMES"] ?? 200);
const DELV_NAMES = Number(process.env["DELV_NAMES"] ?? 5);
const AT_ONCE = 8;
const EACH = 30;
const apex = "mixed.test.";
/** Its names have an IPv6 address in some draws only. */
const DRAWN = "one";
const ADDRESSES = [RRType.A, RRType.AAAA];

function policy(
  name: string,
  kind: PolicyInput["nodes"][number]["kind"],
  targets: readonly BranchInput["target"][],
): PolicyInput {
  const branches = targets.map((target, index) => ({
    ...{ target, weight: index + 1, dial: PER_MILLE, tier: 0 },
    ...{ isFence: false, evaluateHealth: true },
  }));
  return {
    name: `default/${name}`,
    root: "root",
    nodes: [
      {
        ...{ name: "root", kind, branches, onAllUnhealthy: "open" as const },
        ...{ answers: 0, minHealthy: undefined },
      },
    ],
  };
}

const numbers = Array.from({ length: EACH }, (_, index) => index);
const text = `
$ORIGIN ${apex}
$TTL 60
@ SOA ns root 1 7200 900 1209600 30
@ NS ns
@ MX 5 ns
ns A 192.0.2.53
www A 192.0.2.1
www TXT "one" "two"
*.wild A 192.0.2.2
*.wild TXT "any"
deep.er.than.that A 192.0.2.3
old DNAME wild
secure NS ns.secure
secure DS 12345 13 2 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
ns.secure A 192.0.2.54
plain NS ns.plain
ns.plain A 192.0.2.55
${numbers
  .map(
    (index) => `static${index} A 192.0.2.${index}
web${index} HTTPS 1 . alpn=h2
svc${index} SVCB 1 www port=53
chain${index} CNAME ${index === 0 ? "www" : `chain${Math.floor(index / 4)}`}
to-bound${index} CNAME many${index}
`,
  )
  .join("")}`;

const model: TestModel = {
  zones: [
    {
      ...{ origin: apex, text, options: { answerVariants: 8 } },
      bound: [
        { owner: apex, types: [...ADDRESSES, RRType.HTTPS], binding: toPolicy("away") },
        { owner: `*.any.${apex}`, types: ADDRESSES, binding: toPool("many") },
        ...numbers.flatMap((index) => [
          { owner: `many${index}.${apex}`, types: ADDRESSES, binding: toPolicy("many") },
          {
            owner: `one${index}.${apex}`,
            types: [...ADDRESSES, RRType.HTTPS, RRType.SVCB],
            binding: toPolicy("one"),
          },
          { owner: `four${index}.${apex}`, types: ADDRESSES, binding: toPool("four") },
          { owner: `away${index}.${apex}`, types: ADDRESSES, binding: toPolicy("away") },
        ]),
      ],
    },
  ],
  pools: [
    testPool(
      "default/many",
      numbers.map((index) => testMember(`m${index}`, index)),
      8,
    ),
    testPool("default/four", [{ ...withoutIpv6(testMember("v4", 99)) }]),
  ],
  policies: [
    policy("many", "multivalue", [{ pool: "default/many" }]),
    policy("one", "weighted", [{ pool: "default/many" }, { pool: "default/four" }]),
    policy("away", "weighted", [{ name: wire(`www.${apex}`) }]),
  ],
};

function withoutIpv6({
  ipv6: _,
  ...rest
}: ReturnType<typeof testMember>): ReturnType<typeof testMember> {
  return rest;
}

/** What each question may ask for; `#` becomes a number, `?` a label that nobody asked before. */
const patterns: readonly (readonly [name: string, types: readonly number[]])[] = [
  ["", [RRType.SOA, RRType.NS, RRType.MX, RRType.A, RRType.AAAA, RRType.HTTPS, RRType.TXT]],
  ["static#.", [RRType.A, RRType.AAAA]],
  ["one#.", [RRType.A, RRType.AAAA, RRType.HTTPS, RRType.SVCB, RRType.TXT]],
  ["many#.", [RRType.A, RRType.AAAA, RRType.MX]],
  ["four#.", [RRType.A, RRType.AAAA]],
  ["away#.", [RRType.A, RRType.AAAA]],
  ["web#.", [RRType.HTTPS, RRType.A]],
  ["svc#.", [RRType.SVCB, RRType.A]],
  ["chain#.", [RRType.A, RRType.AAAA, RRType.TXT]],
  ["to-bound#.", [RRType.A, RRType.AAAA]],
  ["?.wild.", [RRType.A, RRType.AAAA, RRType.TXT]],
  ["?.?.wild.", [RRType.A]],
  ["?.any.", [RRType.A, RRType.AAAA]],
  ["?.old.", [RRType.A, RRType.AAAA]],
  ["secure.", [RRType.DS]],
  ["plain.", [RRType.DS]],
  ["than.that.", [RRType.A]],
  ["?.", [RRType.A, RRType.AAAA]],
  ["?.?.", [RRType.A]],
  ["?.static#.", [RRType.A]],
  ["?.er.than.that.", [RRType.A]],
];

function questionsOf(count: number): (readonly [name: string, type: number])[] {
  const random = new Pcg32(count);
  const below = (bound: number): number => random.next32() % bound;
  return Array.from({ length: count }, () => {
    const [pattern = "", types = [RRType.A]] = patterns[below(patterns.length)] ?? [];
    const name = pattern
      .replaceAll("#", () => String(below(EACH)))
      .replaceAll("?", () => random.next32().toString(36));
    return [`${name}${apex}`, types[below(types.length)] ?? RRType.A] as const;
  });
}

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-validated-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

for (const denial of ["nsec", "nsec3", "compact"] as const)
  test(
    `Unbound and delv validate random names of a mixed zone: ${denial}`,
    { skip: needs("unbound", "unbound") || needs("delv", "bind9-dnsutils") },
    async (context) => {
      const fixture = signingFixture(apex, Math.floor(Date.now() / 1000), {
        denial,
        isSplit: true,
      });
      const edge = await RunningEdge.start();
      context.after(() => edge.close());
      await edge.serve(model, [fixture.material]);
      const { port } = edge.address;
      const folder = temporaryFolder(context);
      const zone = { origin: apex, port, anchor: fixture.anchor };
      const resolver = await startUnbound(context, [zone]);
      const [judge, direct] = await Promise.all(
        [resolver, port].map((at) => udpClient("127.0.0.1", at)),
      );
      assert.ok(judge !== undefined && direct !== undefined);
      context.after(() => {
        judge.close();
        direct.close();
      });
      const questions = questionsOf(NAMES);
      const found = { answered: 0, noData: 0, nameErrors: 0 };
      for (let from = 0; from < questions.length; from += AT_ONCE)
        await Promise.all(
          questions.slice(from, from + AT_ONCE).map(async ([name, type]) => {
            const [message, plain] = await Promise.all([
              judge.ask(packetOf(name, type, true)).then(read),
              direct.ask(packetOf(name, type, false)).then(read),
            ]);
            const label = `${name} ${typeToText(type)}`;
            const isCompact = denial === "compact" && plain.rcode === Rcode.NXDOMAIN;
            const expected = isCompact ? Rcode.NOERROR : plain.rcode;
            assert.deepEqual([message.rcode, message.flags.ad], [expected, true], label);
            const [has, hadPlain] = [message, plain].map(({ answer }) =>
              answer.some((record) => record.type === type),
            );
            // What is drawn has another turn now and then: the resolver may still hold the one before.
            if (!name.startsWith(DRAWN)) assert.equal(has, hadPlain, label);
            if (plain.rcode === Rcode.NXDOMAIN) found.nameErrors += 1;
            else if (has === true) found.answered += 1;
            else found.noData += 1;
          }),
        );
      await delvAgrees(folder, port, fixture.anchor, questions.slice(0, DELV_NAMES));
      context.diagnostic(`${JSON.stringify(found)} validated, ${DELV_NAMES} of them by delv, too`);
      assert.ok(Math.min(found.answered, found.noData, found.nameErrors) > 0);
    },
  );

async function delvAgrees(
  folder: string,
  port: number,
  anchor: Uint8Array,
  questions: readonly (readonly [name: string, type: number])[],
): Promise<void> {
  const file = join(folder, "anchor.conf");
  const [flags, protocol, algorithm, key] = formatRdata(RRType.DNSKEY, anchor).split(" ");
  writeFileSync(
    file,
    `trust-anchors { "${apex}" static-key ${flags} ${protocol} ${algorithm} "${key}"; };\n`,
  );
  for (let from = 0; from < questions.length; from += AT_ONCE)
    await Promise.all(
      questions.slice(from, from + AT_ONCE).map(async ([name, type]) => {
        const { stdout, stderr } = await promisify(execFile)("delv", [
          ...["@127.0.0.1", "-p", String(port), "-a", file],
          ...[`+root=${apex}`, name, typeToText(type)],
        ]);
        const said = `${stdout}${stderr}`;
        assert.match(said, /fully validated/, `${name} ${typeToText(type)}: ${said}`);
        assert.doesNotMatch(said, /unsigned answer/, said);
      }),
    );
}

function packetOf(name: string, type: number, isDo: boolean): Uint8Array {
  const edns = { udpSize: 1232, do: isDo };
  return encodeMessage(makeQuery(wire(name), type, { rd: true, edns }));
}

function read(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  return message;
}
