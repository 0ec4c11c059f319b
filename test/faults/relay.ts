// SPDX-License-Identifier: Apache-2.0

// A long way between two machines: passes TCP connections on, each piece of data late by a delay that changes between two bounds, in
// order. Arguments: LISTEN_HOST PORT TARGET_HOST PORT LEAST_MS MOST_MS.

import { connect, createServer, type Socket } from "node:net";

const [listenHost, listenPort, targetHost, targetPort, leastMs, mostMs] = process.argv.slice(2);

createServer({ allowHalfOpen: true }, (caller) => {
  const callee = connect({ host: targetHost, port: Number(targetPort), allowHalfOpen: true });
  passOn(caller, callee);
  passOn(callee, caller);
}).listen(Number(listenPort), listenHost, () => process.stdout.write("relaying\n"));

function passOn(from: Socket, to: Socket): void {
  let isLast = Promise.resolve();
  const later = (act: () => void): void => {
    const ms = Number(leastMs) + Math.random() * (Number(mostMs) - Number(leastMs));
    const due = new Promise<void>((done) => {
      setTimeout(done, ms);
    });
    // Nothing overtakes what came before it.
    isLast = isLast.then(() => due).then(act);
  };
  from.on("data", (data) => later(() => to.write(data)));
  from.on("end", () => later(() => to.end()));
  from.on("error", () => to.destroy());
  from.on("close", () => later(() => to.destroy()));
}
