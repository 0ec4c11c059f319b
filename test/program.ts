// SPDX-License-Identifier: Apache-2.0

import { resolve } from "node:path";

/** The `meridian` command of the checkout, which has the examples of the checkout beside it. */
export const sourceProgram: string = resolve(import.meta.dirname, "../apps/meridian/src/main.ts");

/**
 * The `meridian` command that tests start: a bundle, as it is installed, where `npm test` has made one, and else the sources. A server costs 1.2 s of
 * CPU from a bundle and 2.6 s from 900 files, and the tests start some hundred.
 */
export const program: string = process.env["MERIDIAN_TEST_PROGRAM"] ?? sourceProgram;
