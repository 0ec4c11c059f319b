// SPDX-License-Identifier: Apache-2.0
import type { ExplainBranch, ExplainNode, ExplainPool } from "./explain-tree.ts";
import type { ExplainBudget, Explanation, ExplainShard, ExplainSigning } from "./explain.ts";

/** The explanation as a person reads it: a few facts, the tree, the chances, the answer. Every surface shows these words. */
export function explainText(explanation: Explanation): string {
  const { tree, budget } = explanation;
  const lines = [
    `${explanation.name} ${explanation.type}: ${explanation.outcome}`,
    `revision ${explanation.revision}, overlay ${explanation.sequence}, at ${explanation.at}`,
  ];
  if (explanation.zone !== undefined)
    lines.push(
      `zone ${explanation.zone}${explanation.target === undefined ? "" : `, bound to ${explanation.target}`}`,
    );
  if (explanation.view !== undefined)
    lines.push(`view ${explanation.view.name ?? "none"}: ${explanation.view.why}`);
  if (explanation.isRefused === true)
    lines.push("refused: allowQuery of the zone does not have the resolver, unless it signs");
  if (explanation.shard !== undefined) lines.push(shardText(explanation.shard));
  if (explanation.published !== undefined) lines.push(explanation.published);
  if (explanation.client !== undefined)
    lines.push(
      `client ${explanation.client.prefix}, from ${explanation.client.from}; scope /${explanation.scope ?? 0}; draw ${explanation.draw ?? 0}`,
    );
  if (explanation.variants !== undefined)
    lines.push(
      `the zone is signed: answers of several endpoints are one of ${explanation.variants} sets for each pool or node`,
    );
  if (tree !== undefined) {
    lines.push("");
    for (const node of tree.passes) pushNode(lines, node, "");
    for (const pool of tree.pools) pushPool(lines, pool, "");
  }
  if (explanation.chances !== undefined) {
    lines.push("", "chances of the first answer:");
    for (const { outcome, chance } of explanation.chances)
      lines.push(`  ${(chance * 100).toFixed(2).padStart(6)} %  ${outcome}`);
  }
  lines.push("", explanation.answer.length === 0 ? "answer: none" : "answer:");
  for (const record of explanation.answer) lines.push(`  ${record}`);
  if (explanation.ede !== undefined) lines.push(`  with extended error ${explanation.ede}`);
  if (explanation.ttl !== undefined) lines.push(`TTL ${explanation.ttl} s`);
  if (explanation.signing !== undefined) lines.push(signingText(explanation.signing));
  if (budget !== undefined) {
    lines.push(budgetText(budget));
  }
  return `${lines.join("\n")}\n`;
}

/** A failover budget in words. */
export function budgetText(budget: ExplainBudget): string {
  const parts = [
    `detection ${seconds(budget.detectionMs)}`,
    `decision ${seconds(budget.decisionMs)}`,
    `publishing ${seconds(budget.publishMs)}`,
    `TTL ${seconds(budget.ttlMs)}`,
    `drain ${seconds(budget.drainMs)}`,
  ];
  return `failover budget ${seconds(budget.totalMs)}: ${parts.join(" + ")}`;
}

function signingText({
  keys,
  denial,
  isReady,
  inception,
  expiration,
  refresh,
}: ExplainSigning): string {
  const by = keys.map(({ tag, algorithm }) => `${tag} (algorithm ${algorithm})`).join(", ");
  const state = isReady
    ? `the signature is ready, holds from ${inception ?? "?"} to ${expiration ?? "?"} and is made anew after ${refresh ?? "?"}`
    : "the signature is made when a client asks";
  return `signed by key ${by}, denial ${denial}: ${state}`;
}

function shardText({ cell, unit, edges, leaving }: ExplainShard): string {
  const by = edges.length === 0 ? "no edge yet" : `${edges.join(", ")} alone`;
  const still = leaving.includes("*") ? "every edge" : leaving.join(", ");
  return `served by ${by}${still === "" ? "" : `, and for a while still by ${still}`} (${unit} in cell ${cell})`;
}

function pushNode(lines: string[], node: ExplainNode, indent: string): void {
  const where = node.place === undefined ? "" : `, client in ${node.place}`;
  const audience =
    node.audience === undefined ? "" : `, audience ${node.audience} (scope /${node.scope ?? 0})`;
  lines.push(
    `${indent}${node.kind} "${node.node}": ${node.status}; verdicts ${node.verdicts}${where}${audience}`,
  );
  if (node.latch !== undefined) lines.push(`${indent}│  ${node.latch}`);
  node.branches.forEach((branch, index) => {
    const isLast = index === node.branches.length - 1;
    pushBranch(
      lines,
      branch,
      `${indent}${isLast ? "└─ " : "├─ "}`,
      `${indent}${isLast ? "   " : "│  "}`,
    );
  });
}

function pushBranch(lines: string[], branch: ExplainBranch, head: string, indent: string): void {
  const weight =
    branch.of === undefined
      ? ""
      : `, weight ${round(branch.weight ?? 0)} of ${round(branch.of)} (${(((branch.weight ?? 0) / branch.of) * 100).toFixed(1)} %)`;
  const instead =
    branch.instead === undefined
      ? ""
      : `, weight ${branch.of === undefined ? `${round(branch.weight ?? 0)} ` : ""}instead of ${branch.instead.weight}: ${branch.instead.cause}`;
  const dial = branch.dial === undefined ? "" : `, dial ${branch.dial} %`;
  lines.push(
    `${head}${branch.target}: ${branch.result}${weight}${instead}${dial}${branch.fence ? ", fence" : ""}`,
  );
  if (branch.node !== undefined) pushNode(lines, branch.node, indent);
  if (branch.pool === undefined) return;
  // The line above names the pool and, mostly, how it ended.
  if (branch.pool.status === branch.result) pushMembers(lines, branch.pool, indent);
  else pushPool(lines, branch.pool, indent);
}

function pushPool(lines: string[], pool: ExplainPool, indent: string): void {
  lines.push(`${indent}pool ${pool.pool}: ${pool.status}`);
  pushMembers(lines, pool, indent);
}

function pushMembers(lines: string[], pool: ExplainPool, indent: string): void {
  for (const { endpoint, kept, why, weight } of pool.members)
    lines.push(`${indent}  ${kept ? "+" : "-"} ${endpoint}: ${why}, weight ${weight}`);
}

function seconds(ms: number): string {
  return `${round(ms / 1000)} s`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
