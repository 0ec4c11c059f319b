// SPDX-License-Identifier: Apache-2.0
import type { ScenarioEvent } from "@meridian/model";

/** What happens, in a sentence without an end. */
export function eventText(event: ScenarioEvent): string {
  const { fail, heal, flap, brownOut, partition, lie, demand, shift, unshift, control, weights } =
    event;
  const lasting = event.for === undefined ? "" : ` for ${event.for}`;
  if (fail !== undefined) {
    const how = fail.as === "hang" ? "hang" : "fail";
    return `${fail.targets.join(", ")} ${how}${lasting}`;
  }
  if (heal !== undefined) return `${heal.targets.join(", ")} heal`;
  if (flap !== undefined)
    return `${flap.targets.join(", ")} flap, ${flap.down} of every ${flap.every}${lasting}`;
  if (brownOut !== undefined) {
    const { targets, capacity, slow, errors } = brownOut;
    const parts = [
      ...(capacity < 100 ? [`${capacity} % of capacity`] : []),
      ...(slow > 1 ? [`${slow} times as slow`] : []),
      ...(errors > 0 ? [`${errors} % errors`] : []),
    ];
    return `${targets.join(", ")} brown out: ${parts.join(", ")}${lasting}`;
  }
  if (partition !== undefined)
    return `${sideText(partition.between)} cut off from ${sideText(partition.and)}${lasting}`;
  if (lie !== undefined)
    return `probes of ${lie.edges.join(", ")} say ${lie.targets.join(", ")} ${lie.say}${lasting}`;
  if (demand !== undefined) {
    const whose = demand.names.length === 0 ? "all demand" : `demand ${demand.names.join(", ")}`;
    return `${whose} is ${demand.times} times as much${lasting}`;
  }
  if (shift !== undefined)
    return `${shift.percent} % away from ${shift.target} for ${shift.expiresIn}${shift.startsIn === "0s" ? "" : `, in ${shift.startsIn}`}`;
  if (unshift !== undefined) return `shifts of ${unshift.target} end`;
  if (control !== undefined) {
    const states = control.set.map(({ control: name, state }) => `${name} ${state}`);
    return `controls ${states.join(", ")}${lasting}`;
  }
  if (weights === undefined) return "nothing";
  const given = weights.branches.map(({ target, weight }) => `${target} ${weight}`);
  const what = given.length === 0 ? "its own" : given.join(", ");
  return `weights of ${weights.policy}/${weights.node}: ${what}${lasting}`;
}

function sideText({
  sites,
  edges,
  demand,
  control,
}: NonNullable<ScenarioEvent["partition"]>["between"]): string {
  const parts = [
    ...(control ? ["control"] : []),
    ...sites.map((name) => `site ${name}`),
    ...edges.map((name) => `edge ${name}`),
    ...demand.map((name) => `clients ${name}`),
  ];
  return parts.length === 0 ? "nobody" : parts.join(", ");
}
