// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { ageField, colourWords, field, formatAge, rowsOf, tableLines } from "./output.ts";

test("tableLines() makes columns as wide as they need to be, numbers to the right", () => {
  const rows = [
    { name: "a", count: 7, more: "x" },
    { name: "longer", count: 12, more: "" },
  ];
  const columns = [field("NAME", "name"), field("N", "count", true), field("MORE", "more")];
  assert.deepEqual(tableLines(rows, columns, false), [
    "NAME     N  MORE",
    "a        7  x",
    "longer  12",
  ]);
});

test("tableLines() shows what is missing as nothing, and objects as JSON", () => {
  const columns = [field("A", "a"), field("B", "b"), ageField("AGE", "at", 5000)];
  assert.deepEqual(tableLines([{ b: [1], at: 2000 }, {}], columns, false), [
    "A  B    AGE",
    "   [1]   3s",
    "",
  ]);
});

test("colourWords() colours verdicts, and only whole words", () => {
  assert.equal(colourWords("healthy unhealthy", false), "healthy unhealthy");
  assert.equal(
    colourWords("healthy unhealthy healthyish", true),
    "\u001B[32mhealthy\u001B[39m \u001B[31munhealthy\u001B[39m healthyish",
  );
});

test("formatAge() keeps two digits where it can", () => {
  const ages = [-5, 0, 119_999, 120_000, 7_199_999, 7_200_000, 172_799_999, 172_800_000];
  assert.deepEqual(ages.map(formatAge), ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
});

test("rowsOf() takes the objects of a list, and nothing else", () => {
  assert.deepEqual(rowsOf([{ a: 1 }, null, 3, "x"]), [{ a: 1 }]);
  assert.deepEqual(rowsOf({ error: "no" }), []);
});
