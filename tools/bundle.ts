// SPDX-License-Identifier: Apache-2.0

// `npm run bundle [-- FOLDER]`: the command as it is installed. A checkout runs its own files, some 900 of them, each of which Node.js
// finds, reads and checks at every start: 0.4 s of CPU for the process and 0.1 s for each of its threads, of which a bundle leaves a
// third. What it holds besides: the add-on, where it is built, the data sets and the scenarios that come with it.
//
//   FOLDER/app/main.js, a file for each thread and child, chunks that they share      FOLDER/build/meridian.node, FOLDER/node_modules, FOLDER/deploy

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import * as esbuild from "esbuild";

const root = resolve(import.meta.dirname, "..");
const folder = resolve(process.argv[2] ?? join(root, ".build/bundle"));

/** What is started by path, by the name that it has in the source. */
const entries = {
  main: "apps/meridian/src/main.ts",
  worker: "packages/edge/src/worker.ts",
  "signing-worker": "packages/edge/src/dnssec/signing-worker.ts",
  handler: "packages/edge/src/handler.ts",
  "verdict-worker": "packages/health/src/verdict-worker.ts",
  "compiler-entry": "packages/control/src/compiler-entry.ts",
  "store-worker": "packages/control/src/store/store-worker.ts",
};

/** Read by path at run time. */
const dataPackages = ["@ip-location-db/asn", "@ip-location-db/geo-whois-asn-country-mmdb"];

/** Where the package's own index has a name from: the file that declares it, and what it is called there. */
interface Declared {
  readonly path: string;
  readonly name: string;
}

const packagesRequire = createRequire(join(root, "apps/meridian/package.json"));
const indices = new Map<string, ReadonlyMap<string, Declared>>();

/** What the index of one of our packages exports. */
function indexOf(specifier: string): ReadonlyMap<string, Declared> {
  const known = indices.get(specifier);
  if (known !== undefined) return known;
  const index = packagesRequire.resolve(specifier);
  const found = new Map<string, Declared>();
  indices.set(specifier, found);
  const text = readFileSync(index, "utf8");
  for (const [, from = ""] of text.matchAll(/^export \* from "([^"]+)";/gm)) {
    const path = resolve(dirname(index), from);
    for (const [, name = ""] of readFileSync(path, "utf8").matchAll(
      /^export (?:const|class|(?:async )?function\*?) (\w+)/gm,
    ))
      found.set(name, { path, name });
  }
  for (const [, names = "", from = ""] of text.matchAll(/^export \{([^}]*)\} from "([^"]+)";/gm)) {
    for (const { name, as } of namesIn(names)) {
      const path = from.startsWith("@meridian/") ? undefined : resolve(dirname(index), from);
      const declared = path === undefined ? indexOf(from).get(name) : { path, name };
      if (declared !== undefined) found.set(as, declared);
    }
  }
  return found;
}

/** `a, b as c` of an import or export; types are left out. */
function namesIn(list: string): { readonly name: string; readonly as: string }[] {
  return list
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "" && !item.startsWith("type "))
    .map((item) => {
      const [name = "", as = name] = item.split(" as ");
      return { name, as };
    });
}

/**
 * Imports from the file that declares each name, instead of the index that has them all: else whoever needs one thing of a package loads
 * all of it, as esbuild splits by files.
 */
function pastIndices(source: string): string {
  return source.replaceAll(
    /^import (type )?\{([^}]*)\} from "(@meridian\/[^"]+)";/gm,
    (whole, type: string | undefined, names: string, specifier: string) => {
      if (type !== undefined) return "";
      const index = indexOf(specifier);
      return namesIn(names)
        .map(({ name, as }) => {
          const declared = index.get(name);
          if (declared === undefined) return whole;
          return `import { ${declared.name} as ${as} } from ${JSON.stringify(declared.path)};`;
        })
        .join(" ");
    },
  );
}

/** Threads and children are started by the URL of a source file; in the bundle all of them lie side by side. */
const startedByPath: esbuild.Plugin = {
  name: "started by path",
  setup: (build) => {
    build.onLoad({ filter: /\/(packages|apps|native)\/.*\.ts$/ }, ({ path }) => ({
      contents: pastIndices(readFileSync(path, "utf8")).replaceAll(
        /new URL\("(?:\.\.?\/)+([\w-]+)\.ts", import\.meta\.url\)/g,
        (url, name: string) =>
          Object.hasOwn(entries, name) ? `new URL("./${name}.js", import.meta.url)` : url,
      ),
      loader: "ts",
    }));
  },
};

rmSync(folder, { recursive: true, force: true });
await esbuild.build({
  absWorkingDir: root,
  entryPoints: entries,
  outdir: join(folder, "app"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  plugins: [startedByPath],
  // CommonJS packages ask for Node.js's own modules by `require`.
  banner: {
    js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
  },
  logLevel: "warning",
});
cpSync(join(root, "apps/meridian/package.json"), join(folder, "package.json"));
const addon = join(root, "native/build/meridian.node");
if (existsSync(addon)) cpSync(addon, join(folder, "build/meridian.node"));
const scenarios = "deploy/examples/simulate";
cpSync(join(root, scenarios), join(folder, scenarios), { recursive: true });
const require = createRequire(join(root, "packages/control/package.json"));
for (const name of dataPackages) {
  const from = dirname(require.resolve(`${name}/package.json`));
  const to = join(folder, "node_modules", name);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}
process.stdout.write(`${relative(process.cwd(), join(folder, "app/main.js"))}\n`);
