// SPDX-License-Identifier: Apache-2.0

// Real disks that are full. An edge's: it serves what comes all the same, and keeps it once there is room. Control's: updates are refused with
// the reason and nothing of them is done, a copy of another server's zone stays what it was. Answers go on, and so does all else, by itself.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ExtendedError, RRType, Rcode, rcodeToText } from "@meridian/dns";
import { udpClient } from "../conformance/dns-client.ts";
import { needs } from "../needs.ts";
import { PrimaryKnot } from "../peers/knot-primary.ts";
import { ask } from "./ask.ts";
import { plainDocuments } from "./documents.ts";
import { answersOf, askFor, edeOf, secret, signed, txt, update } from "./dynamic-update.ts";
import { PlaneProcess, joinedFolder } from "./edge-processes.ts";
import { busyFactor, freePort, temporaryFolder, until } from "./process.ts";
import { SmallDisk, needsSmallDisk } from "./small-disk.ts";

const WAIT_MS_MAX = 30_000;
const DISK_BYTES = 32 << 20;
/** What a file has left of a page that it has already may take some. */
const UPDATES_MAX = 50;
const HOSTS = 2000;

const documents = (primary: number): string => `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  nameServers: [{ name: ns1.example.org, addresses: [192.0.2.53] }]
  records: [{ name: www, type: A, values: [192.0.2.1] }]
  tsigKeys: { ddns.example: { secret: { file: ddns } } }
  updates: { mode: store, allow: [{ key: ddns.example }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: copy.test }
spec:
  origin: copy.test
  tsigKeys: { ddns.example: { secret: { file: ddns } } }
  secondary: { primaries: [{ address: 127.0.0.1, port: ${primary}, tsigKey: ddns.example }] }
`;

/** Hosts of the primary's zone, each with the version that it is of. */
function zoneOf(version: number): string {
  const apex = `@ 60 SOA ns1 h ${version} 1 1 1209600 5\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n`;
  const hosts = Array.from({ length: HOSTS }, (_, index) => `h${index} 60 TXT "${version}"\n`);
  return apex + hosts.join("");
}

test(
  "a full disk refuses what cannot be kept, changes nothing by half, and stops no answer",
  { skip: needsSmallDisk() || needs("knotd", "knot") || needs("knotc", "knot") },
  async (t) => {
    const folder = temporaryFolder(t);
    const disk = async (name: string): Promise<SmallDisk> => {
      mkdirSync(join(folder, name));
      return SmallDisk.open(t, join(folder, name), DISK_BYTES);
    };
    const [ofControl, ofEdge] = [await disk("disk-of-control"), await disk("disk-of-edge")];
    const secrets = join(ofControl.outside, "state", "secrets", "default");
    mkdirSync(secrets, { recursive: true, mode: 0o700 });
    writeFileSync(join(secrets, "ddns"), secret, { mode: 0o600 });
    const key = { name: "ddns.example", secret };
    const zone = { origin: "copy.test.", text: zoneOf(1), key };
    const knot = await PrimaryKnot.start(t, join(folder, "knot"), zone);
    const files = join(folder, "documents.yaml");
    writeFileSync(files, documents(knot.port));
    const listen = `127.0.0.1:${await freePort()}`;
    const http = await freePort();
    const control = new PlaneProcess(
      t,
      join(ofControl.path, "state"),
      ["control", "-f", files, "--edges", listen, "--http", `127.0.0.1:${http}`],
      ofControl.inside,
    );
    await control.start(/"msg":"Serving edges"/);
    const url = `https://${listen}`;
    const asSeen = new PlaneProcess(t, join(ofControl.outside, "state"), []);
    await joinedFolder({ folder: ofEdge.outside, control: asSeen, url }, "edge");
    const port = await freePort();
    const edge = new PlaneProcess(
      t,
      join(ofEdge.path, "edge"),
      [
        ...["edge", "--control", url, "--listen", `127.0.0.1:${port}`, "--workers", "1"],
        ...["--site", "edge", "--http", "none"],
      ],
      ofEdge.inside,
    );
    await edge.start(/"msg":"Answering"|"msg":"Waiting/);
    const client = await udpClient("127.0.0.1", port);
    t.after(() => client.close());

    const eventually = (what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
      until(what, WAIT_MS_MAX * busyFactor(), isSo);
    /** Asks until somebody answers: no answer is not the same as an answer with nothing in it. */
    const found = async (name: string, type: number = RRType.TXT): Promise<Uint8Array[]> => {
      let answers: Uint8Array[] | undefined;
      await eventually(`an answer about ${name}`, async () => {
        answers = await answersOf(client, name, type).catch(() => undefined);
        return answers !== undefined;
      });
      return answers ?? [];
    };
    const isServed = async (name: string): Promise<boolean> => (await found(name)).length > 0;
    // One that is not answered in time may be done or not.
    const send = async (name: string): Promise<[string, number | undefined, string]> => {
      const twice = [txt(name), txt(`also.${name}`)];
      const answer = await askFor(client, signed(update({ updates: twice }))).catch(
        () => undefined,
      );
      if (answer === undefined) return ["", undefined, ""];
      const ede = edeOf(answer);
      return [rcodeToText(answer.rcode), ede?.infoCode, ede?.text ?? ""];
    };
    const isTaken = async (name: string): Promise<boolean> =>
      (await send(name))[0] === rcodeToText(Rcode.NOERROR);
    const copied = async (host: number): Promise<string> => {
      const [rdata = new Uint8Array(1)] = await found(`h${host}.copy.test.`);
      return Buffer.from(rdata.subarray(1)).toString();
    };
    await eventually("the first update", () => isTaken("before.example.org."));
    await eventually("it at the edge", () => isServed("before.example.org."));
    await eventually("the copy", async () => (await copied(0)) === "1");

    // The edge has no room: what comes is served, and that it cannot be kept is said.
    ofEdge.fill();
    await eventually("an update", () => isTaken("edge-full.example.org."));
    await eventually("it at the edge", () => isServed("edge-full.example.org."));
    await edge.whenLogged(/no space left[^\n]*"msg":"Cannot keep revision/);
    const text = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${http}${path}`)).text();
    const alert = 'meridian_alerts{event="edge-disk"}';
    await eventually("the alert", async () => (await text("/metrics")).includes(`${alert} 1\n`));
    assert.match(
      await text("/v1/edges"),
      /"disk":\{"what":"the [^"]*","reason":"[^"]*no space left/,
    );
    ofEdge.empty();
    await eventually("no alert", async () => (await text("/metrics")).includes(`${alert} 0\n`));
    assert.doesNotMatch(await text("/v1/edges"), /"disk"/);

    // Control has no room.
    ofControl.fill();
    await knot.become(zoneOf(2));
    const acknowledged: string[] = [];
    const refused: string[] = [];
    for (let index = 0; index < UPDATES_MAX && refused.length < 2; index += 1) {
      const name = `full-${index}.example.org.`;
      const [rcode, ede, text] = await send(name);
      if (rcode === rcodeToText(Rcode.NOERROR)) acknowledged.push(name);
      else if (rcode !== "") {
        refused.push(name);
        assert.deepEqual([rcode, ede], ["SERVFAIL", ExtendedError.OTHER]);
        assert.match(text, /database or disk is full/);
      }
    }
    assert.equal(refused.length, 2);
    await control.whenLogged(
      /"rcode":"SERVFAIL","reason":"[^"]*full"[^\n]*Refused a dynamic update/,
    );
    await control.whenLogged(/"zone":"copy.test[^\n]*disk is full/);
    assert.equal((await found("www.example.org.", RRType.A)).length, 1);
    for (const name of ["before.example.org.", "also.before.example.org."])
      assert.ok(await isServed(name), name);
    for (const host of [0, HOSTS / 2, HOSTS - 1]) assert.equal(await copied(host), "1");
    for (const name of refused)
      for (const part of [name, `also.${name}`]) assert.ok(!(await isServed(part)), part);
    // It has room again.
    ofControl.empty();
    await eventually("updates again", () => isTaken("after.example.org."));
    await eventually("it at the edge", () => isServed("after.example.org."));
    await eventually("the copy's changes", async () => (await copied(0)) === "2");
    for (const host of [HOSTS / 2, HOSTS - 1]) assert.equal(await copied(host), "2");

    // What was acknowledged outlives both processes, and the edge has all of it before control is back.
    await Promise.all([control.kill(), edge.kill()]);
    await edge.start(/"msg":"Answering"/);
    for (const name of ["edge-full.example.org.", "after.example.org."])
      await eventually(`${name} from the edge's disk`, () => isServed(name));
    assert.equal(await copied(0), "2");
    await control.start(/"msg":"Serving edges"/);
    await eventually("updates after all", () => isTaken("last.example.org."));
    for (const name of ["before.example.org.", "after.example.org.", ...acknowledged])
      for (const part of [name, `also.${name}`])
        await eventually(`${part} at the edge`, () => isServed(part));
    for (const name of refused)
      for (const part of [name, `also.${name}`]) assert.ok(!(await isServed(part)), part);
  },
);

test(
  "a revision that control's full disk refused is served, said, and on disk as soon as there is room",
  { skip: needsSmallDisk() },
  async (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, "disk"));
    const disk = await SmallDisk.open(t, join(folder, "disk"), DISK_BYTES);
    const files = join(folder, "documents.yaml");
    writeFileSync(files, plainDocuments("192.0.2.1"));
    const [port, http] = [await freePort(), await freePort()];
    const server = new PlaneProcess(
      t,
      join(disk.path, "state"),
      [
        ...["up", "-f", files, "--listen", `127.0.0.1:${port}`, "--workers", "1"],
        ...["--http", `127.0.0.1:${http}`],
      ],
      disk.inside,
    );
    await server.start(/"msg":"Answering"/);
    const client = await udpClient("127.0.0.1", port);
    t.after(() => client.close());
    const text = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${http}${path}`)).text();
    const eventually = (what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
      until(what, WAIT_MS_MAX * busyFactor(), isSo);
    const untilAnswered = (address: string): Promise<unknown> =>
      eventually(`the answer ${address}`, async () => {
        const found = await ask(client, "www.e2e.example", "A").catch(() => []);
        return found.join(" ") === address;
      });
    await untilAnswered("192.0.2.1");
    disk.fill();
    writeFileSync(files, plainDocuments("192.0.2.2"));
    await untilAnswered("192.0.2.2");
    await server.whenLogged(/no space left[^\n]*"msg":"Cannot keep revision 2 /);
    const alert = 'meridian_alerts{event="unkept-revision"}';
    await eventually("the alert", async () => (await text("/metrics")).includes(`${alert} 1\n`));
    assert.match(
      await text("/v1/status"),
      /"subject":"state folder","message":"Cannot keep revision 2, which is served: [^"]*no space left/,
    );
    disk.empty();
    await server.whenLogged(/"msg":"The state folder has the revision after all"/);
    await eventually("no alert", async () => (await text("/metrics")).includes(`${alert} 0\n`));
    assert.doesNotMatch(await text("/v1/status"), /state folder/);

    // A process that starts serves it, whatever its files say by then.
    await server.kill();
    writeFileSync(files, "nothing of use");
    await server.start(/"msg":"Answering"/);
    await untilAnswered("192.0.2.2");
  },
);
