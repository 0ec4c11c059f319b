// SPDX-License-Identifier: Apache-2.0

// Can the tests fail? One-line faults in the code that decides, each in a copy of the sources, and the test file that must notice it. The
// wire and the zones have a list of their own (test/conformance/planted-faults.ts).
//
//   node test/proof/planted-faults.ts [PART OF A FILE NAME]      some minutes; exit code 1 where a fault goes unnoticed

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `from` occurs once in `file`; `test` fails where it is `to`. */
interface Fault {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly test: string;
}

const root = join(import.meta.dirname, "../..");
const snapshot = "packages/snapshot/src";
const control = "packages/control/src";
const health = "packages/health/src";
const edge = "packages/edge/src";
const selectorTest = `${snapshot}/selector.test.ts`;

function fault(file: string, from: string, to: string, test: string): Fault {
  return { file, from, to, test };
}

/** The faults, by what they break. */
const faults: readonly Fault[] = [
  // Choosing
  fault(`${snapshot}/policies/by-weight.ts`, "if (weight > 0) weighty--;", "", selectorTest),
  fault(`${snapshot}/policies/by-weight.ts`, "weights[base + picked] = TRIED;", "", selectorTest),
  fault(
    `${snapshot}/policies/by-weight.ts`,
    "mode === Mode.open ? weighty : count",
    "mode === Mode.open ? count : count",
    `${snapshot}/policies/weighted/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/by-weight.ts`,
    "& 0xf_ffff",
    "& 0x7_ffff",
    `${snapshot}/policies/weighted/select.test.ts`,
  ),
  fault(`${snapshot}/draw.ts`, "(salt + Math.imul(step, STEP)) | 0", "salt | 0", selectorTest),
  fault(
    `${snapshot}/draw.ts`,
    "perMille * 4294967.296",
    "perMille * 4294967.296 * 0.9",
    selectorTest,
  ),
  fault(`${snapshot}/draw.ts`, "^ mix32(window)", "", `${snapshot}/draw.test.ts`),
  fault(
    `${snapshot}/draw.ts`,
    "maskWord(client.word0, DRAW_BITS_IPV4)",
    "client.word0",
    `${snapshot}/draw.test.ts`,
  ),
  fault(
    `${snapshot}/policies/failover/select.ts`,
    "latch === 0 ? first : tierStart(selector, first, end, latch - 1)",
    "first",
    `${snapshot}/policies/failover/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/failover/select.ts`,
    "status = selectTiers(selector, node, first, latched, mode);",
    "",
    `${snapshot}/policies/failover/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/sticky/select.ts`,
    "if (bits > selector.scope) selector.scope = bits;",
    "",
    `${snapshot}/policies/sticky/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/sticky/select.ts`,
    "selector.stickySalt = outerSalt;",
    "",
    `${snapshot}/policies/sticky/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/sticky/select.ts`,
    "return selector.world.poolSalt(policies.poolOfLink[target]!);",
    "return branch;",
    "test/proof/shares.test.ts",
  ),
  fault(
    `${snapshot}/policies/capacity/select.ts`,
    "? table.capacity() : 0",
    "? 1 : 0",
    `${snapshot}/policies/capacity/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/multivalue/select.ts`,
    "count > 0 && selector.isPoolDialedAway(pool);",
    "false;",
    `${snapshot}/policies/multivalue/select.test.ts`,
  ),
  fault(
    `${snapshot}/policies/node-health.ts`,
    "if (action !== OnAllUnhealthy.parent) return true;",
    "",
    `${snapshot}/distribution.test.ts`,
  ),
  fault(
    `${snapshot}/policies/node-health.ts`,
    "healthyShare(selector, node, depth) >= healthyNeeded",
    "healthyShare(selector, node, depth) > healthyNeeded",
    `${snapshot}/policies/failover/select.test.ts`,
  ),
  fault(
    `${snapshot}/pools/pick.ts`,
    "if (!keepsDial(selector, endpoint)) {",
    "if (false) {",
    selectorTest,
  ),
  fault(
    `${snapshot}/pools/pick.ts`,
    "selector.stickySalt === 0\n        ? byDraw",
    "selector.stickySalt !== 1\n        ? byDraw",
    "test/proof/shares.test.ts",
  ),
  fault(
    `${snapshot}/pools/candidates.ts`,
    "if (words[at + EPOCH] !== epoch + 1) {",
    "if (words[at + EPOCH] === 0) {",
    "test/proof/shares.test.ts",
  ),
  fault(
    `${snapshot}/pools/candidates.ts`,
    "if (!isEligible(serve, flags, slot, mode)) continue;\n      healthy++;",
    "healthy++;",
    selectorTest,
  ),
  fault(
    `${snapshot}/pools/candidates.ts`,
    "change = Math.min(change, (slot",
    "change = Math.max(change, (slot",
    `${snapshot}/pools/candidates.test.ts`,
  ),
  fault(
    `${snapshot}/selector.ts`,
    "dial >= PER_MILLE || this.ignoresDials) return false;\n    return !drawKeeps(this.draw, this.world.branchSalt",
    "true) return false;\n    return !drawKeeps(this.draw, this.world.branchSalt",
    selectorTest,
  ),
  fault(`${snapshot}/selector.ts`, "(flags & BranchFlag.fence) !== 0", "false", selectorTest),
  // The overlay
  fault(
    `${snapshot}/overlay.ts`,
    "this.#words[to + slot] = this.#words[from + slot]!;",
    ";",
    `${snapshot}/overlay.test.ts`,
  ),
  fault(
    `${snapshot}/overlay.ts`,
    "if (!this.isSpareFree()) return false;",
    "",
    `${snapshot}/overlay.test.ts`,
  ),
  fault(
    `${snapshot}/overlay.ts`,
    "if (seen !== IDLE && seen !== published) return false;",
    "if (seen !== IDLE && seen === published) return false;",
    `${snapshot}/overlay.test.ts`,
  ),
  fault(
    `${health}/overlay-driver.ts`,
    "changes.set(epoch, (this.#required().read(epoch) + 1) & 0x7fff_ffff);",
    "changes.set(epoch, this.#required().read(epoch));",
    `${control}/overlay-driver.test.ts`,
  ),
  fault(
    `${health}/overlay-driver.ts`,
    "return (slot) => changes.get(slot) ?? writer?.read(slot);",
    "return (slot) => writer?.read(slot);",
    `${control}/overlay-driver.test.ts`,
  ),
  fault(
    `${health}/overlay-driver.ts`,
    "return { sequence, revision, atMs, cause, changes };",
    "return { sequence, revision, atMs, cause, changes: [] };",
    "test/proof/journal.test.ts",
  ),
  fault(
    `${health}/overlay-driver.ts`,
    "new OverlayWriter(slots, before + 1)",
    "new OverlayWriter(slots, 1)",
    "test/proof/journal.test.ts",
  ),
  fault(
    `${health}/last-known.ts`,
    "const keep = !isAnyLeft &&",
    "const keep =",
    `${control}/overlay-driver.test.ts`,
  ),
  fault(
    `${control}/overlay-journal.ts`,
    "(base !== undefined && entry.sequence <= base.sequence)",
    "base !== undefined",
    "test/proof/journal.test.ts",
  ),
  fault(
    `${health}/latch.ts`,
    "if (healthy[active] !== true) {",
    "if (healthy[active] === true) {",
    `${health}/latch.test.ts`,
  ),
  fault(
    `${health}/latch.ts`,
    "nowMs - since >= rule.holdForMs",
    "nowMs - since >= 0",
    `${health}/latch.test.ts`,
  ),
  fault(
    `${control}/shift-effects.ts`,
    "shift.percent > most &&",
    "most === 0 &&",
    `${control}/shift-effects.test.ts`,
  ),
  fault(
    `${control}/shift-effects.ts`,
    'name.startsWith(`endpoint/${rest.join("/")}/`)',
    'name.startsWith(`endpoint/${rest.join("/")}`)',
    `${control}/shift-effects.test.ts`,
  ),
  // Health
  fault(
    `${health}/verdict.ts`,
    "return rule.unhealthyThreshold - state.failures;",
    "return rule.unhealthyThreshold;",
    `${health}/verdict.test.ts`,
  ),
  fault(
    `${health}/verdict.ts`,
    "return rule.healthyThreshold - state.successes;",
    "return rule.healthyThreshold + 1 - state.successes;",
    `${health}/verdict.test.ts`,
  ),
  fault(
    `${health}/schedule.ts`,
    "return nextMs + jitterMs;",
    "return nextMs + 3 * jitterMs;",
    `${health}/schedule.test.ts`,
  ),
  // Answering
  fault(
    `${edge}/query-log.ts`,
    "if (entry.echoAt >= 0) this.#cut(",
    "if (entry.echoAt < -1) this.#cut(",
    "test/proof/replay.test.ts",
  ),
  fault(
    `${edge}/query-bound.ts`,
    "if (query.usesEcs && selector.scope > query.scope) query.scope = selector.scope;",
    "",
    "test/conformance/rfc7871.test.ts",
  ),
  fault(
    `${edge}/query-handler.ts`,
    "this.#query.served.overlay.enter();",
    "",
    "test/proof/shares.test.ts",
  ),
];

/** Sources, tests and links to modules, so that a fault touches nothing else. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), "meridian-faults-"));
  for (const folder of ["packages", "native", "apps", "test"])
    cpSync(join(root, folder), join(copy, folder), { recursive: true, verbatimSymlinks: true });
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  const modules = join(copy, "node_modules");
  mkdirSync(join(modules, "@meridian"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@meridian") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of readdirSync(join(copy, "packages")))
    symlinkSync(join(copy, "packages", name), join(modules, "@meridian", name));
  symlinkSync(join(copy, "native"), join(modules, "@meridian", "native"));
  return copy;
}

/** The runner's exit code says it; a test that hangs has noticed something, too. */
function passes(tree: string, file: string): boolean {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status } = spawnSync(
    process.execPath,
    ["--test", "--test-timeout=60000", join(tree, file)],
    { cwd: tree, env, stdio: "ignore", timeout: 120_000 },
  );
  return status === 0;
}

/** Why a fault cannot be planted, or undefined: the code has moved on. */
function problemOf({ file, from, test }: Fault): string | undefined {
  const places = readFileSync(join(root, file), "utf8").split(from).length - 1;
  if (places !== 1) return `"${from}" occurs ${places} times in ${file}, expected once`;
  return existsSync(join(root, test)) ? undefined : `there is no test ${test}`;
}

function plant(tree: string, { file, from, to, test }: Fault): boolean {
  const path = join(tree, file);
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  const isNoticed = !passes(tree, test);
  writeFileSync(path, text);
  return isNoticed;
}

function main(): void {
  const [part = ""] = process.argv.slice(2);
  const chosen = faults.filter(({ file }) => file.includes(part));
  const problems = chosen.flatMap((one) => problemOf(one) ?? []);
  if (problems.length > 0) throw new Error(`Cannot plant faults: ${problems.join("; ")}`);
  const tree = copyTree();
  try {
    for (const test of new Set(chosen.map((one) => one.test)))
      if (!passes(tree, test)) throw new Error(`Cannot plant faults: ${test} fails without one`);
    const unnoticed = chosen.filter((one) => {
      const isNoticed = plant(tree, one);
      process.stdout.write(`${isNoticed ? "noticed  " : "UNNOTICED"} ${one.file}: ${one.from}\n`);
      return !isNoticed;
    });
    process.stdout.write(
      `${chosen.length - unnoticed.length} of ${chosen.length} faults noticed\n`,
    );
    process.exitCode = unnoticed.length === 0 ? 0 : 1;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

main();
