// SPDX-License-Identifier: Apache-2.0

// The command: what it writes, how it ends, and what it refuses with file, field, value and what was wanted.

import assert from "node:assert/strict";
import {
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import type { SimulationReport } from "@meridian/control";
import { CommandInput } from "../command.ts";
import { ExitCode, exitCodeOf } from "../exit-code.ts";
import { loadFiles } from "../files.ts";
import { scenarioPath } from "../shipped-scenarios.ts";
import { simulateScenario } from "./simulate.ts";

const shipped = readFileSync(scenarioPath("one-endpoint-dies") ?? "", "utf8");

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-simulate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Runs the command; what it printed, to whichever stream. */
async function run(
  t: TestContext,
  words: readonly string[],
  options: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly code: number; readonly text: string }> {
  const written: string[] = [];
  const streams = [process.stdout, process.stderr].map((stream) => {
    const write = stream.write.bind(stream);
    // Bytes are what the test runner tells its parent meanwhile.
    return t.mock.method(stream, "write", (text: string | Uint8Array) =>
      typeof text === "string" ? written.push(text) > 0 : write(text),
    );
  });
  try {
    const code = await simulateScenario(new CommandInput(words, { output: "table", ...options }));
    return { code, text: written.join("") };
  } catch (error) {
    return { code: exitCodeOf(error), text: String(error) };
  } finally {
    for (const stream of streams) stream.mock.restore();
  }
}

/** Plays a scenario that a change makes wrong. */
function wrong(t: TestContext, was: string, is: string): ReturnType<typeof run> {
  const path = join(folderOf(t), "scenario.yaml");
  assert.ok(shipped.includes(was));
  writeFileSync(path, shipped.replace(was, is));
  return run(t, [path]);
}

describe("meridian simulate", () => {
  test("--list names what comes with Meridian", async (t) => {
    const { code, text } = await run(t, [], { list: true });
    assert.equal(code, ExitCode.done);
    assert.match(text, /^region-lost-at-peak +\S/m);
    assert.equal(text.trimEnd().split("\n").length, 21);
  });

  test("plays one of them by name, draws it, and is done where all is as expected", async (t) => {
    const folder = folderOf(t);
    const [svg, page] = [join(folder, "a.svg"), join(folder, "a.html")];
    const { code, text } = await run(t, ["one-endpoint-dies"], { svg, page });
    assert.equal(code, ExitCode.done, text);
    assert.match(text, /endpoint\/default\/web\/a unhealthy: connection refused/);
    assert.match(text, /^met +errors at most 1 %/m);
    const picture = readFileSync(svg, "utf8");
    assert.match(
      picture,
      /<title id="picture-title">one-endpoint-dies, simulated \(seed 1\)<\/title>/,
    );
    assert.match(picture, /endpoint\/default\/web\/a fail/);
    assert.ok(readFileSync(page, "utf8").includes(picture.trim()));
  });

  test("the same seed says the same, another one something else", async (t) => {
    const play = async (seed: string): Promise<SimulationReport> => {
      const { text } = await run(t, ["one-endpoint-dies"], { seed, output: "json" });
      const report: SimulationReport = JSON.parse(text);
      return report;
    };
    const [one, again, other] = [await play("7"), await play("7"), await play("8")];
    assert.deepEqual(one, again);
    assert.equal(one.seed, 7);
    assert.notDeepEqual(one.traffic, other.traffic);
  });

  test("ends with 1 and says which expectation is missed", async (t) => {
    const { code, text } = await wrong(t, "errors: 1", "errors: 0");
    assert.equal(code, ExitCode.failed);
    assert.match(text, /^MISSED +errors at most 0 %: found 0\.\d+ %$/m);
  });

  test("--file plays it with other documents instead of those beside it", async (t) => {
    const folder = folderOf(t);
    const own = shipped.slice(shipped.indexOf("---\n") + 4);
    writeFileSync(join(folder, "own.yaml"), own.replace("max: 20s", "max: 120s"));
    const { code, text } = await run(t, ["one-endpoint-dies"], { file: [folder] });
    // Two minutes in answers instead of twenty seconds.
    assert.equal(code, ExitCode.done, text);
    const path = join(folder, "own.yaml");
    writeFileSync(path, own.replace("unhealthyThreshold: 2", "unhealthyThreshold: 10"));
    const later = await run(t, ["one-endpoint-dies"], { file: [folder] });
    assert.equal(later.code, ExitCode.failed, later.text);
  });

  test("refuses what it is given wrongly, with file, field, value and what was wanted", async (t) => {
    const cases: readonly (readonly [was: string, is: string, says: RegExp])[] = [
      ["duration: 6m", "duration: -6m", /scenario\.yaml:\d+.*spec\.duration.*"-6m".*expected/],
      ["duration: 6m", "duration: 60h", /spec\.duration.*"60h".*at most 24h/],
      ["at: 4m", "at: -1m", /spec\.events\[1\]\.at.*"-1m"/],
      ["at: 4m", "at: 20m", /spec\.events.*20m/],
      [
        "fail: { targets: [endpoint/default/web/a] }",
        "fail: { targets: [site/nowhere] }",
        /spec\.events.*"site\/nowhere", expected/,
      ],
      ["rate: 1000", "rate: -5", /spec\.demand\.everybody\.rate.*-5/],
      ["everybody: {", "everybody: { edge: none,", /spec\.demand\.everybody\.edge is "none"/],
      ["site: eu, capacity", "site: mars, capacity", /"mars", expected/],
      ["healthCheck: alive", "healthCheck: gone", /spec\.healthCheck is "gone", expected/],
      ["fail: {", "explode: {", /explode/],
      ["kind: Scenario", "kind: Scenery", /Scenery|no Scenario/],
    ];
    for (const [was, is, says] of cases) {
      const { code, text } = await wrong(t, was, is);
      assert.equal(code, ExitCode.invalid, `${is}: ${text}`);
      assert.match(text, says, is);
    }
  });

  test("check says of a Scenario who reads it", () => {
    const { problems } = loadFiles([scenarioPath("one-endpoint-dies") ?? ""]);
    const [first] = problems;
    assert.match(first?.message ?? "", /kind is "Scenario", .* what meridian simulate plays$/);
  });

  test("a scenario of a gigabyte is refused before it is read", async (t) => {
    const path = join(folderOf(t), "huge.yaml");
    const handle = openSync(path, "w");
    ftruncateSync(handle, 2 ** 30);
    closeSync(handle);
    const { code, text } = await run(t, [path]);
    assert.equal(code, ExitCode.invalid);
    assert.match(text, /huge\.yaml.*expected at most|at most \d+ MiB/);
    assert.ok(process.memoryUsage().rss < 2 ** 30);
  });

  test("what is not there is not found; nothing named, or a seed that is none, is invalid", async (t) => {
    assert.equal((await run(t, ["no-such-thing"])).code, ExitCode.notFound);
    assert.equal((await run(t, ["../quickstart/geo"])).code, ExitCode.notFound);
    assert.equal((await run(t, [])).code, ExitCode.invalid);
    assert.equal((await run(t, ["one-endpoint-dies"], { seed: "-1" })).code, ExitCode.invalid);
  });
});
