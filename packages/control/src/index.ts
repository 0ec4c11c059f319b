// SPDX-License-Identifier: Apache-2.0
export { compile, type Compiled, type CompileOptions, type CompileProblem } from "./compile.ts";
export type { ClassifierCompiler, CompiledClassifier } from "./compile-policies.ts";
export {
  Embedded,
  worldOf,
  type EdgeLink,
  type EmbeddedOptions,
  type Logger,
  type Persistence,
  type Publication,
  type Reload,
  type StoredRevision,
} from "./embedded.ts";
export { readDocumentFiles } from "./file-loader.ts";
export type { Cause, ChangeSet } from "./overlay-driver.ts";
export type { Shift } from "./shift-effects.ts";
