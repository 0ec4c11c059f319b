// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { member, packages, textOf } from "./repository.ts";

const page = "docs/internals/dependencies.md";

const declared = packages().flatMap((one) =>
  [...one.dependencies, ...one.devDependencies]
    .filter(([name]) => !name.startsWith("@meridian/"))
    .map(([name, version]) => ({ owner: one.name, name, version })),
);

test("third-party dependencies are pinned to exact versions", () => {
  const loose = declared
    .filter(({ version }) => !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version))
    .map(({ owner, name, version }) => `${owner}: ${name} ${version}`);
  assert.deepEqual(loose, []);
});

test("one version of each dependency is declared in the whole repository", () => {
  const versions = Map.groupBy(declared, ({ name }) => name);
  const twice = [...versions]
    .filter(([, uses]) => new Set(uses.map(({ version }) => version)).size > 1)
    .map(([name]) => name);
  assert.deepEqual(twice, []);
});

test("docs/internals/dependencies.md gives a reason for each dependency, and for no other", () => {
  const rows = [...textOf(page).matchAll(/^\| `([^`]+)` \| ([^|]+) \|$/gm)];
  const listed = rows.map((row) => row[1] ?? "").toSorted();
  assert.deepEqual(listed, [...new Set(declared.map(({ name }) => name))].toSorted());
  const short = rows.filter((row) => (row[2]?.trim().length ?? 0) < 20).map((row) => row[1]);
  assert.deepEqual(short, []);
});

test("the platforms' Node.js packages have the version of the package node", () => {
  const rootPackage = packages().find((one) => one.folder === ".");
  const wanted = rootPackage?.devDependencies.get("node");
  const platforms = [...(rootPackage?.dependencies ?? [])].filter(([name]) =>
    name.startsWith("node-"),
  );
  assert.ok(platforms.length > 0);
  assert.deepEqual(
    platforms.filter(([, version]) => version !== wanted),
    [],
  );
});

test("package-lock.json holds a hash for every package, and no address", () => {
  const lock: unknown = JSON.parse(textOf("package-lock.json"));
  const entries = Object.entries(member(lock, "packages") ?? {});
  const wrong = entries
    .filter(([path, entry]) => path.includes("node_modules/") && member(entry, "link") !== true)
    .filter(
      ([, entry]) =>
        member(entry, "integrity") === undefined || member(entry, "resolved") !== undefined,
    )
    .map(([path]) => path);
  assert.deepEqual(wrong, []);
});
