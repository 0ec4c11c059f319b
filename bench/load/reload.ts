// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { expectedLine } from "./data/answers.ts";
import type { PolicyPlan, ServicePlan } from "./data/plan.ts";
import { queryName } from "./data/query-file.ts";
import { ask } from "./measure/ask.ts";
import type { Options } from "./options.ts";
import type { ReloadResult } from "./output/results.ts";
import { Stage, type RunningServer, type StageOptions } from "./stage.ts";
import { saturate, startAll } from "./throughput.ts";

/** The load during reloads, as a share of what the server answers at most. */
const LOAD_SHARE = 0.7;
const CHANGED_SHARE = 0.01;
const RELOAD_TIMEOUT_MS = 20_000;
const GAP_MS = 500;
/** Time for one reload when the load's length is planned; a slower server is loaded for fewer reloads and says so. */
const RELOAD_ALLOWANCE_MS = 1500;

/** Reloads while under load, each changing one name in a hundred and one pool; counts lost queries and times each change. */
export async function measureReloads(
  stageOptions: StageOptions,
  run: Options,
  reloads: number,
): Promise<readonly ReloadResult[]> {
  const stage = await Stage.open(stageOptions, run);
  try {
    const results: ReloadResult[] = [];
    for (const server of await startAll(stage)) {
      if (server.adapter.reload !== undefined)
        results.push(await reloadServer(stage, server, run, reloads));
      await stage.stop(server);
    }
    return results;
  } finally {
    await stage.close();
  }
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
): Promise<ReloadResult> {
  const most = await saturate(stage, server, run);
  const seconds = 1 + (reloads * (GAP_MS + RELOAD_ALLOWANCE_MS)) / 1000;
  const load = stage.load(server, {
    rate: Math.floor(most.queriesPerSecond * LOAD_SHARE),
    seconds,
  });
  const end = performance.now() + seconds * 1000;
  const appliedMs: number[] = [];
  let missed = 0;
  let { plan } = stage.options;
  for (let index = 0; index < reloads && performance.now() < end; index += 1) {
    await sleep(GAP_MS);
    const next = changePlan(plan, run.seed + index);
    ({ plan } = next);
    const took = await reloadOnce(server, next);
    if (took === undefined) missed += 1;
    else appliedMs.push(took);
  }
  load.finish();
  const summary = await load.summary;
  console.log(
    `  ${server.adapter.name}: ${appliedMs.length} reloads at ${summary.rate} q/s, lost ${summary.lost} of ${summary.sent}`,
  );
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    queriesPerSecondMax: most.queriesPerSecond,
    load: summary,
    appliedMs,
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
  await adapter.reload?.({ ...serving, plan });
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
