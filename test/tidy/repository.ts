// SPDX-License-Identifier: Apache-2.0

// What the tidy tests look at: the files of this checkout as they lie there, and its packages.

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Absolute path of the checkout. */
export const root: string = resolve(import.meta.dirname, "../..");

const skippedFolders: ReadonlySet<string> = new Set([
  ".git",
  ".build",
  ".meridian",
  "coverage",
  "dist",
  "node_modules",
]);

/** Every file of the repository, relative to its root with forward slashes, sorted. Nothing that a build makes. */
export function repositoryFiles(): readonly string[] {
  return filesBelow("").toSorted();
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      return skippedFolders.has(entry.name) || path === "native/build" ? [] : filesBelow(path);
    }
    return entry.isFile() ? [path] : [];
  });
}

/** Text of a file of the repository. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** A package of the workspace: a folder with a package.json. */
export interface Package {
  /** Relative to the root; "." is the root itself. */
  readonly folder: string;
  readonly name: string;
  /** Name to version. */
  readonly dependencies: ReadonlyMap<string, string>;
  readonly devDependencies: ReadonlyMap<string, string>;
}

/** Every package, the root included. */
export function packages(): readonly Package[] {
  return repositoryFiles()
    .filter((path) => /^((packages|apps)\/[^/]+\/|native\/)?package\.json$/.test(path))
    .map(readPackage);
}

function readPackage(path: string): Package {
  const json: unknown = JSON.parse(textOf(path));
  const folder = path.replace(/\/?package\.json$/, "");
  return {
    folder: folder === "" ? "." : folder,
    name: stringMember(json, "name"),
    dependencies: new Map([
      ...versions(member(json, "dependencies")),
      ...versions(member(json, "optionalDependencies")),
    ]),
    devDependencies: versions(member(json, "devDependencies")),
  };
}

/** Member `name` of a parsed JSON object, or undefined. */
export function member(json: unknown, name: string): unknown {
  if (typeof json !== "object" || json === null) return undefined;
  return Object.entries(json).find(([key]) => key === name)?.[1];
}

function stringMember(json: unknown, name: string): string {
  const value = member(json, name);
  return typeof value === "string" ? value : "";
}

function versions(json: unknown): ReadonlyMap<string, string> {
  const entries = Object.entries(typeof json === "object" && json !== null ? json : {});
  return new Map(entries.map(([name, version]) => [name, String(version)]));
}

/** One import of a source file. */
export interface Import {
  readonly file: string;
  /** As written, such as `node:fs`, `./name-table.ts`, `@meridian/core` or `zod/mini`. */
  readonly specifier: string;
}

const importPattern =
  /^\s*(?:import|export)\s(?:[^;"']*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

/** Imports of a TypeScript or JavaScript file, static ones and dynamic ones with a constant name. */
export function importsOf(file: string): readonly Import[] {
  // A comment may speak of imports.
  const text = textOf(file).replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  return [...text.matchAll(importPattern)].map((match) => ({
    file,
    specifier: match[1] ?? match[2] ?? "",
  }));
}

/** Source files that can import: TypeScript and JavaScript. */
export function moduleFiles(): readonly string[] {
  return repositoryFiles().filter(
    (path) => /\.(ts|tsx|mts|mjs|js)$/.test(path) && !path.includes("/testdata/"),
  );
}

/** `@scope/name` or `name` of a bare specifier; undefined for a relative or built-in one. */
export function packageNameOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("/") || specifier.startsWith("node:")) {
    return undefined;
  }
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
}
