// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { metricsText, type Metric } from "./metric.ts";

test("metricsText() writes what Prometheus reads, whatever stands in a label", () => {
  const metrics: Metric<number>[] = [
    {
      name: "meridian_things",
      type: "gauge",
      help: "Things by \\ and name.",
      labels: ["zone", "name"],
      read: (value) => [
        [["example.org", 'a"b\\c\nd'], value],
        [["", "x"], NaN],
        [["", "y"], Infinity],
      ],
    },
    {
      name: "meridian_none_total",
      type: "counter",
      help: "None.",
      labels: [],
      read: (value) => [[[], value * 1e21]],
    },
  ];
  assert.equal(
    metricsText(metrics, 2.5),
    [
      "# HELP meridian_things Things by \\\\ and name.",
      "# TYPE meridian_things gauge",
      'meridian_things{zone="example.org",name="a\\"b\\\\c\\nd"} 2.5',
      'meridian_things{zone="",name="x"} NaN',
      'meridian_things{zone="",name="y"} +Inf',
      "# HELP meridian_none_total None.",
      "# TYPE meridian_none_total counter",
      "meridian_none_total 2.5e+21",
      "",
    ].join("\n"),
  );
});
