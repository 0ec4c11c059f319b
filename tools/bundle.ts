// SPDX-License-Identifier: Apache-2.0

// `npm run bundle [-- FOLDER]`: the command as it is installed. A checkout runs its own files, some 900 of them, each of which Node.js
// finds, reads and checks at every start: 0.4 s of CPU for the process and 0.1 s for each of its threads, of which a bundle leaves a
// third. What it holds besides: the add-on, where it is built, and the data sets that come with it.
//
//   FOLDER/app/main.js, a file for each thread and child, chunks that they share      FOLDER/build/meridian.node, FOLDER/node_modules

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
  handler: "packages/edge/src/handler.ts",
  "verdict-worker": "packages/health/src/verdict-worker.ts",
  "compiler-entry": "packages/control/src/compiler-entry.ts",
  "store-worker": "packages/control/src/store/store-worker.ts",
};

/** Read by path at run time. */
const dataPackages = ["@ip-location-db/asn", "@ip-location-db/geo-whois-asn-country-mmdb"];

/** Threads and children are started by the URL of a source file; in the bundle all of them lie side by side. */
const startedByPath: esbuild.Plugin = {
  name: "started by path",
  setup: (build) => {
    build.onLoad({ filter: /\/(packages|apps)\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replaceAll(
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
const require = createRequire(join(root, "packages/control/package.json"));
for (const name of dataPackages) {
  const from = dirname(require.resolve(`${name}/package.json`));
  const to = join(folder, "node_modules", name);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}
process.stdout.write(`${relative(process.cwd(), join(folder, "app/main.js"))}\n`);
