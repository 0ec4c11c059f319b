// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { coursePicture, timeText, type DrawnCourse } from "./course-picture.ts";

const seconds = Array.from({ length: 1000 }, (_, bin) => bin + 1);
const course: DrawnCourse = {
  ...{ title: "a <title> & more", description: "what it shows", seconds },
  places: [
    { name: "site/eu", shares: seconds.map(() => 0.6), uses: seconds.map(() => 0.5) },
    { name: `endpoint/default/${"long-".repeat(20)}name`, shares: seconds.map(() => 0.3) },
    { name: "site/never", shares: seconds.map(() => 0) },
  ],
  nowhere: seconds.map((second) => (second > 500 ? 0.1 : 0)),
  failed: [{ name: "errors", shares: seconds.map((second) => (second === 700 ? 0.4 : 0)) }],
  marks: seconds.map((atSeconds) => ({ atSeconds, text: `mark ${atSeconds}`, kind: "world" })),
};

describe("coursePicture()", () => {
  const picture = coursePicture(course);

  test("is bounded, whatever the number of bins and marks", () => {
    assert.ok(picture.length < 60_000, `${picture.length} bytes`);
    assert.equal([...picture.matchAll(/<circle /g)].length, 80);
    assert.match(picture, /and 960 more/);
  });

  test("has no number that is none, and no word that is markup", () => {
    assert.doesNotMatch(picture, /NaN|Infinity|undefined/);
    assert.match(picture, /<title id="picture-title">a &lt;title&gt; &amp; more<\/title>/);
  });

  test("leaves out places without load, and keeps peaks that last for one bin", () => {
    assert.doesNotMatch(picture, /site\/never/);
    assert.match(picture, /errors: 0 % to 40 %/);
    assert.match(picture, /site\/eu: 60 % to 60 %/);
  });

  test("an empty course is drawn as one", () => {
    const empty = { title: "", description: "", seconds: [], places: [], nowhere: [] };
    assert.doesNotMatch(coursePicture({ ...empty, failed: [], marks: [] }), /NaN|undefined/);
  });
});

test("timeText() is in seconds, minutes or hours", () => {
  assert.deepEqual(
    [0, 4.25, 59, 60, 61.4, 3600, 86_399].map((each) => timeText(each)),
    ["0 s", "4.3 s", "59 s", "1:00", "1:01", "1:00:00", "23:59:59"],
  );
});
