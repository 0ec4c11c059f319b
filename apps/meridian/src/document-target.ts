// SPDX-License-Identifier: Apache-2.0

import { CommandError, ExitCode } from "./exit-code.ts";

const clusterKinds = new Set([
  "Site",
  "DataSet",
  "View",
  "Role",
  "Token",
  "Tenant",
  "Cell",
  "ChangePolicy",
]);

/** Kinds of documents, as `get`, `watch` and the like take them. */
export const documentKinds = [
  "Site",
  "Pool",
  "EndpointSet",
  "HealthCheck",
  "TrafficPolicy",
  "View",
  "Zone",
  "Record",
  "RecordSet",
  "DataSet",
  "Role",
  "Token",
  "Tenant",
  "Grant",
  "Notification",
  "Cell",
  "ControlPanel",
  "RoutingControl",
  "SafetyRule",
  "TrafficProfile",
  "ChangePolicy",
  "RecoveryPlan",
  "Rollout",
  "Drill",
] as const;

/** The path of the document that `KIND/NAMESPACE/NAME`, `KIND/NAME` of the default namespace, or `KIND/NAME` of a cluster-wide kind means. */
export function documentPath(target: string): `/v1/documents/${string}/${string}` {
  const [kind = "", first = "", second, ...rest] = target.split("/");
  if (first === "" || rest.length > 0 || !documentKinds.some((each) => each === kind))
    throw new CommandError(
      ExitCode.invalid,
      `Target is "${target}", expected KIND/NAMESPACE/NAME such as Pool/default/web, KIND of ${documentKinds.join(", ")}`,
    );
  const [place, name] = second === undefined ? ["default", first] : [first, second];
  return clusterKinds.has(kind)
    ? `/v1/documents/${kind}/${encodeURIComponent(first)}`
    : `/v1/documents/${kind}/${encodeURIComponent(place)}/${encodeURIComponent(name)}`;
}
