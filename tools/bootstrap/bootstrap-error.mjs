// SPDX-License-Identifier: Apache-2.0

/** An expected failure of the bootstrap. Its message is one sentence that says what to do next. */
export class BootstrapError extends Error {
  /** @override */
  name = "BootstrapError";
}
