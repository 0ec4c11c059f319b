// SPDX-License-Identifier: Apache-2.0
import type { ServerAdapter } from "./adapter.ts";
import { echo } from "./echo.ts";
import { gdnsd } from "./gdnsd.ts";
import { knot } from "./knot.ts";
import { meridian, meridianFile } from "./meridian.ts";
import { powerdns } from "./powerdns.ts";

/** Every server that the benchmark knows, the floor first. */
export const adapters: readonly ServerAdapter[] = [
  echo,
  meridian,
  meridianFile,
  gdnsd,
  knot,
  powerdns,
];

/** The servers whose better one Meridian is measured against. */
export const yardsticks: readonly string[] = ["gdnsd", "knot"];
