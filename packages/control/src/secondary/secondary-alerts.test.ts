// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaisedAlerts } from "../notifications/alert.ts";
import { SecondaryAlerts } from "./secondary-alerts.ts";

const NOW = 1_700_000_000;
const DAY = 86_400;

test("a copy that ends soon and signatures that do are told of, until they do no longer", () => {
  const board = new RaisedAlerts();
  const alerts = new SecondaryAlerts(board);
  let nowMs = NOW * 1000;
  const look = (expiresSeconds: number, signedUntilSeconds: number): string[] => {
    nowMs += 5000;
    const facts = {
      ...{ expiresSeconds, signedUntilSeconds, expireSeconds: 40 * DAY },
      ...{ partCount: 1, serial: 1, takenMs: 0, primary: "192.0.2.1" },
    };
    const waiting = { origin: "new.test", namespace: "default", facts: undefined };
    alerts.look(() => [{ origin: "a.test", namespace: "default", facts }, waiting], nowMs);
    return [...board.all()].map(({ event, subject, summary }) => `${event} ${subject} ${summary}`);
  };
  assert.deepEqual(look(NOW + 11 * DAY, 0), []);
  const [ending] = look(NOW + 9 * DAY, NOW + 2 * DAY);
  assert.match(ending ?? "", /^expiring-zone zone\/a\.test The copy of a\.test ends at 2023-/);
  const both = look(NOW - 1, NOW + DAY - 60);
  assert.match(
    both.join(),
    /^expiring-zone .* has ended at 2023-.*expiring-signature zone\/a\.test/,
  );
  assert.deepEqual(look(NOW + 40 * DAY, NOW + 3 * DAY), []);
  assert.equal(look(NOW, 0).length, 1);
  alerts.clear();
  assert.equal([...board.all()].length, 0);
});
