// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { expectedLine } from "./data/answers.ts";
import type { PolicyPlan, ServicePlan } from "./data/plan.ts";
import { queryName } from "./data/query-file.ts";
import { ask } from "./measure/ask.ts";
import type { Options } from "./options.ts";
import { loadHeavily, measureEach } from "./one-by-one.ts";
import type { DisturbanceResult } from "./output/results.ts";
import type { Stage, RunningServer, StageOptions } from "./stage.ts";

const CHANGED_SHARE = 0.01;
const RELOAD_TIMEOUT_MS = 60_000;
const GAP_MS = 500;
/** Reloads while under load, each changing one name in a hundred and one pool; counts lost queries and times each change. */
export function measureReloads(
  { adapters, ...stageOptions }: StageOptions,
  run: Options,
  reloads: number,
): Promise<readonly DisturbanceResult[]> {
  const able = adapters.filter((adapter) => adapter.reload !== undefined);
  return measureEach({ ...stageOptions, adapters: able }, run, (stage, server) =>
    reloadServer(stage, server, run, reloads),
  );
}

/** The plan with a share of its names bound to other policies and one pool changed, and one of those names. */
export function changePlan(
  plan: ServicePlan,
  seed: number,
): { plan: ServicePlan; changed: number } {
  const random = new Pcg32(seed);
  const policyOf = plan.policyOf.slice();
  let changed = 0;
  for (let left = Math.ceil(plan.owners.length * CHANGED_SHARE); left > 0; left -= 1) {
    changed = random.next32() % plan.owners.length;
    const step = 1 + (random.next32() % (plan.policies.length - 1));
    policyOf[changed] = ((policyOf[changed] ?? 0) + step) % plan.policies.length;
  }
  // Drawn twice, a name may be back where it was; the last one is moved past that.
  if (policyOf[changed] === plan.policyOf[changed]) {
    policyOf[changed] = ((policyOf[changed] ?? 0) + 1) % plan.policies.length;
  }
  const policies = changePool(plan.policies, random.next32() % plan.policies.length);
  return { plan: { ...plan, policyOf, policies }, changed };
}

/** The first pool of one policy with its addresses moved on by one member. */
function changePool(policies: readonly PolicyPlan[], index: number): readonly PolicyPlan[] {
  return policies.with(index, changeFirstPool(policies[index]));
}

function changeFirstPool(policy: PolicyPlan | undefined): PolicyPlan {
  const [pool, ...others] = policy?.pools ?? [];
  if (policy === undefined || pool === undefined) {
    throw new RangeError("Cannot change a pool: the policy has none");
  }
  const { endpoints } = pool;
  const moved = endpoints.map((endpoint, at) => {
    const { address, isDown } = endpoints[(at + 1) % endpoints.length] ?? endpoint;
    return { ...endpoint, address, isDown };
  });
  return { ...policy, pools: [{ ...pool, endpoints: moved }, ...others] };
}

async function reloadServer(
  stage: Stage,
  server: RunningServer,
  run: Options,
  reloads: number,
): Promise<DisturbanceResult> {
  const load = await loadHeavily(stage, server, run);
  const tookMs: number[] = [];
  let missed = 0;
  let { plan } = stage.options;
  for (let index = 0; index < reloads; index += 1) {
    await sleep(GAP_MS);
    const next = changePlan(plan, run.seed + index);
    ({ plan } = next);
    const took = await reloadOnce(server, next);
    if (took === undefined) missed += 1;
    else tookMs.push(took);
  }
  const summary = await load.finish();
  console.log(
    `  ${server.adapter.name}: ${tookMs.length} reloads at ${summary.rate} q/s, lost ${summary.lost + summary.late} of ${summary.sent}`,
  );
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    queriesPerSecondMax: load.queriesPerSecondMax,
    load: summary,
    tookMs,
    missed,
  };
}

async function reloadOnce(
  { adapter, serving }: RunningServer,
  { plan, changed }: { plan: ServicePlan; changed: number },
): Promise<number | undefined> {
  const mode = adapter.answers(serving.workload) ?? "static";
  const wanted = expectedLine(plan, changed, mode);
  const name = queryName(plan.owners[changed] ?? "", changed);
  const start = performance.now();
  try {
    await adapter.reload?.({ ...serving, plan });
  } catch (error) {
    console.error(`  ${adapter.name}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  while (performance.now() < start + RELOAD_TIMEOUT_MS) {
    const answer = await ask(serving.port, name, 200);
    if (answer?.addresses.some((address) => isIn(wanted, address)) === true)
      return performance.now() - start;
    await sleep(2);
  }
  return undefined;
}

function isIn(expected: string, address: string): boolean {
  return expected.split(/[ ,|]/).includes(address);
}
