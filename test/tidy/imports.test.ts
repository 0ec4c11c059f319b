// SPDX-License-Identifier: Apache-2.0

// The planes stay apart: what a package may reach is written here once and compared with its package.json, with its
// tsconfig.json and with every import.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  importsOf,
  moduleFiles,
  packageNameOf,
  packages,
  textOf,
  type Package,
} from "./repository.ts";

/** What each package may import of the others. ARCHITECTURE.md draws it. */
const mayReach: ReadonlyMap<string, readonly string[]> = new Map([
  ["core", []],
  ["native", []],
  ["dns", ["core"]],
  ["snapshot", ["core", "dns"]],
  ["health", ["core", "dns", "native", "snapshot"]],
  ["edge", ["core", "dns", "health", "native", "snapshot"]],
  ["model", ["core", "dns"]],
  ["control", ["core", "dns", "health", "model", "snapshot"]],
  ["meridian", ["control", "core", "dns", "edge", "health", "model", "native", "snapshot"]],
]);

/** Packages whose process holds no third-party module. */
const withoutThirdParty: ReadonlySet<string> = new Set([
  "core",
  "native",
  "dns",
  "snapshot",
  "health",
  "edge",
]);

const all = packages();
const shortName = (name: string): string => name.replace("@meridian/", "");
const rootPackage = all.find((one) => one.folder === ".") ?? assert.fail("package.json is missing");
const members = all.filter((one) => one.folder !== ".");

/** Test files may also use what the root declares for development. */
const isTest = (file: string): boolean =>
  /(\.(test|contract|bench)|-arbitrary)\.ts$|\/([a-z-]+-)?testing\//.test(file);

function ownerOf(file: string): Package {
  const owner = members.find((one) => file.startsWith(`${one.folder}/`));
  return owner ?? rootPackage;
}

test("every package has its place in the import direction", () => {
  assert.deepEqual(
    members.map((one) => shortName(one.name)).toSorted(),
    [...mayReach.keys()].toSorted(),
  );
});

test("package.json declares only packages that may be reached", () => {
  const wrong = members.flatMap((one) =>
    [...one.dependencies.keys()]
      .filter((name) => name.startsWith("@meridian/"))
      .filter((name) => mayReach.get(shortName(one.name))?.includes(shortName(name)) !== true)
      .map((name) => `${one.name} → ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test("tsconfig.json references what package.json declares, so that the compiler keeps the direction", () => {
  const wrong = members.flatMap((one) => {
    const config = textOf(`${one.folder}/tsconfig.json`);
    const references = [
      ...config.matchAll(/"path":\s*"(?:\.\.\/)+(?:packages\/|apps\/)?([a-z]+)"/g),
    ]
      .map((match) => match[1] ?? "")
      .toSorted();
    const declared = [...one.dependencies.keys()]
      .filter((name) => name.startsWith("@meridian/"))
      .map(shortName)
      .toSorted();
    return references.join() === declared.join()
      ? []
      : [`${one.name}: references ${references.join(" ")}, declares ${declared.join(" ")}`];
  });
  assert.deepEqual(wrong, []);
});

test("the data plane declares no third-party dependency", () => {
  const wrong = members
    .filter((one) => withoutThirdParty.has(shortName(one.name)))
    .flatMap((one) =>
      [...one.dependencies.keys()]
        .filter((name) => !name.startsWith("@meridian/"))
        .map((name) => `${one.name}: ${name}`),
    );
  assert.deepEqual(wrong, []);
});

test("every import is declared by the package that makes it", () => {
  const rootTools = new Set(rootPackage.devDependencies.keys());
  const workspace = new Set(members.map((one) => one.name));
  const wrong = moduleFiles().flatMap((file) => {
    const owner = ownerOf(file);
    const isRoot = owner.folder === ".";
    return importsOf(file).flatMap(({ specifier }) => {
      const name = packageNameOf(specifier);
      if (name === undefined || name === owner.name || owner.dependencies.has(name)) return [];
      if ((isRoot || isTest(file)) && rootTools.has(name)) return [];
      if (isRoot && workspace.has(name)) return [];
      return [`${file}: ${specifier}`];
    });
  });
  assert.deepEqual(wrong, []);
});

test("built-in modules are imported with the prefix node:", () => {
  const builtIn =
    /^(fs|net|dgram|path|os|url|util|http|https|tls|crypto|events|stream|zlib|worker_threads|child_process)(\/|$)/;
  const wrong = moduleFiles().flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => builtIn.test(specifier))
      .map(({ specifier }) => `${file}: ${specifier}`),
  );
  assert.deepEqual(wrong, []);
});

test("no package reaches into another's folder", () => {
  const wrong = moduleFiles().flatMap((file) => {
    const owner = ownerOf(file);
    if (owner.folder === ".") return [];
    const depth = file.slice(owner.folder.length + 1).split("/").length - 1;
    return (
      importsOf(file)
        .filter(({ specifier }) => (specifier.match(/\.\.\//g)?.length ?? 0) > depth)
        // A test may say what it needs of the host.
        .filter(
          ({ specifier }) => !(isTest(file) && /^(\.\.\/)+test\/[a-z-]+\.ts$/.test(specifier)),
        )
        .map(({ specifier }) => `${file}: ${specifier}`)
    );
  });
  assert.deepEqual(wrong, []);
});
